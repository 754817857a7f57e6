import type { Clock } from '../../src/call/clock.ts';
import type { SpeechToText, SpeechToTextOptions } from '../../src/providers/ports.ts';
import { WindowedSession } from '../../src/providers/windowed-session.ts';
import { lineRate } from './clips.ts';

export interface Transcriber {
  /** Of samples at {@link lineRate}. */
  transcribe(samples: Int16Array): Promise<string>;
}

/** As the service has them by default (src/config.ts, src/providers/openai/speech-to-text.ts). */
const windows = { provider: 'embedded/moonshine', bufferMs: 2_000, runAhead: true, maxInFlight: 3 };

/**
 * Speech-to-text as the service has it with a vendor of files, in a call whose clock is not the machine's: each request's text comes
 * exactly `latencyMs` of the call's time after it, however long the recogniser takes.
 */
export class TimedSpeechToText implements SpeechToText {
  readonly #transcriber: Transcriber;
  readonly #clock: Clock;
  readonly #latencyMs: number;
  readonly #underWay = new Set<Promise<string>>();

  constructor(transcriber: Transcriber, clock: Clock, latencyMs: number) {
    this.#transcriber = transcriber;
    this.#clock = clock;
    this.#latencyMs = latencyMs;
  }

  open(options: SpeechToTextOptions): WindowedSession {
    return new WindowedSession((samples) => this.#transcribe(samples), options, windows);
  }

  /** The recogniser works on something: the call's clock has to wait. */
  get busy(): boolean {
    return this.#underWay.size > 0;
  }

  /** The recogniser has finished with everything that it was given: the call's clock may go on. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #transcribe(samples: Int16Array) {
    const due = new Promise<void>((resolve) => this.#clock.after(this.#latencyMs, resolve));
    const heard = this.#transcriber.transcribe(samples);
    this.#underWay.add(heard);
    const text = await heard.finally(() => this.#underWay.delete(heard));
    await due;
    return { text, usage: { provider: 'embedded/moonshine', audioSeconds: samples.length / lineRate } };
  }
}
