import { z } from 'zod';
import type { LoadArguments } from './arguments.ts';
import type { ClientSecond } from './client-messages.ts';
import { shownUrl } from './deployment.ts';
import { faults, Tally } from './tally.ts';
import { Timeline } from './timeline.ts';

const count = z.number().int().nonnegative();
const amount = z.number().nonnegative();
const milliseconds = amount.nullable();
const distribution = z
  .object({ count, average: amount, p50: amount, p95: amount, p99: amount, max: amount })
  .nullable();
const reasons = z.record(z.string(), count);
const share = z.number().min(0).max(1);

/** `report.json`, as docs/load.md explains it. Milliseconds unless the name says otherwise; null: there was nothing to measure. */
export const loadReportSchema = z.object({
  version: z.literal(1),
  /** ISO 8601. */
  startedAt: z.string(),
  durationSeconds: amount,
  /** `complete`, `interrupted` by Ctrl-C, or `gave-up`: no call stood for 30 s. */
  end: z.enum(['complete', 'interrupted', 'gave-up']),
  options: z.object({
    url: z.string(),
    dialect: z.string(),
    transport: z.string(),
    sampleRate: count,
    calls: count,
    minutes: amount,
    rampSeconds: amount,
    callSeconds: amount,
    talk: share,
    users: count,
    seed: count,
  }),
  calls: z.object({
    placed: count,
    accepted: count,
    mostOpen: count,
    greeted: count,
    ended: count,
    endedByService: count,
    cancelled: count,
    refused: reasons,
    dropped: reasons,
    failed: reasons,
    /** Refused, dropped and failed ones ÷ placed ones that were not cancelled. */
    errorRate: share,
  }),
  /** `error` messages in calls that went on, by code. */
  errors: reasons,
  setUpMs: distribution,
  greetingMs: distribution,
  roundTripMs: distribution,
  pings: z.object({ sent: count, lost: count }),
  answerMs: distribution,
  utterances: z.object({ said: count, answered: count }),
  audio: z.object({ framesSent: count, talkShare: share, messagesReceived: count, secondsReceived: amount }),
  client: z.object({
    processes: z.array(
      z.object({ cpuShare: amount, cpuShareMost: amount, memoryMb: amount, lost: z.boolean() }),
    ),
    lateMs: distribution,
    slippedMs: amount,
    /** What it was that this client was too slow with; empty: it kept pace. */
    bottleneck: z.array(z.string()),
  }),
  timeline: z.array(
    z.object({
      atSeconds: amount,
      seconds: amount,
      open: count,
      errors: count,
      framesSent: count,
      roundTripP50Ms: milliseconds,
      roundTripP95Ms: milliseconds,
      answerP50Ms: milliseconds,
      answerP95Ms: milliseconds,
      lateP99Ms: milliseconds,
    }),
  ),
});
export type LoadReport = z.output<typeof loadReportSchema>;

/** A frame's length: what is so late comes with the next one. */
const latestClientMs = 20;
/** Of a core: a process that is busier has no room for a moment that is worse than the average. */
const busiestClientShare = 0.9;

interface ProcessSums {
  open: number;
  seconds: number;
  cpu: number;
  cpuMost: number;
  memoryBytes: number;
  lost: boolean;
}

/** Gathers what the processes tell; whoever shows it, live or at the end, asks here. */
export class Measurements {
  readonly total = new Tally();
  readonly #timeline: Timeline;
  readonly #processes: ProcessSums[];
  #mostOpen = 0;

