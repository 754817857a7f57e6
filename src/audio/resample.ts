/**
 * Streaming sample-rate conversion: a polyphase Kaiser-windowed sinc.
 *
 * The filter spans 32 samples of the lower rate, with its −6 dB point at half that rate. A Kaiser window of
 * β = 7.2 then falls from full level at 0.425 to below −70 dB at 0.575 of the lower rate (Kaiser's formula:
 * (73 − 7.95) / (14.36 · 0.15) ≈ 30): for 24 → 8 kHz 3.4 kHz passes and nothing from 4.6 kHz up folds back.
 */
const span = 32;
const kaiserBeta = 7.2;

/** Rates between which {@link Resampler} converts, in Hz. */
export const resamplerRates = [8000, 16000, 22050, 24000, 32000, 44100, 48000] as const;

interface Filter {
  /** Interpolation and decimation of the reduced ratio: output = input · up / down. */
  up: number;
  down: number;
  /** Taps of one phase, and how many of them lie at or before the output's own time. */
  taps: number;
  before: number;
  /** `up` phases of `taps` coefficients, each phase in the input's order and of unit gain. */
  coefficients: Float64Array;
}

/** Filters by ratio; at most one for each pair of {@link resamplerRates}. */
const filters = new Map<string, Filter>();

/**
 * Converts one stream of 16-bit samples between two of {@link resamplerRates}. The filter's delay is taken
 * out: output sample n is the input at time n / toHz. What is returned in all does not depend on how the
 * input is cut, and is `round(input · toHz / fromHz)` samples long, however long the stream.
 */
export class Resampler {
  readonly #filter: Filter | null;
  /** Input that later output still needs, from `#start`; the first `before` samples of a stream are silence. */
  #held: Int16Array;
  #heldLength = 0;
  /** Where the next output's first tap lies in `#held`. */
  #start = 0;
  #phase = 0;
  #consumed = 0;
  #produced = 0;

  /** @throws {RangeError} for a rate that is not one of {@link resamplerRates}. */
  constructor(fromHz: number, toHz: number) {
    for (const rate of [fromHz, toHz]) {
      if (!(resamplerRates as readonly number[]).includes(rate)) {
        throw new RangeError(`cannot convert from or to ${rate} Hz (known: ${resamplerRates.join(', ')})`);
      }
    }
    this.#filter = fromHz === toHz ? null : filterFor(fromHz, toHz);
    this.#held = new Int16Array(2048);
    this.#reset();
  }

  /** Takes the next samples, of which no reference is kept, and returns the output that is complete with them. */
  push(samples: Int16Array): Int16Array {
    if (this.#filter === null) return samples.slice();
    this.#consumed += samples.length;
    this.#append(samples.length);
    this.#held.set(samples, this.#heldLength);
    this.#heldLength += samples.length;
    return this.#convert(this.#filter, Number.POSITIVE_INFINITY);
  }

  /** Ends the stream: returns the rest of its output. The next `push` starts a new stream. */
  flush(): Int16Array {
    const filter = this.#filter;
    if (filter === null) return new Int16Array(0);
    const total = Math.round((this.#consumed * filter.up) / filter.down);
    const rest = total - this.#produced;
    const needed = Math.max(0, this.#start + Math.ceil(((rest + 1) * filter.down) / filter.up) + filter.taps);
    const silence = Math.max(0, needed - this.#heldLength);
    this.#append(silence);
    this.#held.fill(0, this.#heldLength, this.#heldLength + silence);
    this.#heldLength += silence;
    const output = this.#convert(filter, rest);
    this.#reset();
    return output;
  }

  #reset(): void {
    this.#heldLength = this.#filter?.before ?? 0;
    this.#held.fill(0, 0, this.#heldLength);
    this.#start = 0;
    this.#phase = 0;
    this.#consumed = 0;
    this.#produced = 0;
  }

  /** Makes room for `count` samples more, dropping what no output needs any longer. */
  #append(count: number): void {
    if (this.#heldLength + count <= this.#held.length) return;
    const start = Math.min(this.#start, this.#heldLength);
    const kept = this.#held.subarray(start, this.#heldLength);
    if (kept.length + count <= this.#held.length) {
      this.#held.copyWithin(0, start, this.#heldLength);
    } else {
      const larger = new Int16Array(2 * (kept.length + count));
      larger.set(kept);
      this.#held = larger;
    }
    this.#heldLength = kept.length;
    this.#start -= start;
  }

  #convert(filter: Filter, limit: number): Int16Array {
    const { up, down, taps, coefficients } = filter;
    const held = this.#held;
    // The last output whose taps are all there: start + floor((phase + n · down) / up) + taps <= heldLength.
    const room = this.#heldLength - taps - this.#start;
    const ready = room < 0 ? 0 : Math.floor(((room + 1) * up - 1 - this.#phase) / down) + 1;
    const output = new Int16Array(Math.max(0, Math.min(ready, limit)));
    let start = this.#start;
    let phase = this.#phase;
    for (let n = 0; n < output.length; n++) {
      let sum = 0;
      let c = phase * taps;
      for (let i = start; i < start + taps; i++) sum += held[i]! * coefficients[c++]!;
      output[n] = sum >= 32767 ? 32767 : sum <= -32768 ? -32768 : Math.round(sum);
      phase += down;
      start += Math.floor(phase / up);
      phase %= up;
    }
    this.#start = start;
    this.#phase = phase;
    this.#produced += output.length;
    return output;
  }
}

function filterFor(fromHz: number, toHz: number): Filter {
  const key = `${fromHz}/${toHz}`;
  const known = filters.get(key);
  if (known !== undefined) return known;
  const divisor = greatestCommonDivisor(fromHz, toHz);
  const up = toHz / divisor;
  const down = fromHz / divisor;
  // Input samples on each side of an output; `scale` turns a distance in them into one in lower-rate samples.
  const scale = Math.min(1, toHz / fromHz);
  const half = Math.ceil(span / 2 / scale);
  const taps = 2 * half;
  const coefficients = new Float64Array(up * taps);
  for (let phase = 0; phase < up; phase++) {
    let gain = 0;
    for (let tap = 0; tap < taps; tap++) {
      const x = (tap - (half - 1) - phase / up) * scale;
      const value = sinc(x) * kaiser(x / (span / 2));
      coefficients[phase * taps + tap] = value;
      gain += value;
    }
    for (let tap = 0; tap < taps; tap++) coefficients[phase * taps + tap]! /= gain;
  }
  const filter: Filter = { up, down, taps, before: half - 1, coefficients };
  filters.set(key, filter);
  return filter;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Kaiser window at `x` of −1 to 1. */
function kaiser(x: number): number {
  return Math.abs(x) >= 1 ? 0 : besselI0(kaiserBeta * Math.sqrt(1 - x * x)) / besselI0(kaiserBeta);
}

/** Modified Bessel function of the first kind, order 0, by its power series. */
function besselI0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
