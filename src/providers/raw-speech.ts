import { decodeMulaw } from '../audio/g711.ts';
import { decodePcm16 } from '../audio/pcm.ts';
import type { TextToSpeechEvent } from './ports.ts';
import { malformed } from './streamed-request.ts';
import type { Watchdog } from './watchdog.ts';

/** Audio without a header, at the leg's own rate. */
export type RawEncoding = 'mulaw' | 'pcm16';

export interface RawSpeech {
  /** Provider and model, for usage and errors. */
  provider: string;
  encoding: RawEncoding;
  /** In Hz. */
  sampleRate: number;
  /** Characters that are charged for. */
  characters: number;
  /** The longest wait for more audio, in milliseconds. */
  idleMs: number;
  /** Its wait for the first audio has begun. */
  watchdog: Watchdog;
}

/** No sentence is longer: more comes from a broken server. */
const longestSeconds = 600;

/**
 * The events of one sentence from its bytes, wherever they were cut. The usage comes before the audio, since an interrupted
 * sentence is charged as well. Throws `malformed` where there is no audio, or audio without end.
 */
export async function* speechFromBytes(
  pieces: AsyncIterable<Uint8Array>,
  speech: RawSpeech,
): AsyncGenerator<TextToSpeechEvent, void, void> {
  const { provider, encoding, sampleRate, characters, idleMs, watchdog } = speech;
  const { signal } = watchdog;
  const mostBytes = longestSeconds * sampleRate * (encoding === 'pcm16' ? 2 : 1);
  let half: Uint8Array = new Uint8Array(0);
  let bytes = 0;
  let spoken = false;
  for await (const piece of pieces) {
    signal.throwIfAborted();
    if (piece.length === 0) continue;
    watchdog.relax();
    if (bytes === 0) {
      yield { type: 'usage', usage: { provider, characters } };
      if (signal.aborted) return;
    }
    bytes += piece.length;
    if (bytes > mostBytes) throw malformed(provider, 'sent audio without end');
    let samples: Int16Array;
    if (encoding === 'mulaw') {
      samples = decodeMulaw(piece);
    } else {
      const joined = half.length === 0 ? piece : joinBytes(half, piece);
      const whole = joined.length - (joined.length % 2);
      half = joined.slice(whole);
      samples = decodePcm16(joined.subarray(0, whole));
    }
    if (samples.length > 0) {
      spoken = true;
      yield { type: 'audio', samples };
    }
    if (signal.aborted) return;
    watchdog.expect('more audio', idleMs);
  }
  signal.throwIfAborted();
  if (!spoken) throw malformed(provider, 'answered with empty audio');
}

function joinBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
