// Voice activity and endpointing as the service has them, for the systems that it is compared with: the same wait for the same end.
import fvadWasm from '@echogarden/fvad-wasm/fvad.wasm';
import { loadVoiceActivity } from '../../src/audio/voice-activity.ts';
import { defaultEndpointing } from '../../src/call/agent-config.ts';
import { Endpointer, FRAME_MS } from '../../src/call/endpointing.ts';

let detectors = null;

/** `energy` costs nothing: for a system whose transcriber, in production, listens elsewhere. `webrtc`: as the service. */
export async function createDetector(kind, sampleRate) {
  if (kind === 'energy') return { isVoiced: isLoud, close() {} };
  detectors ??= loadVoiceActivity(fvadWasm);
  return (await detectors).create({ sampleRate });
}

function isLoud(frame) {
  for (let i = 0; i < frame.length; i += 4) if (Math.abs(frame[i]) > 500) return true;
  return false;
}

/** Cuts pushed audio into utterances; tells of each one's start, of a pause that may be its end, and of its end. */
export class Utterances {
  #detector;
  #sampleRate;
  #endpointer;
  #handler;
  #pauseFrames;
  #frame;
  #filled = 0;
  #frames = [];
  #silent = 0;

  /** @param pauseMs silence after which `onPause` is told; 0: never. */
  constructor({ detector, sampleRate, endMs, pauseMs, ...handler }) {
    this.#detector = detector;
    this.#sampleRate = sampleRate;
    this.#endpointer = new Endpointer({ ...defaultEndpointing, endMs });
    this.#handler = handler;
    this.#pauseFrames = pauseMs / FRAME_MS;
    this.#frame = new Int16Array((sampleRate / 1000) * FRAME_MS);
  }

  push(samples) {
    for (let taken = 0; taken < samples.length; ) {
      const part = Math.min(this.#frame.length - this.#filled, samples.length - taken);
      this.#frame.set(samples.subarray(taken, taken + part), this.#filled);
      this.#filled += part;
      taken += part;
      if (this.#filled < this.#frame.length) return;
      this.#filled = 0;
      this.#take(this.#frame.slice());
    }
  }

  close() {
    this.#detector.close();
  }

  #take(frame) {
    const voiced = this.#detector.isVoiced(frame);
    this.#frames.push(frame);
    this.#silent = voiced ? 0 : this.#silent + 1;
    const change = this.#endpointer.push(voiced);
    if (change === 'start') this.#handler.onStart?.();
    if (change === 'end') {
      this.#handler.onEnd(this.#audio());
      this.#frames = [];
    } else if (!this.#endpointer.speaking) {
      const preRoll = (defaultEndpointing.preRollMs + defaultEndpointing.startWindowMs) / FRAME_MS;
      if (this.#frames.length > preRoll) this.#frames.shift();
    } else if (this.#silent > 0 && this.#silent === this.#pauseFrames) {
      this.#handler.onPause?.(this.#audio());
    } else if (voiced) {
      this.#handler.onMore?.();
    }
  }

  #audio() {
    const samples = new Int16Array(this.#frames.length * this.#frame.length);
    for (const [i, frame] of this.#frames.entries()) samples.set(frame, i * this.#frame.length);
    return { samples, sampleRate: this.#sampleRate };
  }
}
