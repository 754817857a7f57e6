import { loadavg } from 'node:os';
import { makeCall } from './callers.ts';
import type { Scene } from './conversation.ts';
import { type Deployment, FORGOTTEN_MS } from './deployment.ts';
import type { Told, Violation } from './facts.ts';
import { expectedOf, judgeCall, kindOf } from './judge-call.ts';
import { bounds, type CallFigures, figuresOf, judgeRun, type RunFacts, type Sample } from './judge-run.ts';
import { type CallerKind, type CallPlan, callerKinds, planCall } from './plan.ts';

export interface SoakOptions {
  minutes: number;
  callers: number;
  seed: number;
  /** No call is begun any more; those that have begun come to their end. */
  stop: AbortSignal;
  log(line: string): void;
}

export interface SoakResult {
  facts: RunFacts;
  violations: Violation[];
  /** By kind of caller. */
  kinds: Record<CallerKind, KindCounts>;
  loads: number[];
  /** The most that this process was late with a frame, and the calls in which it skipped some. */
  callersLate: { mostMs: number; skipped: number };
  memoryByPart: Record<string, number>[];
  /** Until the service was as it had been, milliseconds after the last call. */
  calmAfterMs: number;
}

export interface KindCounts {
  planned: number;
  begun: number;
  ended: number;
  judged: number;
  violations: number;
}

const SAMPLE_MS = 10_000;
const MOST_TRIES = 3;
const noCounters = { started: 0, ended: 0, active: 0, unaccounted: 0, outboxWaiting: 0 };
/** Collecting all garbage stops the Worker for a tenth of a second or two: every so many looks. */
const HEAP_EVERY = 12;
/** From the last call's end until nothing of any call may be left: the storage's time, and what alarms and idle sockets take. */
const CALM_MS = FORGOTTEN_MS + 60_000;
/** Calls whose violations are printed as they are found; the report has all. */
const MOST_PRINTED = 20;

