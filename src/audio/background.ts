import type { VoiceActivityDetector } from './voice-activity.ts';

export interface BackgroundOptions {
  /** How far above the line's usual background a frame has to be, in dB. Default 6: frames of background voices rarely rise further. */
  marginDb?: number;
}

const defaultMarginDb = 6;

/** What was heard so long ago counts for a third: as long as a background stays the same, and longer than an answer of the agent's. */
const memoryMs = 30_000;
/** Before so much was heard, nothing is known of the line. */
const leastMs = 1_000;
/** The bound moves so often. */
const updateMs = 100;
/** Speech and background lie so far apart at least, in dB, on average; what is closer together is one of them alone. */
const leastGapDb = 8;
/** Each of them is so much of what was heard, at least. */
const leastShare = 0.05;
/** Levels from 0 to 90 dB above a mean square of 1. */
const levels = 91;
/** Weights grow instead of the old ones fading; from here on they are made small again. */
const greatestWeight = 1e100;

/**
 * A detector to which the background is no voice: a street, other people in the room. It learns from the levels of the line, which are
 * of two kinds once a caller was heard, and finds the level that divides them (Otsu's method); what is not above the background's
 * median by a margin is background. On a quiet line that is below every sound of speech, and nothing changes.
 *
 * @param sampleRate of the frames, in Hz: that of `detector`.
 */
export function aboveBackground(
  detector: VoiceActivityDetector,
  sampleRate: 8000 | 16000,
  { marginDb = defaultMarginDb }: BackgroundOptions = {},
): VoiceActivityDetector {
  return new BackgroundFilter(detector, sampleRate, marginDb);
}

class BackgroundFilter implements VoiceActivityDetector {
  readonly #detector: VoiceActivityDetector;
  readonly #sampleRate: number;
  readonly #marginDb: number;
  /** How much was heard at each level, the newest with the greatest weight. */
  readonly #histogram = new Float64Array(levels);
  #weight = 1;
  /** By how much each frame weighs more than the one before it, and of what length that holds: one length a line, as a rule. */
  #growth = 1;
  #growthMs = 0;
  #heardMs = 0;
  #sinceUpdateMs = 0;
  /** Below it there is no voice, in dB; 0: all is. */
  #bound = 0;

  constructor(detector: VoiceActivityDetector, sampleRate: number, marginDb: number) {
    this.#detector = detector;
    this.#sampleRate = sampleRate;
    this.#marginDb = marginDb;
  }

  isVoiced(frame: Int16Array): boolean {
    const voiced = this.#detector.isVoiced(frame);
    const level = levelOf(frame);
    this.#learn(level, (frame.length * 1000) / this.#sampleRate);
    return voiced && level >= this.#bound;
  }

  reset(): void {
    this.#detector.reset();
    this.#histogram.fill(0);
    this.#weight = 1;
    this.#heardMs = 0;
    this.#sinceUpdateMs = 0;
    this.#bound = 0;
  }

  close(): void {
    this.#detector.close();
  }

  #learn(level: number, ms: number): void {
    if (ms !== this.#growthMs) {
      this.#growth = Math.exp(ms / memoryMs);
      this.#growthMs = ms;
    }
    this.#weight *= this.#growth;
    this.#histogram[level]! += this.#weight;
    if (this.#weight > greatestWeight) {
      for (let i = 0; i < levels; i++) this.#histogram[i]! /= greatestWeight;
      this.#weight /= greatestWeight;
    }
    this.#heardMs += ms;
    this.#sinceUpdateMs += ms;
    if (this.#heardMs < leastMs || this.#sinceUpdateMs < updateMs) return;
    this.#sinceUpdateMs = 0;
    this.#bound = boundOf(this.#histogram, this.#marginDb);
  }
}

/** The level from which on there is voice; 0 where speech and background cannot be told apart. */
function boundOf(histogram: Float64Array, marginDb: number): number {
  let all = 0;
  let sum = 0;
  for (let i = 0; i < levels; i++) {
    all += histogram[i]!;
    sum += i * histogram[i]!;
  }
  let below = 0;
  let sumBelow = 0;
  let best = { variance: 0, level: 0, gapDb: 0, below: 0 };
  // Between the two there may be levels that nothing was heard at: all of them divide alike.
  let last = 0;
  for (let level = 0; level < levels - 1; level++) {
    below += histogram[level]!;
    sumBelow += level * histogram[level]!;
    const above = all - below;
    if (below < all * leastShare || above < all * leastShare) continue;
    const gapDb = (sum - sumBelow) / above - sumBelow / below;
    const variance = below * above * gapDb ** 2;
    if (variance > best.variance) best = { variance, level, gapDb, below };
    if (below === best.below) last = level;
  }
  if (best.gapDb < leastGapDb) return 0;
  const dividing = Math.ceil((best.level + last + 1) / 2);
  let heard = 0;
  for (let level = 0; level <= best.level; level++) {
    heard += histogram[level]!;
    if (heard * 2 >= best.below) return Math.min(dividing, level + marginDb);
  }
  return 0;
}

function levelOf(frame: Int16Array): number {
  let sum = 0;
  for (let i = 0; i < frame.length; i++) sum += frame[i]! * frame[i]!;
  return Math.round(10 * Math.log10(sum / frame.length + 1));
}
