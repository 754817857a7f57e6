import { families, latencyParts, SERVICE, twoLabels } from './call-report.ts';
import { durationBounds, type Histogram, histogramOf, latencyBoundsMs } from './histogram.ts';
import { type NodeReport, nodeCounts, stateOf } from './nodes.ts';
import { type Sums, sumAt } from './sums.ts';
import { latencyOf, type Totals, unaccounted } from './totals.ts';

/** What stands before every name, so that none is taken for another program's. */
export const PREFIX = 'callhandler_';

export type Labels = Readonly<Record<string, string>>;

/** One metric with its samples. Counters end in `_total`, units are base units (https://prometheus.io/docs/practices/naming/). */
export type Exposed = { name: string; help: string } & (
  | { type: 'counter' | 'gauge'; samples: readonly { labels: Labels; value: number }[] }
  | { type: 'histogram'; samples: readonly { labels: Labels; histogram: ExposedHistogram }[] }
);

/** Bounds and sum in the unit of the metric's name. */
export interface ExposedHistogram {
  /** Upper bounds, and how many values do not exceed each. */
  buckets: readonly { bound: number; cumulative: number }[];
  count: number;
  sum: number;
}

/** What `/metrics` shows; docs/metrics.md has the same list for people, and a test holds them alike. */
export function exposed(
  totals: Totals,
  nodes: readonly NodeReport[],
  now: number,
  version: string,
): Exposed[] {
  const { sums } = totals;
  const counts = (label: string) => sumAt(sums, families.counts, label);
  return [
    one('gauge', 'build_info', 'The version that answers.', 1, { version }),
    one('counter', 'calls_started_total', 'Calls started.', sumAt(sums, families.calls, 'started')),
    one('gauge', 'calls_active', 'Calls in progress.', totals.active),
    one(
      'gauge',
      'calls_unaccounted',
      'Calls that started, and neither ended nor said of late that they live.',
      unaccounted(totals),
    ),
    byLabel('calls_ended_total', 'Calls ended, failed ones included, by why.', 'reason', sums[families.ends]),
    byLabel(
      'calls_failed_total',
      'Calls that the service failed, by why they ended.',
      'reason',
      sums[families.failedEnds],
    ),
    {
      type: 'histogram',
      name: `${PREFIX}call_duration_seconds`,
      help: 'Length of ended calls.',
      samples: [{ labels: {}, histogram: durations(sums) }],
    },
    {
      type: 'histogram',
      name: `${PREFIX}turn_latency_seconds`,
      help: "From the caller's last voiced sample to the first audio sent, by part.",
      samples: latencyParts.map((part) => ({
        labels: { part },
        histogram: latencies(latencyOf(sums, part)),
      })),
    },
    byLabel('turns_total', 'Turns spoken.', 'role', { caller: 0, agent: 0, ...sums[families.turns] }),
    one(
      'counter',
      'turns_answered_total',
      "Caller's turns that were answered with audio.",
      counts('answered'),
    ),
    one(
      'counter',
      'turns_reopened_total',
      'Turns taken for over that went on before anything of the answer was heard.',
      counts('reopened'),
    ),
    one(
      'counter',
      'interruptions_total',
      'Times the caller spoke over the agent, who stopped.',
      counts('interruptions'),
    ),
    one(
      'counter',
      'false_interruptions_total',
      'Times the agent fell silent for a noise or its own echo, and went on.',
      counts('falseInterruptions'),
    ),
    one(
      'counter',
      'backchannels_total',
      'Times the agent fell silent for an uh-huh, and went on.',
      counts('backchannels'),
    ),
    one(
      'counter',
      'repeated_sentences_total',
      'Sentences that the agent had said before in the call.',
      counts('repeats'),
    ),
    byLabel('speculations_total', 'Answers begun before the turn was over.', 'outcome', {
      used: counts('speculationsUsed'),
      discarded: counts('speculationsDiscarded'),
    }),
    one(
      'counter',
      'speculation_discarded_characters_total',
      'Characters that a model wrote in vain.',
      counts('discardedCharacters'),
    ),
    byLabel('speech_cache_lookups_total', 'Sentences looked up among ready audio.', 'outcome', {
      hit: counts('cacheHits'),
      miss: counts('cacheLookups') - counts('cacheHits'),
    }),
    one('counter', 'leg_drops_total', 'Sockets that calls lost.', counts('drops')),
    one('counter', 'leg_resumes_total', 'Clients that came back to their call.', counts('resumes')),
    byLabel(
      'provider_answers_total',
      'Answers that a provider has charged for.',
      'provider',
      sums[families.answers],
    ),
    ...failures(sums),
    ...costs(sums),
    {
      type: 'counter',
      name: `${PREFIX}refusals_total`,
      help: 'Calls and other requests that were answered with an error, by its code.',
      samples: Object.entries(sums[families.refusals] ?? {}).map(([label, value]) => {
        const [at, code] = twoLabels(label);
        return { labels: { at, code }, value };
      }),
    },
    {
      type: 'gauge',
      name: `${PREFIX}outbox_waiting`,
      help: 'Deliveries of calls that have failed and are being repeated.',
      samples: Object.entries(totals.waiting).map(([delivery, value]) => ({ labels: { delivery }, value })),
    },
    ...nodeMetrics(nodes, now),
  ];
}

