import type { AudioChunk } from './journal.ts';

export interface RecordingTimelineOptions {
  sampleRate: 8000 | 16000;
  /** Sample 0, in milliseconds since the epoch. */
  startTime: number;
  /** Length of a chunk: what a crash may cost. */
  chunkMs: number;
  /** What is stored already, of a call that is taken up again. Default 0. */
  spooledSamples?: number;
  /** Samples of its chunks: a setting may have changed since. */
  chunkSamples?: number;
  /** Takes a finished chunk. True: its arrays may be written over; false: they are its own from then on. */
  store(chunk: AudioChunk): boolean;
}

/** Silence is recorded where the line delivered nothing for longer than this; shorter gaps are jitter. */
const GAP_MS = 200;
/** For so long after a gap what arrives may show that the first of it was placed too late: a burst is over by then. */
const OPEN_MS = 1000;
/** It is over before, and a chunk need not wait any longer, once frames have come steadily for so long, and none sooner than it was said. */
const BURST_MS = 200;
/** A frame that comes later than this after the one before it, beside its own length, has waited: what waits behind it may come in a burst. */
const STEADY_MS = 60;
/**
 * No more audio than this is moved back, since each frame of a burst moves all before it: a client that sends half a minute at once
 * must not cost the calls beside it seconds. Chunks are stored meanwhile, so more could hardly be moved.
 */
const MOST_MOVED_MS = 4000;
/** After this nothing more can arrive for a sample: the jitter that is tolerated, and the longest frame (1 s). */
const SETTLED_MS = GAP_MS + 1000;

/** A gap that may prove too long, found at `at`: from the end of what lies before it to what came after it, in samples. */
interface Gap {
  floor: number;
  from: number;
  at: number;
}

/** A machine that stands still several times leaves one gap each time, before the burst that belongs into all of them. */
const MOST_GAPS = 5;

/** Tracks that are kept for the next chunk: one of either side. */
const MOST_SPARE = 2;

interface OpenChunk {
  caller: Int16Array | null;
  agent: Int16Array | null;
}

/**
 * Places both sides of the call on one timeline, indexed by sample: the caller's audio in the order of its
 * arrival, the agent's where it was heard. So the sides stay aligned however long the call lasts: nothing is
 * appended by the wall clock. Chunks are handed out in order, once nothing more can belong to them.
 */
export class RecordingTimeline {
  readonly #options: RecordingTimelineOptions;
  /** Samples of each chunk but the last. */
  readonly chunkSamples: number;
  readonly #open = new Map<number, OpenChunk>();
  /** Tracks of chunks that are stored: some megabytes a minute of garbage otherwise. */
  readonly #spare: Int16Array[] = [];
  #nextChunk = 0;
  /** Where the caller's next sample goes. */
  #callerAt = 0;
  /**
   * The caller's last gaps, while they may still prove too long, in order. The first frame after a gap may have waited for a busy machine:
   * then the next ones come in a burst, and would end in the future.
   */
  #gaps: Gap[] = [];
  /** Frames come steadily since then. */
  #steadyFrom = 0;
  /** When the caller's last frame came. */
  #arrivedAt = 0;
  /** End of the last audio of either side. */
  #end = 0;

  constructor(options: RecordingTimelineOptions) {
    this.#options = options;
    this.chunkSamples = options.chunkSamples ?? Math.round((options.sampleRate * options.chunkMs) / 1000);
    this.#nextChunk = Math.ceil((options.spooledSamples ?? 0) / this.chunkSamples);
    this.#callerAt = this.#nextChunk * this.chunkSamples;
    this.#end = this.#callerAt;
  }

