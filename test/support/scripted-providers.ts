import { AsyncQueue } from '../../src/call/async-queue.ts';
import type { Clock } from '../../src/call/clock.ts';
import type {
  LanguageModelRequest,
  Message,
  SpeechToTextEvent,
  TextToSpeechRequest,
  ToolCall,
} from '../../src/providers/ports.ts';
import type { Providers } from '../../src/providers/registry.ts';

/** What scripted providers do; every entry may be changed during a test. */
export interface Script {
  /** Text of each utterance, in order; an error fails it. What is beyond the list is empty. */
  transcripts: (string | Error)[];
  transcriptMs: number;
  /** What is understood at each pause of the caller's, in order; what is beyond the list is nothing. */
  pauses: string[];
  /** The pieces in which the model writes its answer, the tools it asks for, or the error it throws after them. */
  answer(messages: readonly Message[]): (string | ToolCall | Error)[];
  firstTokenMs: number;
  tokenMs: number;
  /** From the last text to the end of the stream. */
  endMs: number;
  /** Milliseconds of audio that a sentence makes, or the error. */
  speech(request: TextToSpeechRequest): number | Error;
  firstAudioMs: number | ((text: string) => number);
}

/** Providers that do what a script says, on a fake clock, and note what was asked of them. */
export function scriptedProviders(clock: Clock, script: Partial<Script> = {}) {
  const plan: Script = {
    transcripts: [],
    transcriptMs: 0,
    pauses: [],
    answer: () => ['All right.'],
    firstTokenMs: 0,
    tokenMs: 0,
    endMs: 0,
    speech: (request) => request.text.length * 50,
    firstAudioMs: 0,
    ...script,
  };
  const asked = {
    messages: [] as (readonly Message[])[],
    spoken: [] as string[],
    /** Samples of each utterance that reached speech-to-text. */
    utteranceSamples: [] as number[],
    /** Of each session of speech-to-text. */
    languages: [] as (string | undefined)[],
    /** Lets the speech-to-text session say something of its own. */
    hear: (_event: SpeechToTextEvent): void => {},
    /** Requests and sessions that are under way. */
    open: 0,
  };
  const wait = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      const timer = clock.after(ms, resolve);
      signal.addEventListener('abort', () => {
        timer.cancel();
        reject(signal.reason);
      });
    });

  const providers: Providers = {
    speechToSpeech: null,
    duplex: null,
    speechToText: {
      open({ signal, language }) {
        asked.open++;
        asked.languages.push(language);
        const events = new AsyncQueue<SpeechToTextEvent>();
        asked.hear = (event) => events.push(event);
        let utterance = 0;
        let samples = 0;
        let pause = 0;
        signal.addEventListener('abort', () => {
          asked.open--;
          events.end();
        });
        return {
          push(pushed) {
            samples += pushed.length;
          },
          pause() {
            const text = plan.pauses[pause++];
            if (text !== undefined) events.push({ type: 'interim', utterance, text, stable: true });
          },
          endUtterance() {
            asked.utteranceSamples.push(samples);
            samples = 0;
            const number = utterance++;
            const result = plan.transcripts[number] ?? '';
            clock.after(plan.transcriptMs, () =>
              events.push(
                typeof result === 'string'
                  ? { type: 'final', utterance: number, text: result }
                  : { type: 'failed', utterance: number, error: result as never },
              ),
            );
            return number;
          },
          discardUtterance() {
            samples = 0;
          },
          events,
        };
      },
    },
    languageModel: {
      async *reply(request: LanguageModelRequest, signal: AbortSignal) {
        asked.messages.push(request.messages);
        asked.open++;
        try {
          await wait(plan.firstTokenMs, signal);
          for (const piece of plan.answer(request.messages)) {
            if (piece instanceof Error) throw piece;
            if (typeof piece === 'string') yield { type: 'text' as const, text: piece };
            else yield { type: 'toolCall' as const, call: piece };
            if (plan.tokenMs > 0) await wait(plan.tokenMs, signal);
          }
          yield { type: 'finished' as const };
          await wait(plan.endMs, signal);
          yield { type: 'usage' as const, usage: { provider: 'scripted/model', outputTokens: 1 } };
        } finally {
          asked.open--;
        }
      },
    },
    textToSpeech: {
      async *speak(request: TextToSpeechRequest, signal: AbortSignal) {
        asked.spoken.push(request.text);
        asked.open++;
        try {
          const { firstAudioMs } = plan;
          await wait(typeof firstAudioMs === 'number' ? firstAudioMs : firstAudioMs(request.text), signal);
          const ms = plan.speech(request);
          if (ms instanceof Error) throw ms;
          yield { type: 'audio' as const, samples: new Int16Array((ms * request.sampleRate) / 1000).fill(9) };
        } finally {
          asked.open--;
        }
      },
    },
  };
  return { providers, plan, asked };
}