function one(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  value: number,
  labels: Labels = {},
): Exposed {
  return { type, name: `${PREFIX}${name}`, help, samples: [{ labels, value }] };
}

function byLabel(
  name: string,
  help: string,
  label: string,
  values: Readonly<Record<string, number>> = {},
): Exposed {
  const samples = Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));
  return { type: 'counter', name: `${PREFIX}${name}`, help, samples };
}

function failures(sums: Sums): Exposed[] {
  const all = Object.entries(sums[families.failures] ?? {}).map(([label, value]) => {
    const [provider, kind] = twoLabels(label);
    return { provider, kind, value };
  });
  return [
    {
      type: 'counter',
      name: `${PREFIX}provider_failures_total`,
      help: 'Requests that a provider has failed, all retries spent, by kind.',
      samples: all
        .filter(({ provider }) => provider !== SERVICE)
        .map(({ provider, kind, value }) => ({ labels: { provider, kind }, value })),
    },
    {
      type: 'counter',
      name: `${PREFIX}service_failures_total`,
      help: "Failures in calls that are no provider's, by kind.",
      samples: all
        .filter(({ provider }) => provider === SERVICE)
        .map(({ kind, value }) => ({ labels: { kind }, value })),
    },
  ];
}

/** Nothing where no price is known: a zero would be a lie. */
function costs(sums: Sums): Exposed[] {
  const known = Object.entries(sums[families.costMicroUsd] ?? {});
  if (known.length === 0) return [];
  const dollars = Object.fromEntries(known.map(([provider, micro]) => [provider, micro / 1_000_000]));
  return [
    byLabel('provider_cost_dollars_total', 'What providers charge, in US dollars.', 'provider', dollars),
  ];
}

/** Every second bound (ISO 3, R10): the buckets between them are for the percentiles of the JSON. */
function latencies(histogram: Histogram): ExposedHistogram {
  const all = inSeconds(histogram, latencyBoundsMs, 1_000);
  return { ...all, buckets: all.buckets.filter((_, place) => place % 2 === 0) };
}

function durations(sums: Sums): ExposedHistogram {
  const histogram = histogramOf(sums, families.duration, durationBounds);
  return {
    ...inSeconds(histogram, durationBounds, 1),
    sum: sumAt(sums, families.calls, 'durationMs') / 1_000,
  };
}

function inSeconds(
  { counts, count, sum }: Histogram,
  bounds: readonly number[],
  of: number,
): ExposedHistogram {
  let cumulative = 0;
  const buckets = bounds.map((bound, place) => {
    cumulative += counts[place]!;
    return { bound: bound / of, cumulative };
  });
  return { buckets, count, sum: sum / of };
}

/** Nothing where there are no nodes. */
function nodeMetrics(nodes: readonly NodeReport[], now: number): Exposed[] {
  const states = nodeCounts(nodes, now);
  if (states === null) return [];
  const gauge = (name: string, help: string, value: (node: NodeReport) => number): Exposed => ({
    type: 'gauge',
    name: `${PREFIX}${name}`,
    help,
    samples: nodes.map((node) => ({ labels: { node: node.name }, value: value(node) })),
  });
  return [
    {
      type: 'gauge',
      name: `${PREFIX}nodes`,
      help: 'FreeSWITCH nodes, by how they are.',
      samples: Object.entries(states).map(([state, value]) => ({ labels: { state }, value })),
    },
    gauge('node_up', 'Whether the node takes calls.', (node) => (stateOf(node, now) === 'up' ? 1 : 0)),
    gauge('node_silence_seconds', 'Since its last heartbeat.', ({ at }) => Math.max(0, now - at) / 1_000),
    gauge('node_calls', 'Calls on the node.', ({ calls }) => calls),
    gauge('node_calls_limit', 'The most that it takes.', ({ maxCalls }) => maxCalls),
    gauge('node_idle_cpu_ratio', 'Idle share of its processor, as it says.', ({ idleCpu }) => idleCpu / 100),
    gauge('node_load_average', 'Over a minute, as it says.', ({ loadAverage }) => loadAverage),
  ];
}
