/** What waits to be said. */
interface Speech {
  samples: Int16Array;
  sent: number;
  /** Sample after the last voiced one. */
  voicedEnd: number;
  done: () => void;
}

/** One frame for the line. */
export interface SpokenFrame {
  samples: Int16Array;
  /** The last voiced sample of an utterance lies in it, this long before its end; null if none does. */
  voicedEndedMsAgo: number | null;
  /** To be called once it was sent: an utterance ends with it. */
  done: (() => void) | null;
}

/** Cuts utterances into frames; between them come frames of silence, since a telephone line never pauses. */
export class Mouth {
  readonly #frameSamples: number;
  readonly #samplesPerMs: number;
  readonly #queue: Speech[] = [];

  constructor(sampleRate: number, frameMs: number) {
    this.#samplesPerMs = sampleRate / 1000;
    this.#frameSamples = this.#samplesPerMs * frameMs;
  }

  /** Samples before the next utterance could begin: every utterance begins with a frame of its own. */
  get queuedSamples(): number {
    let frames = 0;
    for (const speech of this.#queue) {
      frames += Math.ceil((speech.samples.length - speech.sent) / this.#frameSamples);
    }
    return frames * this.#frameSamples;
  }

  /** Says `samples` after what is being said; `done` is called when the last frame of it was sent. */
  say(samples: Int16Array, voicedEnd: number, done: () => void): void {
    this.#queue.push({ samples, sent: 0, voicedEnd, done });
  }

  next(): SpokenFrame {
    const samples = new Int16Array(this.#frameSamples);
    const speech = this.#queue[0];
    if (speech === undefined) return { samples, voicedEndedMsAgo: null, done: null };
    const start = speech.sent;
    const part = speech.samples.subarray(start, start + samples.length);
    samples.set(part);
    speech.sent += part.length;
    const voicedHere = speech.voicedEnd > start && speech.voicedEnd <= speech.sent;
    const isLast = speech.sent >= speech.samples.length;
    if (isLast) this.#queue.shift();
    return {
      samples,
      voicedEndedMsAgo: voicedHere ? (start + samples.length - speech.voicedEnd) / this.#samplesPerMs : null,
      done: isLast ? speech.done : null,
    };
  }
}
