import type { VoiceActivityDetector } from './voice-activity.ts';

/**
 * The energy of a tone lies in a few narrow lines; that of a voice in many harmonics, or in noise. A sound is a tone if so few
 * Hz hold nearly all of its energy. How few depends on how high it lies: over 900 Hz no voice is without energy below, which
 * leaves room for what fax machines and modems shift between two lines; the lower, the more a soft vowel resembles a tone.
 *
 * Measured on the voiced frames of telephone speech: of 2,357 by several speakers one passes for a tone, of 66,000 by one woman,
 * recorded in a studio, 0.3 %. A voice that is already heard is trusted over them.
 */
interface ToneLimit {
  /** Centre of the energy, in Hz, from which it holds. */
  fromHz: number;
  /** The lines have this width together, in bins. */
  bins: number;
  /** Share of the energy outside them, at most. */
  outside: number;
  /** Audio that is judged, in milliseconds: longer keeps close lines apart, and is later to know. */
  windowMs: number;
  /** A tone is certain to be none of a voice's sounds when it has lasted for so long, in milliseconds. */
  certainMs: number;
}

/** The lowest signal in use is a dial tone of 350 and 440 Hz, with its centre at 395; soft vowels of women lie at 350. */
const limits: readonly ToneLimit[] = [
  // Howler, special information tones, DTMF, CNG, CED, V.21.
  { fromHz: 900, bins: 18, outside: 0.03, windowMs: 20, certainMs: 0 },
  // DTMF with the lower tone louder.
  { fromHz: 600, bins: 10, outside: 0.02, windowMs: 20, certainMs: 0 },
  // Dial, ringing and busy tones, 40 to 140 Hz between their lines.
  { fromHz: 380, bins: 7, outside: 0.01, windowMs: 32, certainMs: 40 },
];

/** Width of a bin, in Hz: a transform of 32 ms. */
const binHz = 31.25;
/** Below it lie an offset of the line and its mains hum. */
const lowestBin = 3;
/** Upper end of the telephone band: 4 kHz. */
const highestBin = 128;

const historyMs = 32;
const shortestWindowMs = 20;

/** Voice for so long is trusted: what resembles a tone is then a vowel, unless it goes on for `toneMs`. */
const trustedMs = 60;
const toneMs = 100;
/** A silence of this length ends the trust. */
const distrustMs = 300;
/** The detector goes on finding voice after a sound: for up to 100 ms in frames of 20 ms. */
const afterToneMs = 120;
/** What is 15 dB below a tone is not speech that follows it, but its echo, or the line's noise. */
const afterToneShare = 10 ** -1.5;

/**
 * A detector to which tones are no voice: fax and modem signals, dial, ringing and busy tones, DTMF, beeps. Tones with speech over
 * them are voice. Frames in which `detector` finds no voice are not looked at.
 *
 * A tone's first 20 to 40 ms still pass for voice, since nothing else can be told from them.
 *
 * @param sampleRate of the frames, in Hz: that of `detector`.
 */
export function withoutTones(
  detector: VoiceActivityDetector,
  sampleRate: 8000 | 16000,
): VoiceActivityDetector {
  return new ToneFilter(detector, sampleRate);
}

class ToneFilter implements VoiceActivityDetector {
  readonly #detector: VoiceActivityDetector;
  readonly #sampleRate: number;
  readonly #spectrum: Spectrum;
  /** The last of the line, as a ring: the next sample goes to `#at`. */
  readonly #heard: Int16Array;
  #at = 0;
  /** Its last voiced frames, of a voice that is trusted, that nobody has judged yet: so many, of one length. */
  #unjudged = 0;
  #frameLength = 0;
  /** Milliseconds of voice since the last silence or tone; of the tone that is heard; since the last one. */
  #voiceMs = 0;
  #tonalMs = 0;
  #afterMs = Number.POSITIVE_INFINITY;
  #quietMs = 0;
  /** The last tone's mean square, and whether it was certain. */
  #tonePower = 0;
  #toneCertain = false;

