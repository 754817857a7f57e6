import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import {
  ProviderError,
  type SpeechToText,
  type SpeechToTextEvent,
  type SpeechToTextSession,
  type Usage,
} from '../providers/ports.ts';
import { withoutSoundLabels } from '../text/sound-label.ts';
import type { EndpointingOptions } from './agent-config.ts';
import type { Clock, Timer } from './clock.ts';
import { Endpointer, FRAME_MS } from './endpointing.ts';

/** One stretch of the caller's speech, from its first sample to the decision that it is over. */
export interface Utterance {
  /** The speech-to-text session's number of it. */
  number: number;
  /** Samples from the start of the recording. */
  startSample: number;
  endSample: number;
  /** Milliseconds since the epoch: its first voiced frame, its last one, and the decision that it is over. */
  startedAt: number;
  lastVoicedAt: number;
  decidedAt: number;
  /** What told that it is over: the silence after it, the provider's own judgement that the turn is, or the keys' own end. */
  endedBy: 'silence' | 'endOfTurn' | 'keys';
}

export interface ListenerHandler {
  /** The caller began to speak. */
  speechStarted(): void;
  /** The caller's turn is over; its text follows. */
  utteranceEnded(utterance: Utterance): void;
  /** `stable`: the caller has paused, and everything up to the pause is in the text. */
  interim(text: string, stable: boolean): void;
  /** The provider judges that with the utterance of this number, which was transcribed, the turn is over. */
  turnJudgedOver(number: number): void;
  /** The provider heard in which language the caller speaks. */
  languageHeard(language: string): void;
  /** Exactly one of these two follows each `utteranceEnded`, in order. */
  /** `lost`: why a part of it could not be transcribed. */
  transcribed(utterance: Utterance, text: string, lost: ProviderError | null): void;
  transcriptionFailed(utterance: Utterance, error: ProviderError): void;
  usage(usage: Usage): void;
  /** A provider failed, and another one took its place. */
  failedOver(error: ProviderError): void;
}

export interface ListenerOptions {
  clock: Clock;
  sampleRate: 8000 | 16000;
  endpointing: EndpointingOptions;
  language: string | null;
  keywords: readonly string[];
  detector: VoiceActivityDetector;
  speechToText: SpeechToText;
  handler: ListenerHandler;
}

/**
 * Silence that is a pause. It is kept at the end of an utterance, so that the last word is not clipped; then speech-to-text is
 * told, and has the rest of the end-of-turn silence to get its text ready.
 */
const PAUSE_MS = 240;
/** How much longer than the end-of-turn silence a line may send nothing at all before the turn is closed. */
const STALL_MS = 200;