  /** Sample of the timeline that a moment of the clock falls on. */
  sampleAt(time: number): number {
    return Math.round(((time - this.#options.startTime) * this.#options.sampleRate) / 1000);
  }

  /** Milliseconds by which the caller's audio runs ahead of real time. */
  callerAheadMs(now: number): number {
    return ((this.#callerAt - this.sampleAt(now)) * 1000) / this.#options.sampleRate;
  }

  /** Caller's audio that arrived at `now`. Returns the sample it was placed at. */
  caller(samples: Int16Array, now: number): number {
    const { sampleRate } = this.#options;
    const expected = this.sampleAt(now) - samples.length;
    const waitedMs = now - this.#arrivedAt - (samples.length * 1000) / sampleRate;
    this.#arrivedAt = now;
    if (expected - this.#callerAt > (GAP_MS * sampleRate) / 1000) {
      if (this.#gaps.length === MOST_GAPS) this.#gaps.shift();
      this.#gaps.push({ floor: this.#callerAt, from: expected, at: now });
      this.#callerAt = expected;
      this.#steadyFrom = now;
    } else if (this.#gaps.length > 0) {
      // Nothing is heard before it is said: by so much the first of it was late.
      const late = this.#callerAt - expected;
      if (waitedMs > STEADY_MS) this.#steadyFrom = now;
      const most = (MOST_MOVED_MS * sampleRate) / 1000;
      this.#gaps = this.#gaps.filter(({ at, from }) => now - at < OPEN_MS && this.#callerAt - from < most);
      if (late > 0) this.#moveBack(late);
      else if (now - this.#steadyFrom >= BURST_MS) this.#gaps = [];
    }
    const at = this.#callerAt;
    this.#write('caller', samples, at);
    this.#callerAt = at + samples.length;
    return at;
  }

  /** Agent's audio that began to be heard at `startedAt`. */
  agent(samples: Int16Array, startedAt: number): void {
    this.#write('agent', samples, Math.max(0, this.sampleAt(startedAt)));
  }

  /** When the next chunk is over: it may still wait for late audio. In milliseconds since the epoch. */
  get nextChunkEndsAt(): number {
    const { startTime, sampleRate } = this.#options;
    return startTime + ((this.#nextChunk + 1) * this.chunkSamples * 1000) / sampleRate;
  }

  /** Hands out the chunks that lie wholly before `now`; the agent's audio must have been accounted for up to it. */
  storeUntil(now: number): void {
    const complete = Math.min(
      Math.floor(this.sampleAt(now) / this.chunkSamples),
      this.#completeByCaller(now),
    );
    while (this.#nextChunk < complete) this.#store(this.#nextChunk++, this.chunkSamples);
  }

  /** The call ended at `endTime`: hands out the rest. The recording is as long as the call, or as its audio. */
  finish(endTime: number): void {
    const length = Math.max(this.#end, this.sampleAt(endTime));
    while (this.#nextChunk * this.chunkSamples < length) {
      const from = this.#nextChunk * this.chunkSamples;
      this.#store(this.#nextChunk++, Math.min(this.chunkSamples, length - from));
    }
  }

  #completeByCaller(now: number): number {
    const settled = this.sampleAt(now - SETTLED_MS);
    const placed = this.#gaps[0]?.floor ?? this.#callerAt;
    return Math.floor(Math.max(placed, settled) / this.chunkSamples);
  }

  /** Moves the caller's audio behind the last gap back, into it; and, once that is closed, into the one before it. */
  #moveBack(late: number): void {
    let left = late;
    for (let i = this.#gaps.length - 1; i >= 0 && left > 0; i--) {
      const gap = this.#gaps[i]!;
      const free = gap.from - Math.max(gap.floor, this.#nextChunk * this.chunkSamples);
      const by = Math.min(left, free);
      if (by <= 0) continue;
      this.#moveFrom(gap.from, by);
      gap.from -= by;
      // Those behind it are closed, and have moved with it.
      for (const later of this.#gaps.slice(i + 1)) {
        later.from -= by;
        later.floor -= by;
      }
      left -= by;
    }
  }

  #moveFrom(from: number, by: number): void {
    const moved = new Int16Array(this.#callerAt - from);
    for (let taken = 0; taken < moved.length; ) {
      const index = Math.floor((from + taken) / this.chunkSamples);
      const offset = from + taken - index * this.chunkSamples;
      const part = this.#track(index, 'caller').subarray(offset, offset + moved.length - taken);
      moved.set(part, taken);
      part.fill(0);
      taken += part.length;
    }
    this.#callerAt -= by;
    this.#write('caller', moved, from - by);
  }

  #write(side: 'caller' | 'agent', samples: Int16Array, at: number): void {
    let written = 0;
    // Audio that would fall into a chunk already stored is lost only by a bug; it is placed at the earliest open sample.
    let position = Math.max(at, this.#nextChunk * this.chunkSamples);
    const first = Math.floor(position / this.chunkSamples);
    const end = position + samples.length;
    // Nearly every frame lies in one chunk.
    if (end <= (first + 1) * this.chunkSamples && samples.length > 0) {
      this.#track(first, side).set(samples, position - first * this.chunkSamples);
      this.#end = Math.max(this.#end, end);
      return;
    }
    while (written < samples.length) {
      const index = Math.floor(position / this.chunkSamples);
      const offset = position - index * this.chunkSamples;
      const part = Math.min(samples.length - written, this.chunkSamples - offset);
      this.#track(index, side).set(samples.subarray(written, written + part), offset);
      written += part;
      position += part;
    }
    this.#end = Math.max(this.#end, position);
  }

  #track(index: number, side: 'caller' | 'agent'): Int16Array {
    let chunk = this.#open.get(index);
    if (chunk === undefined) {
      chunk = { caller: null, agent: null };
      this.#open.set(index, chunk);
    }
    chunk[side] ??= this.#spare.pop() ?? new Int16Array(this.chunkSamples);
    return chunk[side];
  }

  #store(index: number, length: number): void {
    const { caller = null, agent = null } = this.#open.get(index) ?? {};
    this.#open.delete(index);
    const free = this.#options.store({
      index,
      length,
      caller: caller?.subarray(0, length) ?? null,
      agent: agent?.subarray(0, length) ?? null,
    });
    if (!free) return;
    for (const track of [caller, agent]) {
      if (track !== null && this.#spare.length < MOST_SPARE) this.#spare.push(track.fill(0));
    }
  }
}