  constructor(detector: VoiceActivityDetector, sampleRate: 8000 | 16000) {
    this.#detector = detector;
    this.#sampleRate = sampleRate;
    this.#spectrum = spectra[sampleRate] ??= new Spectrum(sampleRate);
    this.#heard = new Int16Array((sampleRate * (historyMs + toneMs)) / 1000);
  }

  isVoiced(frame: Int16Array): boolean {
    const voiced = this.#detector.isVoiced(frame);
    this.#keep(frame);
    const ms = (frame.length * 1000) / this.#sampleRate;
    if (!voiced) {
      this.#takeSilence(frame, ms);
      return false;
    }
    this.#quietMs = 0;
    if (this.#voiceMs >= trustedMs) return this.#takeTrusted(frame, ms);
    const limit = this.#toneBefore(0);
    return limit === null ? this.#takeVoice(frame, ms) : this.#takeTone(frame, ms, limit);
  }

  reset(): void {
    this.#detector.reset();
    this.#heard.fill(0);
    this.#unjudged = 0;
    this.#voiceMs = 0;
    this.#tonalMs = 0;
    this.#afterMs = Number.POSITIVE_INFINITY;
    this.#quietMs = 0;
  }

  close(): void {
    this.#detector.close();
  }

  #keep(frame: Int16Array): void {
    const untilEnd = this.#heard.length - this.#at;
    if (frame.length < untilEnd) {
      this.#heard.set(frame, this.#at);
      this.#at += frame.length;
      return;
    }
    this.#heard.set(frame.subarray(0, untilEnd), this.#at);
    this.#heard.set(frame.subarray(untilEnd));
    this.#at = frame.length - untilEnd;
  }

  /** The limit under which what was heard up to so many samples ago is a tone; null if it is none. */
  #toneBefore(samples: number): ToneLimit | null {
    const { length } = this.#heard;
    return this.#spectrum.toneIn(this.#heard, (this.#at - samples + length) % length);
  }

  /**
   * Within a trusted voice a tone is one when it has lasted for `toneMs`, so only the frame in which it could have is judged; those before
   * it, which are most, only if that one is a tone. What comes of it is the same as if each had been judged.
   */
  #takeTrusted(frame: Int16Array, ms: number): boolean {
    // Lines have frames of one length. One of another is judged at once, and those before it no more: a tone is found a little later.
    const sameLength = frame.length === this.#frameLength;
    if (!sameLength) this.#unjudged = 0;
    this.#frameLength = frame.length;
    this.#unjudged++;
    if (sameLength && this.#tonalMs + this.#unjudged * ms < toneMs) return true;
    const limit = this.#toneBefore(0);
    let tonal = limit === null ? 0 : 1;
    while (tonal > 0 && tonal < this.#unjudged && this.#toneBefore(tonal * frame.length) !== null) tonal++;
    const unbroken = tonal === this.#unjudged;
    this.#unjudged = 0;
    this.#tonalMs = (unbroken ? this.#tonalMs : 0) + tonal * ms;
    if (limit === null || !unbroken) return true;
    this.#tonalMs -= ms;
    return this.#takeTone(frame, ms, limit);
  }

  #takeSilence(frame: Int16Array, ms: number): void {
    this.#unjudged = 0;
    this.#quietMs += ms;
    if (this.#quietMs >= distrustMs) this.#voiceMs = 0;
    if (this.#afterMs > afterToneMs) {
      this.#tonalMs = 0;
      return;
    }
    // The detector soon takes a steady tone for noise, and the noise that follows it for voice.
    const ratio = meanSquare(frame) / this.#tonePower;
    this.#afterMs = ratio > 0.5 && ratio < 2 ? 0 : this.#afterMs + ms;
  }

  #takeTone(frame: Int16Array, ms: number, limit: ToneLimit): boolean {
    this.#tonalMs += ms;
    if (this.#voiceMs >= trustedMs && this.#tonalMs < toneMs) return true;
    this.#voiceMs = 0;
    this.#afterMs = 0;
    this.#tonePower = meanSquare(frame);
    this.#toneCertain = this.#tonalMs >= limit.certainMs;
    return false;
  }

  #takeVoice(frame: Int16Array, ms: number): boolean {
    // The frame in which a tone ends, or turns its phase.
    const toneEnds = this.#afterMs === 0 && this.#toneCertain;
    this.#tonalMs = 0;
    this.#afterMs += ms;
    if (toneEnds) return false;
    // What the detector takes for voice in its wake.
    if (this.#afterMs <= afterToneMs && meanSquare(frame) < this.#tonePower * afterToneShare) return false;
    this.#afterMs = Number.POSITIVE_INFINITY;
    this.#voiceMs += ms;
    return true;
  }
}

