import { AsyncQueue } from '../../src/call/async-queue.ts';
import type { Clock } from '../../src/call/clock.ts';
import type { ProviderError, ToolCall } from '../../src/providers/ports.ts';
import type {
  SpeechToSpeech,
  SpeechToSpeechEvent,
  SpeechToSpeechOptions,
} from '../../src/providers/speech-to-speech.ts';

/** One step of a response: words (50 ms of audio a character), a request for a tool, or a failure. */
export type Step = string | ToolCall | ProviderError;

export interface SpeechModelScript {
  /** Text of each utterance, in order. */
  transcripts: string[];
  /** Steps of each response, in order; what is beyond the list says "All right." */
  responses: Step[][];
  firstAudioMs: number;
  /** Between the steps of a response. */
  stepMs: number;
}

/** A model that hears and speaks by a script, on a fake clock, and notes what it was told. */
export function scriptedSpeechModel(clock: Clock, script: Partial<SpeechModelScript> = {}) {
  const plan: SpeechModelScript = { transcripts: [], responses: [], firstAudioMs: 0, stepMs: 0, ...script };
  /** What the session was told, in order. */
  const told: string[] = [];
  let options: SpeechToSpeechOptions | null = null;
  let open = 0;
  let lose: (error: ProviderError) => void = () => {};
  const model: SpeechToSpeech = {
    provider: 'scripted/speech',
    open(given) {
      options = given;
      open++;
      const events = new AsyncQueue<SpeechToSpeechEvent | { lost: ProviderError }>();
      const live = new Set<number>();
      let utterance = 0;
      let responses = 0;
      let answered = 0;
      given.signal.addEventListener('abort', () => {
        open--;
        live.clear();
        events.end();
      });
      lose = (error) => {
        events.push({ lost: error });
        events.end();
      };
      const bill = (response: number) =>
        events.push({ type: 'usage', usage: { provider: 'scripted/speech', outputTokens: 1 }, response });
      const perform = (steps: readonly Step[]) => {
        const response = responses++;
        live.add(response);
        const step = (i: number) => {
          if (!live.has(response)) return;
          const next = steps[i];
          if (next === undefined) {
            live.delete(response);
            bill(response);
            events.push({ type: 'responded', response });
            return;
          }
          if (next instanceof Error) {
            live.delete(response);
            events.push({ type: 'responseFailed', response, error: next });
            return;
          }
          if (typeof next === 'string') {
            events.push({ type: 'text', response, text: next });
            const samples = new Int16Array((next.length * 50 * given.sampleRate) / 1000).fill(9);
            events.push({ type: 'audio', response, samples });
          } else {
            events.push({ type: 'toolCall', response, call: next });
          }
          clock.after(plan.stepMs, () => step(i + 1));
        };
        clock.after(plan.firstAudioMs, () => step(0));
        return response;
      };
      return {
        push() {},
        pause() {},
        endUtterance() {
          const number = utterance++;
          told.push(`utterance ${number}`);
          events.push({ type: 'final', utterance: number, text: plan.transcripts[number] ?? '' });
          return number;
        },
        discardUtterance() {},
        respond() {
          told.push('respond');
          return perform(plan.responses[answered++] ?? ['All right.']);
        },
        cancel(response) {
          if (!live.delete(response)) return;
          told.push(`cancel ${response}`);
          // What was made until then is paid for, and told when the server has noticed.
          clock.after(1_000, () => bill(response));
        },
        truncate(response, heardMs, heardText) {
          told.push(`truncate ${response} after ${Math.round(heardMs)} ms: ${heardText}`);
        },
        add(message) {
          told.push(`add ${message.role}: ${message.content}`);
        },
        toolResult(id, output) {
          told.push(`result ${id}: ${output}`);
        },
        events: (async function* () {
          for await (const event of events) {
            if ('lost' in event && !('type' in event)) throw event.lost;
            yield event as SpeechToSpeechEvent;
          }
        })(),
      };
    },
  };
  return {
    model,
    plan,
    told,
    get options() {
      return options;
    },
    get open() {
      return open;
    },
    lose: (error: ProviderError) => lose(error),
  };
}
