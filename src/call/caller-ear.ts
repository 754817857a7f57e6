import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import type { EndpointingOptions } from './agent-config.ts';
import type { Clock, Timer } from './clock.ts';
import { Endpointer, FRAME_MS } from './endpointing.ts';

export interface CallerEarHandler {
  /** The caller began to speak, or goes on after a short pause. */
  voiceStarted(): void;
  /** The caller has paused. */
  voicePaused(): void;
  /** The caller has been silent for so long that a turn is over. Follows `voicePaused`. */
  turnSilence(): void;
}

export interface CallerEarOptions {
  clock: Clock;
  sampleRate: 8000 | 16000;
  endpointing: EndpointingOptions;
  detector: VoiceActivityDetector;
  handler: CallerEarHandler;
}

/** Silence in which a listener who was about to speak may have begun: what comes after it is said over the agent. */
const PAUSE_MS = 200;
/** How much longer than the end-of-turn silence a line may send nothing at all. */
const STALL_MS = 200;

/**
 * When the caller speaks, for an engine whose model hears everything itself: voice activity and endpointing alone, without
 * utterances.
 */
export class CallerEar {
  readonly #options: CallerEarOptions;
  readonly #voice: Endpointer;
  readonly #turn: Endpointer;
  readonly #frame: Int16Array;
  #frameFilled = 0;
  #position = 0;
  #lastAudioAt = 0;
  #lastAudioMs = 0;
  #stallTimer: Timer | null = null;
  #closed = false;
  /** When the last sample of a voice arrived, in milliseconds since the epoch; 0: there was none. */
  lastVoicedAt = 0;
  /** Samples of the recording between which the voice last was. */
  voicedFrom = 0;
  voicedUntil = 0;

  constructor(options: CallerEarOptions) {
    this.#options = options;
    const { endpointing, sampleRate } = options;
    this.#voice = new Endpointer({ ...endpointing, endMs: PAUSE_MS });
    this.#turn = new Endpointer(endpointing);
    this.#frame = new Int16Array((sampleRate / 1000) * FRAME_MS);
  }

  /** There is a voice; short pauses are part of it. */
  get speaking(): boolean {
    return this.#voice.speaking;
  }

  /** Audio of any length, the first sample at `position` of the recording. Keeps no reference to `samples`. */
  push(samples: Int16Array, position: number, arrivedAt: number): void {
    if (this.#closed) return;
    this.#lastAudioAt = arrivedAt;
    this.#lastAudioMs = (samples.length * 1000) / this.#options.sampleRate;
    this.#position = position - this.#frameFilled;
    let taken = 0;
    while (taken < samples.length) {
      const part = Math.min(this.#frame.length - this.#frameFilled, samples.length - taken);
      this.#frame.set(samples.subarray(taken, taken + part), this.#frameFilled);
      this.#frameFilled += part;
      taken += part;
      if (this.#frameFilled < this.#frame.length) return;
      this.#frameFilled = 0;
      this.#position += this.#frame.length;
      this.#takeFrame(this.#options.detector.isVoiced(this.#frame));
      if (this.#closed) return;
    }
  }

  /** No more audio comes: what was being said is over. */
  lineLost(): void {
    this.#stallTimer?.cancel();
    const spoke = this.#voice.speaking;
    const inTurn = spoke || this.#turn.speaking;
    this.#voice.reset();
    this.#turn.reset();
    if (spoke) this.#options.handler.voicePaused();
    if (inTurn) this.#options.handler.turnSilence();
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stallTimer?.cancel();
    this.#options.detector.close();
  }

  #takeFrame(voiced: boolean): void {
    const { handler, endpointing } = this.#options;
    const turn = this.#turn.push(voiced);
    const voice = this.#voice.push(voiced);
    if (voice === 'start') {
      const before = Math.round((endpointing.startWindowMs * this.#options.sampleRate) / 1000);
      this.voicedFrom = Math.max(0, this.#position - before);
      this.#watchForStall();
    }
    if (voiced && this.#voice.speaking) {
      this.voicedUntil = this.#position;
      this.lastVoicedAt = this.#lastAudioAt;
    }
    if (voice === 'start') handler.voiceStarted();
    else if (voice === 'end') handler.voicePaused();
    if (turn === 'end') handler.turnSilence();
  }

  /** A line that falls silent by sending nothing ends the turn too: no frame will come to end it. */
  #watchForStall(): void {
    const { clock, endpointing } = this.#options;
    this.#stallTimer?.cancel();
    const check = () => {
      const limit = Math.max(endpointing.endMs, this.#lastAudioMs) + STALL_MS;
      const stalledFor = clock.now() - this.#lastAudioAt;
      if (!this.#voice.speaking && !this.#turn.speaking) return;
      if (stalledFor < limit) {
        this.#stallTimer = clock.after(limit - stalledFor, check);
        return;
      }
      this.lineLost();
    };
    check();
  }
}
