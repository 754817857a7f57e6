import { type Exposed, PREFIX } from '../metrics/exposed.ts';
import { rules } from './rules.ts';
import type { AlertStatus } from './status.ts';

/** What `/metrics` shows of the alerts; nothing where they could not be read. docs/metrics.md has the same list for people. */
export function exposedAlerts(status: AlertStatus | null): Exposed[] {
  if (status === null) return [];
  const firing = new Set(status.firing.map(({ rule }) => rule));
  return [
    {
      type: 'gauge',
      name: `${PREFIX}alerts_evaluated_timestamp_seconds`,
      help: 'When the service looked last whether there is something to alert of; 0: never.',
      samples: [{ labels: {}, value: status.evaluatedAt / 1_000 }],
    },
    {
      type: 'gauge',
      name: `${PREFIX}alert_firing`,
      help: 'Whether the alert fires.',
      samples: rules.map(({ id, severity }) => ({
        labels: { rule: id, severity },
        value: firing.has(id) ? 1 : 0,
      })),
    },
    {
      type: 'gauge',
      name: `${PREFIX}alert_notices_waiting`,
      help: 'Notices of alerts that a webhook has not taken yet.',
      samples: Object.entries(status.waiting).map(([webhook, value]) => ({ labels: { webhook }, value })),
    },
  ];
}
