import type { Clock } from '../../src/call/clock.ts';
import type { SampleRate } from '../../src/dialects/native-messages.ts';
import type { FarEndName } from '../caller/ends/registry.ts';
import { frameMs, Pacer } from '../caller/pacer.ts';
import { LoadCall } from './load-call.ts';
import { seeded } from './random.ts';
import { pauseAfter, Speaker } from './speaker.ts';
import { type Clip, toUtterance, type Utterance } from './speech.ts';
import { Tally, type TallyParts } from './tally.ts';

/** What one process does. */
export interface CallersTask {
  /** Names the run, in its calls' ids and metadata. */
  run: string;
  url: string;
  headers: Record<string, string>;
  dialect: 'native' | FarEndName;
  transport: 'json' | 'binary';
  sampleRate: SampleRate;
  users: readonly string[];
  /** Of all processes; this one has every `processes`-th, from `process` on. */
  calls: number;
  processes: number;
  process: number;
  rampMs: number;
  callMs: number;
  talk: number;
  clips: readonly Clip[];
  seed: number;
}

/** Callers are out of step by this, so that not all of them send at one moment. */
const STEP_MS = 2;
const STEPS = frameMs / STEP_MS;
/** Before a caller's first word: the greeting, at least. */
const LISTEN_FRAMES = 3_000 / frameMs;
/** Call lengths vary by this share, so that calls that began together do not end together. */
const LENGTH_VARIES = 0.25;
/** The longest pause after a call that went well; the first and the longest after one that did not, each doubled in between. */
const PAUSE_MS = 1_000;
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
/** A call that was over so soon is no reason to place the next at once, however it ended. */
const SHORTEST_CALL_MS = 5_000;

/** A place that is to have a call all the time. */
class Slot {
  readonly #number: number;
  readonly #task: CallersTask;
  readonly #place: (slot: number, nth: number, speaker: Speaker, lengthMs: number) => LoadCall;
  readonly #utterances: readonly Utterance[];
  readonly #silence: Int16Array;
  readonly #random: ReturnType<typeof seeded>;
  #call: LoadCall | null = null;
  #placed = 0;
  #inVain = 0;
  #nextAt: number;
  #endAt = Number.POSITIVE_INFINITY;

  constructor(
    number: number,
    task: CallersTask,
    startAt: number,
    voices: { utterances: readonly Utterance[]; silence: Int16Array },
    place: (slot: number, nth: number, speaker: Speaker, lengthMs: number) => LoadCall,
  ) {
    this.#number = number;
    this.#task = task;
    this.#nextAt = startAt;
    this.#utterances = voices.utterances;
    this.#silence = voices.silence;
    this.#place = place;
    // Neighbouring seeds of this generator give unlike numbers.
    this.#random = seeded(task.seed + number);
  }

  get open(): boolean {
    return this.#call?.up === true;
  }

  get idle(): boolean {
    return this.#call === null;
  }

  /** Its call ends then, and none follows. */
  endAt(at: number): void {
    this.#endAt = at;
  }

  /** True if a frame was sent. */
  tick(now: number): boolean {
    if (now >= this.#endAt) this.#call?.hangUp();
    else if (this.#call === null && now >= this.#nextAt && this.#endAt === Number.POSITIVE_INFINITY)
      this.#begin();
    const sent = this.#call?.tick() ?? false;
    if (this.#call?.over) this.#ended(this.#call, now);
    return sent;
  }

  #begin(): void {
    const { talk, callMs } = this.#task;
    const first = this.#random.whole(this.#utterances.length);
    const pause = talk === 0 ? 0 : pauseAfter(this.#utterances[first]!.length, talk);
    const speaker = new Speaker({
      utterances: this.#utterances,
      silence: this.#silence,
      talk,
      first,
      firstWordFrame: LISTEN_FRAMES + Math.round(this.#random.fraction() * pause),
    });
    const varied = 1 + LENGTH_VARIES * (2 * this.#random.fraction() - 1);
    this.#call = this.#place(this.#number, this.#placed++, speaker, callMs * varied);
  }

  #ended(call: LoadCall, now: number): void {
    const inVain = call.faulty || call.ageMs < SHORTEST_CALL_MS;
    const longest = inVain
      ? Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** Math.min(this.#inVain, 10))
      : PAUSE_MS;
    this.#inVain = inVain ? this.#inVain + 1 : 0;
    this.#nextAt = now + longest * (inVain ? 0.5 + this.#random.fraction() / 2 : this.#random.fraction());
    this.#call = null;
  }
}

/** All calls of one process: one timer for all of them. */
export class Callers {
  readonly #task: CallersTask;
  readonly #clock: Clock;
  readonly #slots: Slot[];
  readonly #pacer: Pacer;
  readonly #tally = new Tally();
  #slippedMs = 0;
  #ending = false;
  #allEnded: () => void = () => {};

  constructor(task: CallersTask, clock: Clock) {
    this.#task = task;
    this.#clock = clock;
    const utterances = task.clips.map(toUtterance);
    const silence = new Int16Array((task.sampleRate / 1000) * frameMs);
    const startedAt = clock.now();
    this.#slots = [];
    for (let number = task.process; number < task.calls; number += task.processes) {
      const startAt = startedAt + (task.rampMs * number) / task.calls;
      const place: ConstructorParameters<typeof Slot>[4] = (...which) => this.#place(...which);
      this.#slots.push(new Slot(number, task, startAt, { utterances, silence }, place));
    }
    this.#pacer = new Pacer({
      clock,
      everyMs: STEP_MS,
      onFrame: (index, lateMs) => this.#step(index % STEPS, lateMs),
    });
    this.#pacer.start();
  }

  /** Calls that the service has taken and that go on. */
  get open(): number {
    return this.#slots.reduce((sum, slot) => sum + (slot.open ? 1 : 0), 0);
  }

  /** What has happened since it was asked last. */
  takeTally(): TallyParts {
    this.#tally.count('slippedMs', this.#pacer.slippedMs - this.#slippedMs);
    this.#slippedMs = this.#pacer.slippedMs;
    return this.#tally.take();
  }

  /** Ends all calls in order, one after the other within `spreadMs`. Resolves when none is left: every call's own end is bounded. */
  end(spreadMs: number): Promise<void> {
    const now = this.#clock.now();
    this.#ending = true;
    for (const [i, slot] of this.#slots.entries()) slot.endAt(now + (spreadMs * i) / this.#slots.length);
    return new Promise((resolve) => {
      this.#allEnded = resolve;
    });
  }

  #step(phase: number, lateMs: number): void {
    const now = this.#clock.now();
    let sent = 0;
    for (let i = phase; i < this.#slots.length; i += STEPS) {
      if (this.#slots[i]!.tick(now)) sent += 1;
    }
    this.#tally.measure('lateMs', lateMs, sent);
    if (this.#ending && phase === 0 && this.#slots.every((slot) => slot.idle)) {
      this.#pacer.stop();
      this.#allEnded();
    }
  }

  #place(slot: number, nth: number, speaker: Speaker, lengthMs: number): LoadCall {
    const { run, url, headers, dialect, transport, sampleRate, users } = this.#task;
    return new LoadCall({
      clock: this.#clock,
      url,
      headers,
      dialect,
      transport,
      sampleRate,
      userId: users[slot % users.length]!,
      callId: `${run}-${slot}-${nth}`,
      metadata: { load: run },
      speaker,
      lengthMs,
      tally: this.#tally,
    });
  }
}
