import { type CostAnomaly, defaultAnomaly } from '../cost/anomaly.ts';
import type { CountedFigures, Figures } from './figures.ts';

export type Severity = 'critical' | 'warning';

/** What a rule saw. */
export interface Sample {
  value: number;
  /** Whether there is enough of it to judge by; less than that is good. */
  enough: boolean;
  /** For people: the numbers behind it. */
  detail: string;
}

export interface Rule {
  id: string;
  severity: Severity;
  title: string;
  /** Above it the rule holds; in the unit of the sample's value. */
  threshold: number;
  unit: 'ratio' | 'per minute' | 'ms' | 'nodes' | 'deliveries' | 'reads' | 'times';
  /** How long it must hold, at each look, before anybody is told; 0: at once. */
  forMs: number;
  /** How long it must not hold before it is over: what swings about the threshold is one alert. */
  clearMs: number;
  /** While that rule fires nobody is told of this one. It stands before this one in the list. */
  inhibitedBy?: string;
  /** Null: cannot be told now. What fires goes on then, and nothing begins. */
  look(figures: Figures): Sample | null;
}

/** Whether it is as bad as the rule says. */
export function holds({ threshold }: Rule, { enough, value }: Sample): boolean {
  return enough && value > threshold;
}

/**
 * So many failed calls in five minutes at least: one call of one that fails is a rate of 100 %, and wakes nobody. Also a service that has
 * two calls an hour can fail them all unnoticed by this; monitoring/alerts.yml looks at a longer time.
 */
export const LEAST_FAILED = 3;
/** So many answers in five minutes at least: a single slow one is no slow service. */
export const LEAST_ANSWERS = 20;

/** JSON has no number for infinitely many. */
const MOST_TIMES = 1_000_000;

const MINUTE = 60_000;
/** As long as the window that the rates are of: a burst has left it by then. */
const CLEAR_MS = 5 * MINUTE;

