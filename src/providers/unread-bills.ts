import {
  type LanguageModel,
  type LanguageModelRequest,
  ProviderError,
  type TextToSpeech,
  type TextToSpeechRequest,
  type Usage,
} from './ports.ts';

/** OpenAI's rule of thumb for English (https://developers.openai.com/api/docs/concepts, "Tokens"); the embedded engines count so too. */
const charactersPerToken = 4;

/**
 * The same model. A reply whose end nobody waits for has been paid for as well: what it was asked, and what it had written until then. A
 * vendor tells its usage at the end of the stream alone, so that of one that was interrupted, thrown away or given up is a guess, and says
 * so (`estimated`). Likewise where a server tells no usage at all.
 *
 * @param provider as in the model's own usage.
 */
export function withUnreadBills(model: LanguageModel, provider: string): LanguageModel {
  return {
    warm: () => model.warm?.(),
    close: () => model.close?.(),
    reply: (request, signal) => {
      let written = 0;
      return billed(() => model.reply(request, signal), {
        signal,
        observe: (event) => {
          if (event.type === 'text') written += event.text.length;
          if (event.type === 'toolCall') written += event.call.arguments.length + event.call.name.length;
          return written > 0;
        },
        owed: () =>
          request.onLateBill?.({
            provider,
            inputTokens: tokensOf(lengthOf(request)),
            outputTokens: tokensOf(written),
            estimated: true,
          }),
      });
    },
  };
}

/**
 * The same voice. Whoever is interrupted before the first audio has sent the text already. Not for vendors that tell the tokens of a
 * cancelled response themselves.
 */
export function withUnreadSpeech(
  speech: TextToSpeech,
  provider: (request: TextToSpeechRequest) => string,
): TextToSpeech {
  return {
    warm: (as) => speech.warm?.(as),
    close: () => speech.close?.(),
    speak: (request, signal) =>
      billed(() => speech.speak(request, signal), {
        signal,
        observe: () => false,
        owed: () =>
          request.onLateBill?.({
            provider: provider(request),
            characters: request.text.length,
            estimated: true,
          }),
      }),
  };
}

interface Bill<Event> {
  /** Of the request. */
  signal: AbortSignal;
  /** Sees each event; whether there is something that was certainly charged for. */
  observe(event: Event): boolean;
  /** The request was made, and no usage was told. Once, at most. */
  owed(): void;
}

/** A request that failed before anything came of it is free (an HTTP error); one that was waited for in vain may have been worked on. */
async function* billed<Event extends { type: string } | { type: 'usage'; usage: Usage }>(
  start: () => AsyncIterable<Event>,
  { signal, observe, owed }: Bill<Event>,
): AsyncGenerator<Event, void, void> {
  if (signal.aborted) return;
  let told = false;
  let begun = false;
  const settle = () => {
    if (!told) owed();
    told = true;
  };
  // At once, and not when somebody reads on: nobody may.
  signal.addEventListener('abort', settle, { once: true });
  try {
    for await (const event of start()) {
      if (event.type === 'usage') told = true;
      else begun = observe(event) || begun;
      yield event;
    }
    if (begun) settle();
  } catch (error) {
    if (begun || (error instanceof ProviderError && error.failure === 'timeout')) settle();
    throw error;
  } finally {
    signal.removeEventListener('abort', settle);
  }
}

function lengthOf({ messages, tools = [] }: LanguageModelRequest): number {
  const said = messages.map((message) =>
    'toolCalls' in message && message.toolCalls !== undefined
      ? message.content.length + JSON.stringify(message.toolCalls).length
      : message.content.length,
  );
  const known = tools.map((tool) => JSON.stringify(tool).length);
  return [...said, ...known].reduce((sum, length) => sum + length, 0);
}

function tokensOf(characters: number): number {
  return Math.ceil(characters / charactersPerToken);
}
