import type { CostVerdict } from '../cost/anomaly.ts';
import type { NodeState } from '../metrics/nodes.ts';

/** What the rules look at: numbers of the whole deployment at one moment. Nobody's names, ids or numbers are among them. */
export interface Figures {
  /** Milliseconds since the epoch. */
  at: number;
  /** Null: the objects that count did not all answer, and nothing is known. */
  counts: CountedFigures | null;
  /** Of the last whole hour. Null: nothing is known of it. */
  cost: CostVerdict | null;
}

export interface CountedFigures {
  /** Calls that ended in the last five minutes, and those of them that the service failed. */
  ended: number;
  failed: number;
  /** Answers of the last five minutes, and how long callers waited for them on the average, in milliseconds. */
  answers: number;
  latencyMs: number;
  /** Of the last minute, by provider: requests that failed after all retries. */
  providerFailures: Readonly<Record<string, number>>;
  /** Deliveries of calls that have failed and are being repeated, by what they deliver. */
  waiting: Readonly<Record<string, number>>;
  /** Null: there are none. */
  nodes: Readonly<Record<NodeState, number>> | null;
}
