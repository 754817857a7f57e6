import { Flite } from '../../embedded/engines/tts/flite.ts';
import type { SampleRate } from '../../src/dialects/native-messages.ts';
import { joined, voicedSpan } from '../caller/audio.ts';
import { frameMs } from '../caller/pacer.ts';
import { callerVoice } from '../caller/speech.ts';

/** Something to say, as it goes from process to process. */
export interface Clip {
  samples: Int16Array;
  sampleRate: SampleRate;
}

/** A clip cut into frames, which all calls of a process share; the last has the last voiced sample. */
export type Utterance = readonly Int16Array[];

/** Says each text once, by the embedded engine: no network, nothing that has to run. */
export async function renderClips(
  texts: readonly string[],
  sampleRate: SampleRate,
  signal: AbortSignal,
): Promise<Clip[]> {
  const flite = new Flite();
  try {
    const clips: Clip[] = [];
    for (const text of texts) {
      const pieces: Int16Array[] = [];
      for await (const piece of flite.speak(text, { voice: callerVoice, speed: 1, sampleRate }, signal)) {
        pieces.push(piece);
      }
      clips.push({ samples: joined(pieces), sampleRate });
    }
    return clips;
  } finally {
    await flite.close();
  }
}

/** The voiced part of a clip in frames, without the silence about it: the last frame is the one that ends the speech. */
export function toUtterance({ samples, sampleRate }: Clip): Utterance {
  const length = (sampleRate / 1000) * frameMs;
  const { start, end } = voicedSpan(samples, sampleRate) ?? { start: 0, end: samples.length };
  const frames: Int16Array[] = [];
  for (let at = start; at < end; at += length) {
    const frame = new Int16Array(length);
    frame.set(samples.subarray(at, Math.min(end, at + length)));
    frames.push(frame);
  }
  return frames;
}
