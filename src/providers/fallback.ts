import { type LanguageModel, ProviderError, type TextToSpeech } from './ports.ts';
import type { Transcribe } from './windowed-session.ts';

/**
 * The same port with others behind it: where the first fails before it has said anything, the next one is asked, and the
 * failure is told as a `failover` event. What has begun to answer is not replaced: two halves of different answers make none.
 */
export function fallbackLanguageModel(models: readonly LanguageModel[]): LanguageModel {
  return {
    reply: (request, signal) =>
      firstToAnswer(
        models.map((model) => () => model.reply(request, signal)),
        (event) => event.type === 'text',
        signal,
      ),
  };
}

/** See {@link fallbackLanguageModel}. A voice that the next provider does not know is that provider's own to replace. */
export function fallbackTextToSpeech(voices: readonly TextToSpeech[]): TextToSpeech {
  return {
    speak: (request, signal) =>
      firstToAnswer(
        voices.map((voice) => () => voice.speak(request, signal)),
        (event) => event.type === 'audio',
        signal,
      ),
  };
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

async function* firstToAnswer<Event extends { type: string }>(
  attempts: readonly (() => AsyncIterable<Event>)[],
  isAnswer: (event: Event) => boolean,
  signal: AbortSignal,
): AsyncGenerator<Event | { type: 'failover'; error: ProviderError }, void, void> {
  for (const [i, attempt] of attempts.entries()) {
    let answered = false;
    try {
      for await (const event of attempt()) {
        answered ||= isAnswer(event);
        yield event;
      }
      return;
    } catch (error) {
      const last = i === attempts.length - 1;
      if (answered || last || signal.aborted || !(error instanceof ProviderError)) throw error;
      yield { type: 'failover', error };
    }
  }
}
