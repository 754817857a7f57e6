import type { Call } from '../call/call.ts';
import type { Clock } from '../call/clock.ts';
import type { Leg } from '../call/leg.ts';
import { type Refusal, ReturningLeg } from '../call/returning-leg.ts';
import type { StartRequest } from '../dialects/dialect.ts';
import type { ErrorCode } from '../dialects/native-messages.ts';
import type { LegSocket } from './leg-socket.ts';

/** Sockets that have not shown yet that the call is theirs. A client that comes back has one; over a bad line, a few. */
const MOST_RETURNING = 8;

export interface ReturningLegsOptions {
  clock: Clock;
  startMs: number;
  messagesPerSecond: number;
  onRefused(code: ErrorCode): void;
}

/** A socket that was opened for the call that is here already. */
export interface Returning {
  socket: LegSocket;
  connection: Leg;
  /** The id that its URL names. */
  callId: string;
  /** Why it may not come back to the call; null: it may. */
  refusalOf(request: StartRequest): Refusal | null;
  /** The call that it comes back to, which has taken it as its leg. */
  accept(): Call;
  /** A message could not be taken. False: there is no call that fails with it. */
  failed(error: unknown): boolean;
}

/** Clients that come back to the call of this object, or somebody else: `start_call` will tell. */
export class ReturningLegs {
  readonly #options: ReturningLegsOptions;
  readonly #waiting = new Set<ReturningLeg>();

  constructor(options: ReturningLegsOptions) {
    this.#options = options;
  }

  add({ socket, connection, callId, refusalOf, accept, failed }: Returning): void {
    const { clock, startMs, messagesPerSecond, onRefused } = this.#options;
    const { dialect } = connection;
    dialect.show({ type: 'leg.accepted', callId, resumeToken: null });
    let call: Call | null = null;
    const returning: ReturningLeg = new ReturningLeg(connection, clock, {
      startMs,
      messagesPerSecond,
      refusalOf,
      accept: () => {
        call = accept();
        return call;
      },
      sendError: (code, message) => dialect.show({ type: 'leg.error', code, message }),
      onRefused,
      onOver: () => this.#waiting.delete(returning),
    });
    // The owner's proof follows its socket at once: who has waited longest goes.
    if (this.#waiting.size >= MOST_RETURNING) {
      const [longest] = this.#waiting;
      longest?.turnAway('TOO_MANY_CALLS', 'Too many clients come back to this call', 'refused');
    }
    this.#waiting.add(returning);
    socket.listen({
      message: (data) => {
        if (returning.over) call?.receive(data, connection);
        else returning.receive(data);
      },
      closed: (inOrder) => {
        if (returning.over) call?.disconnected(connection, inOrder);
        else returning.closed();
      },
      failed: (error) => {
        if (!returning.over || !failed(error)) socket.close('error');
      },
    });
  }
}
