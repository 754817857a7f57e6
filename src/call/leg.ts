import type { Dialect } from '../dialects/dialect.ts';
import type { EndReason } from './events.ts';

/** Why a leg's socket is closed; the shell turns it into a close code. */
export type Closing =
  | EndReason
  | 'refused'
  | 'id in use'
  | 'too fast'
  /** The same call is on another socket now. */
  | 'replaced';

/** One connection of a call: its wire format, and its socket. A call may have several, one after the other. */
export interface Leg {
  readonly dialect: Dialect;
  /** Closes the socket. Idempotent. */
  close(closing: Closing): void;
}
