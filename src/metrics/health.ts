import { families } from './call-report.ts';
import { everyNodeDown, nodeCounts } from './nodes.ts';
import { type Counts, endings, errorRate } from './totals.ts';

/** Above this share of failed calls, of those that ended in the last five minutes, the service is degraded (contract). */
export const DEGRADED_ERROR_RATE = 0.05;

/** Why the service is not well: a name for programs, and words for people. */
export interface HealthReason {
  reason:
    | 'counts unavailable'
    | 'error rate'
    | 'settings missing'
    | 'not public'
    | 'nodes down'
    | 'no alerts';
  detail: string;
}

/** The alerts are evaluated each minute; after so long nobody does. A schedule that is deployed begins within a quarter of an hour. */
export const ALERTS_STALE_MS = 5 * 60_000;

export interface HealthFacts {
  /** Null: the objects that count do not answer. */
  counts: Counts | null;
  /** Null: it is not known how they stand. Undefined: nobody is to be told of any. */
  alerts?: { evaluatedAt: number } | null | undefined;
  /** Settings without which no call can be taken. */
  missing: readonly string[];
  /** Nobody has to prove who they are, and the request is not of this machine: it would be refused. */
  closed: boolean;
  now: number;
}

/** Everything for which the service is degraded; empty where it is well. */
export function healthReasons({ counts, alerts, missing, closed, now }: HealthFacts): HealthReason[] {
  const reasons: HealthReason[] = [];
  if (counts === null) {
    reasons.push({ reason: 'counts unavailable', detail: 'The objects that count calls do not answer' });
  } else {
    const recent = counts.totals.recent.fiveMinutes;
    const rate = errorRate(recent);
    if (rate > DEGRADED_ERROR_RATE) {
      const { ended, failed } = endings(recent);
      const why = Object.entries(recent[families.failedEnds] ?? {}).map(([end, count]) => `${end}: ${count}`);
      const detail = `${failed} of the ${ended} calls that ended in the last 5 minutes failed, ${percent(rate)} (${why.join(', ')}); more than ${percent(DEGRADED_ERROR_RATE)}`;
      reasons.push({ reason: 'error rate', detail });
    }
    if (everyNodeDown(counts.nodes, now)) {
      const states = Object.entries(nodeCounts(counts.nodes, now) ?? {}).filter(([, count]) => count > 0);
      const how = states.map(([state, count]) => `${state}: ${count}`).join(', ');
      reasons.push({ reason: 'nodes down', detail: `No FreeSWITCH node takes calls (${how})` });
    }
  }
  if (alerts !== undefined && now - (alerts?.evaluatedAt ?? 0) > ALERTS_STALE_MS) {
    const detail =
      alerts === null
        ? 'The object that knows the alerts does not answer'
        : `Nobody has looked for alerts for ${ALERTS_STALE_MS / 60_000} minutes: does the schedule run?`;
    reasons.push({ reason: 'no alerts', detail });
  }
  if (missing.length > 0) {
    reasons.push({ reason: 'settings missing', detail: `Not set: ${missing.join(', ')}` });
  }
  if (closed) {
    const detail = 'AUTH=none answers requests of its own machine alone, and this one is from elsewhere';
    reasons.push({ reason: 'not public', detail });
  }
  return reasons;
}

function percent(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`;
}