/**
 * Turns the caller's audio into utterances and their text: voice activity → endpointing → speech-to-text.
 * Silence is not sent to the provider, except between the words of an utterance.
 */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #endpointer: Endpointer;
  readonly #session: SpeechToTextSession;
  readonly #abort = new AbortController();
  readonly #frame: Int16Array;
  #frameFilled = 0;
  /** The last frames before speech, as one ring of samples: the next one goes to `preRollAt`. */
  readonly #preRoll: Int16Array;
  #preRollAt = 0;
  #preRollFilled = 0;
  /** Unvoiced frames since the last voiced one, as far as they were not sent: sent when speech goes on, dropped when not. */
  #pause: Int16Array[] = [];
  #paused = false;
  #position = 0;
  #startSample = 0;
  #startedAt = 0;
  #lastVoicedAt = 0;
  #lastVoicedSample = 0;
  #lastAudioAt = 0;
  /** Length of the last frames: a line of long ones is silent for longer between them. */
  #lastAudioMs = 0;
  #stallTimer: Timer | null = null;
  readonly #waiting = new Map<number, Utterance>();
  /** The session's number of the utterance that is being spoken, or comes next. */
  #spoken = 0;
  #idle: (() => void) | null = null;
  #closed = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#endpointer = new Endpointer(options.endpointing);
    const samplesOf = (ms: number) => (options.sampleRate / 1000) * ms;
    this.#frame = new Int16Array(samplesOf(FRAME_MS));
    this.#preRoll = new Int16Array(Math.ceil(options.endpointing.preRollMs / FRAME_MS) * samplesOf(FRAME_MS));
    this.#session = options.speechToText.open({
      sampleRate: options.sampleRate,
      ...(options.language === null ? {} : { language: options.language }),
      ...(options.keywords.length === 0 ? {} : { keywords: options.keywords }),
      signal: this.#abort.signal,
    });
    void this.#receive();
  }

  get speaking(): boolean {
    return this.#endpointer.speaking;
  }

  /** Audio of any length, the first sample at `position` of the recording. Keeps no reference to `samples`. */
  push(samples: Int16Array, position: number, arrivedAt: number): void {
    if (this.#closed) return;
    this.#lastAudioAt = arrivedAt;
    this.#lastAudioMs = (samples.length * 1000) / this.#options.sampleRate;
    // A part of a frame that waits belongs before these samples.
    this.#position = position - this.#frameFilled;
    // What most lines send: nothing of it has to be copied together.
    if (this.#frameFilled === 0 && samples.length === this.#frame.length) {
      this.#takeFrame(samples);
      return;
    }
    let taken = 0;
    while (taken < samples.length) {
      const part = Math.min(this.#frame.length - this.#frameFilled, samples.length - taken);
      this.#frame.set(samples.subarray(taken, taken + part), this.#frameFilled);
      this.#frameFilled += part;
      taken += part;
      if (this.#frameFilled < this.#frame.length) return;
      this.#frameFilled = 0;
      this.#takeFrame(this.#frame);
      this.#position += this.#frame.length;
    }
  }

  /** No more audio comes: what was being said is over as far as it was heard. */
  lineLost(): void {
    if (this.#endpointer.speaking) this.#endUtterance();
  }

  /** The call is over: closes an utterance that is being spoken and waits for what is still being transcribed. */
  async finish(timeoutMs: number): Promise<void> {
    if (this.#endpointer.speaking) this.#endUtterance();
    if (this.#waiting.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#options.clock.after(timeoutMs, resolve);
        this.#idle = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.close();
  }

  /** Ends the session at once. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stallTimer?.cancel();
    this.#abort.abort();
    this.#options.detector.close();
  }

  /** Whoever keeps anything of `frame` copies it. */
  #takeFrame(frame: Int16Array): void {
    const voiced = this.#options.detector.isVoiced(frame);
    if (voiced) {
      this.#lastVoicedAt = this.#lastAudioAt;
      this.#lastVoicedSample = this.#position + frame.length;
    }
    const change = this.#endpointer.push(voiced);
    if (change === 'start') this.#startUtterance();
    if (change === 'end') {
      this.#endUtterance();
    } else if (!this.#endpointer.speaking) {
      this.#rememberBeforeSpeech(frame);
    } else if (voiced || change === 'start') {
      this.#sendPause();
      this.#paused = false;
      this.#session.push(frame);
    } else {
      this.#pause.push(frame.slice());
      if (!this.#paused && this.#pause.length * FRAME_MS >= PAUSE_MS) this.#startPause();
    }
  }

  #startPause(): void {
    this.#sendPause();
    this.#paused = true;
    this.#session.pause();
  }

  #sendPause(): void {
    for (const frame of this.#pause) this.#session.push(frame);
    this.#pause.length = 0;
  }

  #startUtterance(): void {
    this.#startSample = Math.max(0, this.#position - this.#preRollFilled);
    this.#startedAt = this.#lastAudioAt - this.#options.endpointing.startMs;
    this.#pushPreRoll();
    this.#preRollAt = 0;
    this.#preRollFilled = 0;
    this.#watchForStall();
    this.#options.handler.speechStarted();
  }

  #pushPreRoll(): void {
    const behind = Math.max(0, this.#preRollFilled - this.#preRollAt);
    const before = this.#preRollFilled - behind;
    if (behind > 0) this.#session.push(this.#preRoll.subarray(this.#preRoll.length - behind));
    if (before > 0) this.#session.push(this.#preRoll.subarray(this.#preRollAt - before, this.#preRollAt));
  }

  #endUtterance(endedBy: Utterance['endedBy'] = 'silence'): void {
    this.#endpointer.reset();
    this.#stallTimer?.cancel();
    // What came after the pause was told is nothing but silence.
    if (!this.#paused) this.#sendPause();
    this.#pause.length = 0;
    this.#paused = false;
    const number = this.#session.endUtterance();
    this.#spoken = number + 1;
    const utterance: Utterance = {
      number,
      startSample: this.#startSample,
      endSample: this.#lastVoicedSample,
      startedAt: this.#startedAt,
      lastVoicedAt: this.#lastVoicedAt,
      decidedAt: this.#options.clock.now(),
      endedBy,
    };
    this.#waiting.set(utterance.number, utterance);
    this.#options.handler.utteranceEnded(utterance);
  }

  /** A line that falls silent by sending nothing must end the turn too: no frame will come to end it. */
  #watchForStall(): void {
    const { clock, endpointing } = this.#options;
    const check = () => {
      const limit = Math.max(endpointing.endMs, this.#lastAudioMs) + STALL_MS;
      const stalledFor = clock.now() - this.#lastAudioAt;
      if (stalledFor >= limit) this.#endUtterance();
      else this.#stallTimer = clock.after(limit - stalledFor, check);
    };
    check();
  }

  #rememberBeforeSpeech(frame: Int16Array): void {
    if (this.#preRoll.length === 0) return;
    this.#preRoll.set(frame, this.#preRollAt);
    this.#preRollAt = (this.#preRollAt + frame.length) % this.#preRoll.length;
    this.#preRollFilled = Math.min(this.#preRoll.length, this.#preRollFilled + frame.length);
  }

  async #receive(): Promise<void> {
    try {
      for await (const event of this.#session.events) {
        if (this.#closed) return;
        this.#take(event);
      }
      this.#failWaiting('the session ended');
    } catch (error) {
      this.#failWaiting(error);
    }
  }

  #take(event: SpeechToTextEvent): void {
    const { handler } = this.#options;
    if (event.type === 'usage') {
      handler.usage(event.usage);
    } else if (event.type === 'failover') {
      handler.failedOver(event.error);
    } else if (event.type === 'interim') {
      // What came while the pause went by is no longer stable.
      handler.interim(withoutSoundLabels(event.text), event.stable === true && this.#paused);
    } else if (event.type === 'endOfTurn') {
      this.#endEarly(event.utterance);
    } else if (event.type === 'language') {
      handler.languageHeard(event.language);
    } else if (event.type === 'final' || event.type === 'failed') {
      const utterance = this.#waiting.get(event.utterance);
      if (utterance === undefined) return;
      this.#waiting.delete(event.utterance);
      if (event.type === 'final') {
        handler.transcribed(utterance, withoutSoundLabels(event.text), event.lost ?? null);
      } else handler.transcriptionFailed(utterance, event.error);
      if (this.#waiting.size === 0) this.#idle?.();
    }
  }

  /** A provider that listens for the end of the turn knows it before the silence does. Not while there is a voice. */
  #endEarly(utterance: number): void {
    if (utterance === this.#spoken && this.#endpointer.speaking && (this.#paused || this.#pause.length > 0)) {
      this.#endUtterance('endOfTurn');
      return;
    }
    // It was ended already, and perhaps more was waited for.
    const waiting = this.#waiting.get(utterance);
    if (waiting !== undefined) waiting.endedBy = 'endOfTurn';
    else if (utterance === this.#spoken - 1) this.#options.handler.turnJudgedOver(utterance);
  }

  /** A session that breaks leaves no utterance without an answer. */
  #failWaiting(cause: unknown): void {
    if (this.#closed) return;
    const error = new ProviderError('speech-to-text', 'unavailable', 'The speech-to-text session ended', {
      cause,
    });
    for (const utterance of this.#waiting.values()) {
      this.#options.handler.transcriptionFailed(utterance, error);
    }
    this.#waiting.clear();
    this.#idle?.();
  }
}
