import { createRequire } from 'node:module';
import { join } from 'node:path';
import sherpa, { type Vad } from 'sherpa-onnx-node';
import type { VoiceActivityDetector } from '../../src/audio/voice-activity.ts';

/** The rate that the model hears, in Hz, and how many samples at once. */
const MODEL_RATE = 16_000;
const WINDOW = 512;
/** The library's own smoothing is turned off as far as it goes: the call's endpointing does it. */
const LEAST_MS = 10;

const model = join(createRequire(import.meta.url).resolve('@ricky0123/vad-web'), '..', 'silero_vad_v5.onnx');

/** Ones that are not in use: loading the model takes some 20 ms. */
const idle = new Map<number, Vad[]>();

/**
 * Silero's detector (version 5, MIT, 2.3 MB, as npm's `@ricky0123/vad-web` has it) for frames at 8 kHz: a network in place of the
 * WebRTC detector's six bands. It runs natively here; in a Worker it would need a WebAssembly runtime that is larger still.
 */
export function sileroDetector(threshold: number): VoiceActivityDetector {
  const vad = idle.get(threshold)?.pop() ?? load(threshold);
  vad.reset();
  const window = new Float32Array(WINDOW);
  let filled = 0;
  let last = 0;
  return {
    isVoiced(frame) {
      for (const sample of frame) {
        // What a telephone line has lies below 3.4 kHz; the line between two samples is good enough.
        window[filled++] = (last + sample) / 2 / 32_768;
        window[filled++] = sample / 32_768;
        last = sample;
        if (filled < WINDOW) continue;
        filled = 0;
        vad.acceptWaveform(window.slice());
        while (!vad.isEmpty()) vad.pop();
      }
      return vad.isDetected();
    },
    reset: () => vad.reset(),
    close: () => {
      const others = idle.get(threshold);
      if (others === undefined) idle.set(threshold, [vad]);
      else others.push(vad);
    },
  };
}

function load(threshold: number): Vad {
  const sileroVad = {
    model,
    threshold,
    minSilenceDuration: LEAST_MS / 1_000,
    minSpeechDuration: LEAST_MS / 1_000,
    maxSpeechDuration: 1_000,
    windowSize: WINDOW,
  };
  return new sherpa.Vad({ sileroVad, sampleRate: MODEL_RATE, numThreads: 1, provider: 'cpu' }, 30);
}