/** Calls by random callers for some minutes, each judged when its records are there; then the service as a whole. */
export class Soak {
  readonly #options: SoakOptions;
  readonly #deployment: Deployment;
  readonly #scene: Scene;
  readonly #startedAt = performance.now();
  readonly #violations: Violation[] = [];
  readonly #figures: CallFigures[] = [];
  readonly #begun: string[] = [];
  readonly #judging = new Set<Promise<void>>();
  readonly #samples: Sample[] = [];
  readonly #heap: number[] = [];
  readonly #loads: number[] = [];
  readonly #memoryByPart: Record<string, number>[] = [];
  readonly #kinds = Object.fromEntries(
    callerKinds.map((kind) => [kind, { planned: 0, begun: 0, ended: 0, judged: 0, violations: 0 }]),
  ) as Record<CallerKind, KindCounts>;
  readonly #late = { mostMs: 0, skipped: 0 };
  #next = 0;
  #open = 0;
  #ended = 0;
  #broken = false;
  /** What ends from here on was ended by us. */
  #done = false;

  constructor(deployment: Deployment, options: SoakOptions) {
    this.#deployment = deployment;
    this.#options = options;
    this.#scene = {
      url: deployment.url,
      // Another run's recordings have other names.
      name: `soak-${options.seed}`,
      speech: (text, sampleRate, voice) => deployment.speech(text, sampleRate, voice),
    };
    deployment.died.then((why) => {
      if (this.#done) return;
      this.#broken = true;
      this.#violate({ callId: null, kind: 'service', what: why });
    });
  }

  async run(): Promise<SoakResult> {
    const { callers, minutes, log } = this.#options;
    // One call before the first look: what every run needs is open then.
    await this.#call(this.#warmUp());
    const before = await this.#calm(SAMPLE_MS);
    const heapBefore = await this.#heapBytes();
    log(`${callers} callers for ${minutes} minutes, seed ${this.#options.seed}`);
    const watch = setInterval(() => this.#watch(), SAMPLE_MS);
    const until = performance.now() + minutes * 60_000;
    await Promise.all(Array.from({ length: callers }, (_, i) => this.#line(i, until)));
    const lastAt = performance.now();
    clearInterval(watch);
    log('The last call is over; waiting for the service to come to rest.');
    while (this.#judging.size > 0) await Promise.all(this.#judging);
    const calm = await this.#rest(before);
    const heapAfter = await this.#heapBytes();
    // Its garbage collected, the Worker gives memory back.
    const after = { ...calm, residentBytes: this.#deployment.look().residentBytes };
    const { objects, left } = await this.#asked('the storage', async () => this.#deployment.leftovers(), {
      objects: 0,
      left: [],
    });
    const facts: RunFacts = {
      calls: this.#figures,
      begun: this.#begun,
      rows: await this.#asked('call_logs', () => this.#deployment.allRows(), []),
      counters: await this.#asked('the counters', () => this.#deployment.counters(), noCounters),
      samples: this.#samples,
      before,
      after,
      objects,
      leftovers: left,
      heap: {
        before: heapBefore,
        during: this.#heap,
        after: heapAfter,
      },
    };
    for (const violation of judgeRun(facts)) this.#violate(violation);
    this.#done = true;
    return {
      facts,
      violations: this.#violations,
      kinds: this.#kinds,
      loads: this.#loads,
      callersLate: this.#late,
      memoryByPart: this.#memoryByPart,
      calmAfterMs: performance.now() - lastAt,
    };
  }

  /** One caller after the other, until the time is over. */
  async #line(number: number, until: number): Promise<void> {
    // Not all at once.
    await this.#pause(number * 700);
    while (performance.now() < until && !this.#options.stop.aborted && !this.#broken) {
      const plan = planCall(this.#options.seed, this.#next++);
      await this.#call(plan);
      await this.#pause(plan.restMs);
    }
  }

  async #call(plan: CallPlan): Promise<void> {
    const counts = this.#kinds[plan.kind];
    counts.planned += 1;
    this.#open += 1;
    const told = await makeCall(this.#scene, plan);
    this.#open -= 1;
    this.#ended += 1;
    counts.ended += 1;
    if (told.begun) {
      counts.begun += 1;
      this.#begun.push(told.callId);
    }
    this.#late.mostMs = Math.max(this.#late.mostMs, told.lateMs);
    if (told.skippedMs > 0) this.#late.skipped += 1;
    const judging = this.#judge(plan, told).catch((error: unknown) => {
      const what = `could not be judged: ${error instanceof Error ? error.message : String(error)}`;
      this.#violate({ callId: told.callId, kind: kindOf(plan), what }, plan.kind);
    });
    this.#judging.add(judging);
    void judging.finally(() => this.#judging.delete(judging));
  }

  async #judge(plan: CallPlan, told: Told): Promise<void> {
    const { logged } = expectedOf(plan);
    const left = plan.kind === 'dropper' && !plan.returns;
    // Of a call that must have no row, `judgeRun` sees one that came later.
    const rows = logged ? await this.#deployment.rowsOf(told.callId, left) : [];
    const records = {
      rows,
      turns: logged ? await this.#deployment.turnsOf(told.callId) : 0,
      recording: rows[0]?.recording ? await this.#deployment.recordingOf(told.callId) : null,
    };
    const ended = { plan, told, records };
    const violations = judgeCall(ended);
    for (const violation of violations) this.#violate(violation, plan.kind);
    if (violations.length > 0 && this.#violations.length <= MOST_PRINTED)
      this.#options.log(`    said ${summary(ended)}`);
    this.#figures.push(figuresOf(ended, kindOf(plan)));
    this.#kinds[plan.kind].judged += 1;
  }

  #violate(violation: Violation, kind?: CallerKind): void {
    this.#violations.push(violation);
    if (kind !== undefined) this.#kinds[kind].violations += 1;
    if (this.#violations.length <= MOST_PRINTED)
      this.#options.log(`  ! ${violation.callId ?? 'the run'} (${violation.kind}): ${violation.what}`);
  }

  #watch(): void {
    const sample = this.#sample();
    this.#samples.push(sample);
    if (this.#samples.length % HEAP_EVERY === 0)
      void this.#heapBytes().then((bytes) => {
        if (bytes !== null) this.#heap.push(bytes);
      });
    this.#memoryByPart.push(this.#deployment.memoryByPart());
    const [load = 0] = loadavg();
    this.#loads.push(load);
    const kinds = callerKinds.map(
      (kind) => `${kind} ${this.#kinds[kind].ended}/${this.#kinds[kind].planned}`,
    );
    this.#options.log(
      `${clock(sample.atMs)}  ended/begun ${kinds.join(', ')}; open ${this.#open}, being judged ${this.#judging.size}; ` +
        `workerd ${Math.round(sample.residentBytes / 1e6)} MB, ${sample.sockets} sockets, ` +
        `${sample.objects + sample.otherFiles} files; load ${load.toFixed(2)}; ${this.#violations.length} violations`,
    );
  }

  #sample(): Sample {
    const atMs = performance.now() - this.#startedAt;
    return { atMs, ...this.#deployment.look(), openCalls: this.#open, endedCalls: this.#ended };
  }

  async #calm(ms: number): Promise<Sample> {
    while (this.#judging.size > 0) await Promise.all(this.#judging);
    await new Promise((resolve) => setTimeout(resolve, ms));
    return this.#sample();
  }

  /** Until all that calls have opened and stored is gone, or the time for it is over. */
  async #rest(before: Sample): Promise<Sample> {
    const until = performance.now() + CALM_MS;
    for (;;) {
      const sample = this.#sample();
      const counters = await this.#deployment.counters().catch(() => null);
      const calm =
        counters?.active === 0 &&
        counters.outboxWaiting === 0 &&
        sample.objects === 0 &&
        sample.sockets <= before.sockets + bounds.sockets &&
        sample.otherFiles <= before.otherFiles + bounds.otherFiles &&
        this.#isForgotten();
      if (calm || this.#broken || performance.now() > until) return sample;
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS / 5));
    }
  }

  /** A last question; after an hour, that one is not answered must not cost the others. */
  async #asked<T>(what: string, ask: () => Promise<T>, otherwise: T): Promise<T> {
    for (let tries = 1; !this.#broken; tries++) {
      try {
        return await ask();
      } catch (error) {
        if (tries < MOST_TRIES) await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS / 5));
        else {
          this.#violate({ callId: null, kind: 'judgement', what: `${what}: ${String(error)}` });
          break;
        }
      }
    }
    return otherwise;
  }

  /** An object that is just being deleted cannot be read. */
  #isForgotten(): boolean {
    try {
      return this.#deployment.leftovers().left.length === 0;
    } catch {
      return false;
    }
  }

  async #heapBytes(): Promise<number | null> {
    if (this.#broken) return null;
    return this.#deployment.heapBytes().catch((error: unknown) => {
      this.#options.log(`    the heap could not be looked at: ${String(error)}`);
      return null;
    });
  }

  /** The plan of a talker, under a number that no other has. */
  #warmUp(): CallPlan {
    return {
      kind: 'talker',
      index: -1,
      questions: [0],
      pausesMs: [0],
      wire: { transport: 'json', encoding: 'mulaw', sampleRate: 8000 },
      namesCall: true,
      user: 'soak-0',
      restMs: 0,
    };
  }

  #pause(ms: number): Promise<void> {
    const { stop } = this.#options;
    if (stop.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        stop.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      stop.addEventListener('abort', done);
    });
  }
}

function summary({
  told,
  records,
}: {
  told: Told;
  records: { rows: { transcript: { role: string; text: string }[] }[] };
}): string {
  const said = told.said.map(({ text, startMs }) => `${Math.round(startMs)} ${text}`).join(' / ');
  const turns = records.rows[0]?.transcript.map(({ role, text }) => `${role}: ${text}`).join(' / ');
  return `${said || 'nothing'}; transcript: ${turns ?? 'none'}`.slice(0, 600);
}

export function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`;
}