/** The thresholds of error rate, provider failures, nodes and latency are the contract's ("Limits, retries, alerts"). */
export const rules: readonly Rule[] = [
  {
    id: 'counts-unavailable',
    severity: 'critical',
    title: 'The counts cannot be read',
    threshold: 0,
    unit: 'reads',
    // A look waits for two seconds at most; one that was too slow is no news.
    forMs: 2 * MINUTE,
    clearMs: MINUTE,
    look: ({ counts }) => ({
      value: counts === null ? 1 : 0,
      enough: true,
      detail:
        counts === null
          ? 'An object that counts does not answer: whether calls fail is not known.'
          : 'All objects that count answer.',
    }),
  },
  {
    id: 'nodes-down',
    severity: 'critical',
    title: 'No FreeSWITCH node takes calls',
    threshold: 0,
    unit: 'nodes',
    // Seen twice: a node that restarts is back within a minute.
    forMs: MINUTE,
    clearMs: MINUTE,
    look: counted(({ nodes }) => {
      const { total, up } = nodes === null ? { total: 0, up: 0 } : { total: sum(nodes), up: nodes.up };
      return { value: total - up, enough: up === 0, detail: nodesInWords(nodes) };
    }),
  },
  {
    id: 'error-rate-critical',
    severity: 'critical',
    title: 'More than 5 % of the calls fail',
    threshold: 0.05,
    unit: 'ratio',
    forMs: MINUTE,
    clearMs: CLEAR_MS,
    look: counted(errorRate),
  },
  {
    id: 'provider-failures',
    severity: 'critical',
    title: 'Providers fail more than 10 times a minute',
    threshold: 10,
    unit: 'per minute',
    // The window is a minute already.
    forMs: 0,
    clearMs: CLEAR_MS,
    look: counted(({ providerFailures }) => {
      const value = sum(providerFailures);
      return {
        value,
        enough: true,
        detail: `${value} requests failed in the last minute, after all retries${each(providerFailures)}.`,
      };
    }),
  },
  {
    id: 'error-rate-warning',
    severity: 'warning',
    title: 'More than 2 % of the calls fail',
    threshold: 0.02,
    unit: 'ratio',
    forMs: MINUTE,
    clearMs: CLEAR_MS,
    inhibitedBy: 'error-rate-critical',
    look: counted(errorRate),
  },
  {
    id: 'latency',
    severity: 'warning',
    title: 'Callers wait longer than 2 s for an answer',
    threshold: 2_000,
    unit: 'ms',
    forMs: 5 * MINUTE,
    clearMs: CLEAR_MS,
    look: counted(({ answers, latencyMs }) => ({
      value: Math.round(latencyMs),
      enough: answers >= LEAST_ANSWERS,
      detail: `${Math.round(latencyMs)} ms on the average over ${answers} answers of the last 5 minutes.`,
    })),
  },
  {
    id: 'node-down',
    severity: 'warning',
    title: 'A FreeSWITCH node is down',
    threshold: 0,
    unit: 'nodes',
    // Longer than a server takes to restart.
    forMs: 5 * MINUTE,
    clearMs: MINUTE,
    inhibitedBy: 'nodes-down',
    look: counted(({ nodes }) => {
      const down = nodes === null ? 0 : nodes.failing + nodes.silent;
      return { value: down, enough: true, detail: nodesInWords(nodes) };
    }),
  },
  {
    id: 'deliveries-waiting',
    severity: 'warning',
    title: 'What calls leave behind cannot be written',
    threshold: 10,
    unit: 'deliveries',
    // A database that restarts is back by then. Nothing is lost meanwhile.
    forMs: 5 * MINUTE,
    clearMs: MINUTE,
    look: counted(({ waiting }) => {
      const value = sum(waiting);
      return {
        value,
        enough: true,
        detail: `${value} deliveries have failed and are being repeated${each(waiting)}.`,
      };
    }),
  },
  {
    id: 'cost-anomaly',
    severity: 'warning',
    title: 'Calls cost more than is usual',
    threshold: defaultAnomaly.factor,
    unit: 'times',
    // It is judged by whole hours: the next one may be usual again.
    forMs: 0,
    clearMs: 0,
    look: ({ cost }) => {
      if (cost === null) return null;
      const worst = cost.anomalies.toSorted((a, b) => b.times - a.times)[0];
      if (worst === undefined)
        return { value: 0, enough: false, detail: 'The last hour cost what is usual.' };
      return { value: Math.min(worst.times, MOST_TIMES), enough: true, detail: costInWords(worst) };
    },
  },
];

function counted(look: (counts: CountedFigures) => Sample): Rule['look'] {
  return ({ counts }) => (counts === null ? null : look(counts));
}

function errorRate({ ended, failed }: CountedFigures): Sample {
  const value = ended === 0 ? 0 : failed / ended;
  return {
    value,
    enough: failed >= LEAST_FAILED,
    detail: `${failed} of the ${ended} calls that ended in the last 5 minutes failed (${(value * 100).toFixed(1)} %).`,
  };
}

function nodesInWords(nodes: CountedFigures['nodes']): string {
  if (nodes === null) return 'There are no nodes.';
  return `Of the nodes ${Object.entries(nodes)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ')}.`;
}

function costInWords({ measure, now, usual }: CostAnomaly): string {
  const dollars = (microUsd: number) => `$${(microUsd / 1_000_000).toFixed(measure === 'hour' ? 2 : 4)}`;
  const what =
    measure === 'hour' ? 'The last whole hour cost' : 'In the last whole hour a minute of calls cost';
  return `${what} ${dollars(now)}, where ${dollars(usual)} is usual.`;
}

function sum(values: Readonly<Record<string, number>>): number {
  return Object.values(values).reduce((total, value) => total + value, 0);
}

/** The greatest five, in words; nothing where there are none. */
function each(values: Readonly<Record<string, number>>): string {
  const greatest = Object.entries(values)
    .filter(([, value]) => value > 0)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, 5);
  return greatest.length === 0 ? '' : ` (${greatest.map(([name, value]) => `${name}: ${value}`).join(', ')})`;
}
