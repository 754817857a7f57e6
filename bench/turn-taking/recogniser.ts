import { createHash } from 'node:crypto';
import { Moonshine, moonshineRate } from '../../embedded/engines/stt/moonshine.ts';
import { Resampler } from '../../src/audio/resample.ts';
import { joined } from '../../tools/caller/audio.ts';
import { lineRate } from './clips.ts';
import type { Transcriber } from './timed-speech-to-text.ts';

/** The embedded recogniser; what it was asked before it does not think about again. */
export class Recogniser implements Transcriber {
  readonly #moonshine: Moonshine;
  readonly #known = new Map<string, Promise<string>>();
  private constructor(moonshine: Moonshine) {
    this.#moonshine = moonshine;
  }

  static async load(): Promise<Recogniser> {
    return new Recogniser(await Moonshine.load());
  }

  /** Of samples at {@link lineRate}. */
  transcribe(samples: Int16Array): Promise<string> {
    const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
    const key = createHash('sha1').update(bytes).digest('base64');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const resampler = new Resampler(lineRate, moonshineRate);
    const wide = joined([resampler.push(samples), resampler.flush()]);
    const text = this.#moonshine.transcribe(wide, new AbortController().signal);
    this.#known.set(key, text);
    return text;
  }
}