  constructor(processes: number, expectedMs: number) {
    this.#timeline = new Timeline(expectedMs);
    this.#processes = Array.from({ length: processes }, () => ({
      open: 0,
      seconds: 0,
      cpu: 0,
      cpuMost: 0,
      memoryBytes: 0,
      lost: false,
    }));
  }

  /** Calls that are open now. */
  get open(): number {
    return this.#processes.reduce((sum, { open }) => sum + open, 0);
  }

  second(process: number, { atMs, open, tally, cpuShare, memoryBytes }: ClientSecond): void {
    const sums = this.#processes[process]!;
    sums.open = open;
    sums.seconds += 1;
    sums.cpu += cpuShare;
    sums.cpuMost = Math.max(sums.cpuMost, cpuShare);
    sums.memoryBytes = Math.max(sums.memoryBytes, memoryBytes);
    this.#mostOpen = Math.max(this.#mostOpen, this.open);
    this.total.merge(tally);
    this.#timeline.add(atMs, this.open, tally);
  }

  lost(process: number): void {
    this.#processes[process]!.lost = true;
    this.#processes[process]!.open = 0;
  }

  report(
    options: LoadArguments,
    url: URL,
    run: { startedAt: Date; durationMs: number; end: LoadReport['end'] },
  ): LoadReport {
    const { total } = this;
    const placed = total.of('placed');
    const cancelled = total.of('cancelled');
    const of = (what: Parameters<Tally['histogram']>[0]) => total.histogram(what).distribution();
    const [refused, dropped, failed] = faults.map((fault) => total.reasons(fault));
    return {
      version: 1,
      startedAt: run.startedAt.toISOString(),
      durationSeconds: run.durationMs / 1_000,
      end: run.end,
      options: {
        url: shownUrl(url),
        dialect: options.dialect,
        transport: options.dialect === 'native' ? options.transport : 'its own',
        sampleRate: options.rate,
        calls: options.calls,
        minutes: options.minutes,
        rampSeconds: options.ramp,
        callSeconds: options['call-seconds'],
        talk: options.talk,
        users: options.user.length,
        seed: options.seed,
      },
      calls: {
        placed,
        accepted: total.of('accepted'),
        mostOpen: this.#mostOpen,
        greeted: total.of('greeted'),
        ended: total.of('ended'),
        endedByService: total.of('endedByService'),
        cancelled,
        refused: refused!,
        dropped: dropped!,
        failed: failed!,
        errorRate: placed === cancelled ? 0 : total.faults() / (placed - cancelled),
      },
      errors: total.errors,
      setUpMs: of('setUpMs'),
      greetingMs: of('greetingMs'),
      roundTripMs: of('roundTripMs'),
      pings: { sent: total.of('pings'), lost: total.of('pingsLost') },
      answerMs: of('answerMs'),
      utterances: { said: total.of('said'), answered: total.of('answered') },
      audio: {
        framesSent: total.of('framesSent'),
        talkShare: total.of('framesSpoken') / Math.max(1, total.of('framesSent')),
        messagesReceived: total.of('audioMessages'),
        secondsReceived: total.of('audioMs') / 1_000,
      },
      client: {
        processes: this.#processes.map(({ seconds, cpu, cpuMost, memoryBytes, lost }) => ({
          cpuShare: seconds === 0 ? 0 : cpu / seconds,
          cpuShareMost: cpuMost,
          memoryMb: memoryBytes / 2 ** 20,
          lost,
        })),
        lateMs: of('lateMs'),
        slippedMs: total.of('slippedMs'),
        bottleneck: this.#bottleneck(),
      },
      timeline: this.#timeline.points(),
    };
  }

  #bottleneck(): string[] {
    const found: string[] = [];
    const late = this.total.histogram('lateMs').percentile(0.99) ?? 0;
    const slipped = this.total.of('slippedMs');
    const busiest = Math.max(
      0,
      ...this.#processes.map(({ cpu, seconds }) => (seconds === 0 ? 0 : cpu / seconds)),
    );
    const lost = this.#processes.filter((process) => process.lost).length;
    if (late >= latestClientMs) found.push(`1 % of its frames were ${late.toFixed(0)} ms late or later`);
    if (slipped > 0) found.push(`it stood still, and never sent ${slipped.toFixed(0)} ms of frames`);
    if (busiest >= busiestClientShare)
      found.push(`a process was busy for ${(busiest * 100).toFixed(0)} % of the time`);
    if (lost > 0) found.push(`${lost} of its processes died`);
    return found;
  }
}

/** What `npm run load` ends with. */
export function exitCodeOf({ calls, client }: LoadReport): 0 | 1 {
  return calls.errorRate > 0 || calls.accepted === 0 || client.bottleneck.length > 0 ? 1 : 0;
}
