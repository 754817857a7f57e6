import { chainLanguageModel, chainTextToSpeech } from './chain.ts';
import type { ChainMember } from './chain-members.ts';
import { type LanguageModel, ProviderError, type TextToSpeech } from './ports.ts';
import type { Transcribe } from './windowed-session.ts';

/** A chain of providers of which nothing is known but their order: each with its own deadlines, and a circuit for this call alone. */
export function fallbackLanguageModel(models: readonly LanguageModel[]): LanguageModel {
  return chainLanguageModel(models.map(unnamed));
}

/** See {@link fallbackLanguageModel}. */
export function fallbackTextToSpeech(voices: readonly TextToSpeech[]): TextToSpeech {
  return chainTextToSpeech(voices.map(unnamed));
}

/** Each window of audio goes to the first transcriber that understands it. */
export function fallbackTranscribe(transcribers: readonly Transcribe[]): Transcribe {
  return async (samples, signal) => {
    const failures: ProviderError[] = [];
    for (const transcribe of transcribers) {
      try {
        const heard = await transcribe(samples, signal);
        return { ...heard, failures: [...failures, ...(heard.failures ?? [])] };
      } catch (error) {
        if (signal.aborted || !(error instanceof ProviderError)) throw error;
        failures.push(error);
      }
    }
    throw failures.at(-1)!;
  };
}

function unnamed<Port>(port: Port, number: number): ChainMember<Port> {
  return { port, name: `provider ${number + 1}`, deadlineMs: Number.POSITIVE_INFINITY };
}