/** The power of the last of a sound, by frequency. One for all detectors of a rate: it keeps nothing from call to call. */
class Spectrum {
  readonly #sampleRate: number;
  readonly #size: number;
  /** What is judged: 32 ms. */
  readonly #samples: Int16Array;
  /** Two samples each, as one complex number: of real samples a transform of half the length tells all. */
  readonly #real: Float64Array;
  readonly #imaginary: Float64Array;
  /** Of the whole circle's parts, as many as there are samples. */
  readonly #cosines: Float64Array;
  readonly #sines: Float64Array;
  /** Index of each pair of samples after the transform's reordering. */
  readonly #reversed: Uint16Array;
  /** Hann windows, by their length in samples. With one of 20 ms a line has 99 % of its power in 150 Hz. */
  readonly #windows = new Map<number, Float64Array>();
  readonly #power = new Float64Array(highestBin - lowestBin);
  readonly #strongestBins = new Float64Array(Math.max(...limits.map(({ bins }) => bins)));
  #total = 0;
  #strongest = 0;

  constructor(sampleRate: number) {
    const size = sampleRate / binHz;
    const pairs = size / 2;
    const bits = Math.log2(pairs);
    this.#sampleRate = sampleRate;
    this.#size = size;
    this.#samples = new Int16Array((sampleRate * historyMs) / 1000);
    this.#real = new Float64Array(pairs);
    this.#imaginary = new Float64Array(pairs);
    this.#cosines = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.#sines = Float64Array.from({ length: size / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / size));
    this.#reversed = Uint16Array.from({ length: pairs }, (_, i) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; bit++) reversed |= ((i >> bit) & 1) << (bits - 1 - bit);
      return reversed;
    });
  }

  /** The limit under which the last of a ring's samples before `end` are a tone; null if they are none. */
  toneIn(ring: Int16Array, end: number): ToneLimit | null {
    const { length } = this.#samples;
    const wrapped = Math.max(0, length - end);
    if (wrapped > 0) this.#samples.set(ring.subarray(ring.length - wrapped));
    this.#samples.set(ring.subarray(end - length + wrapped, end), wrapped);
    const centre = this.#measure(shortestWindowMs);
    const limit = limits.find(({ fromHz }) => centre >= fromHz);
    if (limit === undefined) return null;
    if (limit.windowMs !== shortestWindowMs) this.#measure(limit.windowMs);
    return this.#liesIn(limit.bins, limit.outside) ? limit : null;
  }

  /** Takes the last `windowMs` of the samples. Returns the centre of their power, in Hz; 0 for digital silence. */
  #measure(windowMs: number): number {
    const window = this.#windowOf((this.#sampleRate * windowMs) / 1000);
    const samples = this.#samples;
    const start = samples.length - window.length;
    const re = this.#real;
    const im = this.#imaginary;
    re.fill(0);
    im.fill(0);
    for (let i = 0; i < window.length; i += 2) {
      const at = this.#reversed[i / 2]!;
      re[at] = window[i]! * samples[start + i]!;
      im[at] = window[i + 1]! * samples[start + i + 1]!;
    }
    this.#transform();
    let total = 0;
    let moment = 0;
    let strongest = 0;
    for (let bin = lowestBin; bin < highestBin; bin++) {
      const power = this.#powerOf(bin);
      this.#power[bin - lowestBin] = power;
      total += power;
      moment += power * bin;
      if (power > strongest) strongest = power;
    }
    // At 16 kHz, what lies over the telephone band is none of a tone's.
    for (let bin = highestBin; bin < this.#size / 2; bin++) total += this.#powerOf(bin);
    this.#total = total;
    this.#strongest = strongest;
    return total === 0 ? 0 : (moment / total) * binHz;
  }

  /** Whether no more than a share of what was measured lies outside its strongest bins. */
  #liesIn(bins: number, outside: number): boolean {
    // Most speech needs no search: even that many bins of the strongest one's power would not do.
    if (bins * this.#strongest < (1 - outside) * this.#total) return false;
    let rest = this.#total;
    for (const power of this.#strongestOf(bins)) rest -= power;
    return rest <= outside * this.#total;
  }

  /** The power of the strongest `count` bins, the greatest first: a few are found faster than all are sorted. */
  #strongestOf(count: number): Float64Array {
    const strongest = this.#strongestBins.subarray(0, count);
    strongest.fill(0);
    for (let bin = 0; bin < this.#power.length; bin++) {
      const power = this.#power[bin]!;
      if (power <= strongest[count - 1]!) continue;
      let at = count - 1;
      for (; at > 0 && strongest[at - 1]! < power; at--) strongest[at] = strongest[at - 1]!;
      strongest[at] = power;
    }
    return strongest;
  }

  #windowOf(length: number): Float64Array {
    const known = this.#windows.get(length);
    if (known !== undefined) return known;
    const window = Float64Array.from(
      { length },
      (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / length),
    );
    this.#windows.set(length, window);
    return window;
  }

  /** What the pairs' transform tells of the samples' own: even and odd ones apart, by its symmetry, and joined. */
  #powerOf(bin: number): number {
    const re = this.#real;
    const im = this.#imaginary;
    const mirrored = this.#size / 2 - bin;
    const evenRe = re[bin]! + re[mirrored]!;
    const evenIm = im[bin]! - im[mirrored]!;
    const oddRe = im[bin]! + im[mirrored]!;
    const oddIm = re[mirrored]! - re[bin]!;
    const c = this.#cosines[bin]!;
    const s = this.#sines[bin]!;
    const real = evenRe + oddRe * c - oddIm * s;
    const imaginary = evenIm + oddRe * s + oddIm * c;
    return (real * real + imaginary * imaginary) / 4;
  }

  /** Cooley and Tukey's fast Fourier transform, of pairs in reversed order. */
  #transform(): void {
    const re = this.#real;
    const im = this.#imaginary;
    const pairs = re.length;
    // The first step turns nothing.
    for (let a = 0; a < pairs; a += 2) {
      const re2 = re[a + 1]!;
      const im2 = im[a + 1]!;
      re[a + 1] = re[a]! - re2;
      im[a + 1] = im[a]! - im2;
      re[a] = re[a]! + re2;
      im[a] = im[a]! + im2;
    }
    for (let half = 2; half < pairs; half *= 2) {
      const step = this.#size / (2 * half);
      for (let k = 0; k < half; k++) {
        const c = this.#cosines[k * step]!;
        const s = this.#sines[k * step]!;
        for (let a = k; a < pairs; a += 2 * half) {
          const b = a + half;
          const re2 = re[b]! * c - im[b]! * s;
          const im2 = re[b]! * s + im[b]! * c;
          re[b] = re[a]! - re2;
          im[b] = im[a]! - im2;
          re[a] = re[a]! + re2;
          im[a] = im[a]! + im2;
        }
      }
    }
  }
}

/** One a rate: tables of some kilobytes, which thousands of calls share. */
const spectra: { 8000?: Spectrum; 16000?: Spectrum } = {};

function meanSquare(frame: Int16Array): number {
  let sum = 0;
  for (let i = 0; i < frame.length; i++) sum += frame[i]! * frame[i]!;
  return sum / frame.length;
}
