import type { Severity } from './rules.ts';

/** How the alerts stand. */
export interface AlertStatus {
  /** Milliseconds since the epoch; 0: never. */
  evaluatedAt: number;
  /** Also those of which nobody is told while another one fires. */
  firing: { rule: string; severity: Severity; since: number }[];
  /** Notices that have not arrived, by webhook. */
  waiting: Record<string, number>;
}
