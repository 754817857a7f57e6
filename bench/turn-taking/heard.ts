import { createHash } from 'node:crypto';
import { Moonshine, moonshineRate } from '../../embedded/engines/stt/moonshine.ts';
import { Resampler } from '../../src/audio/resample.ts';
import type { Clock } from '../../src/call/clock.ts';
import type { SpeechToText, SpeechToTextOptions } from '../../src/providers/ports.ts';
import { WindowedSession } from '../../src/providers/windowed-session.ts';
import { joined, lineRate } from './clips.ts';

/** As the service has them by default (src/config.ts, src/providers/openai/speech-to-text.ts). */
const windows = { bufferMs: 2_000, runAhead: true, maxInFlight: 3 };

/** The embedded recogniser; what it was asked before it does not think about again. */
export class Recogniser {
  readonly #moonshine: Moonshine;
  readonly #known = new Map<string, Promise<string>>();
  /** Seconds of audio that it has transcribed, and requests for that. */
  seconds = 0;
  requests = 0;

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
    this.requests++;
    this.seconds += samples.length / lineRate;
    const resampler = new Resampler(lineRate, moonshineRate);
    const wide = joined([resampler.push(samples), resampler.flush()]);
    const text = this.#moonshine.transcribe(wide, new AbortController().signal);
    this.#known.set(key, text);
    return text;
  }
}

/**
 * Speech-to-text as the service has it with a vendor of files, in a call whose clock is not the machine's: each request's text comes
 * exactly `latencyMs` of the call's time after it, however long the recogniser takes.
 */
export class TimedSpeechToText implements SpeechToText {
  readonly #recogniser: Recogniser;
  readonly #clock: Clock;
  readonly #latencyMs: number;
  readonly #underWay = new Set<Promise<string>>();

  constructor(recogniser: Recogniser, clock: Clock, latencyMs: number) {
    this.#recogniser = recogniser;
    this.#clock = clock;
    this.#latencyMs = latencyMs;
  }

  open(options: SpeechToTextOptions): WindowedSession {
    return new WindowedSession((samples) => this.#transcribe(samples), options, windows);
  }

  /** The recogniser has finished with everything that it was given: the call's clock may go on. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #transcribe(samples: Int16Array) {
    const due = new Promise<void>((resolve) => this.#clock.after(this.#latencyMs, resolve));
    const heard = this.#recogniser.transcribe(samples);
    this.#underWay.add(heard);
    const text = await heard.finally(() => this.#underWay.delete(heard));
    await due;
    return { text, usage: { provider: 'embedded/moonshine', audioSeconds: samples.length / lineRate } };
  }
}
