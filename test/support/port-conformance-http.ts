import { wavToMono } from '../../src/audio/wav.ts';
import type { Answer } from './http-double.ts';

/** Counts the requests that wait for the end of their answer, and all that there have been. */
export class RequestCount {
  made = 0;
  open = 0;

  /** The same answer, counted. */
  of(answer: Answer): Answer {
    return (request, response) => {
      this.made++;
      this.open++;
      response.once('close', () => {
        this.open--;
      });
      return answer(request, response);
    };
  }
}

/** As often as a test may ask. */
export function always<T>(answer: T): T[] {
  return new Array<T>(50).fill(answer);
}

const texts = ['alpha', 'bravo', 'charlie', 'delta', 'echo', 'foxtrot', 'golf', 'hotel'];
const STEP = 3000;

/** Half a second of a tone, whose loudness says which text it is. */
export function tone(number: number, sampleRate: 8000 | 16000): { samples: Int16Array; text: string } {
  const samples = Int16Array.from({ length: sampleRate / 2 }, (_, i) =>
    Math.round((number + 1) * STEP * Math.sin((2 * Math.PI * 400 * i) / sampleRate)),
  );
  return { samples, text: texts[number]! };
}

/** What a WAV file of a {@link tone} says. */
export function textOfWav(wav: Uint8Array): string {
  const { samples } = wavToMono(wav);
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  return texts[Math.round(peak / STEP) - 1] ?? '';
}
