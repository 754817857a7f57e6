import type { TextToSpeech, TextToSpeechRequest } from './ports.ts';

/** Keeps ready audio. Keys are texts of some hundred characters. */
export interface SpeechStore {
  /** 16-bit PCM, or null. Resolves within a fraction of a second, whatever the storage does; never rejects. */
  get(key: string): Promise<Int16Array | null>;
  /**
   * Keeps it for a while. Does not wait, and does not fail.
   *
   * @param shared for other isolates, too. What was said to one caller may be of one caller's, and is not.
   */
  put(key: string, samples: Int16Array, shared: boolean): void;
}

export interface CachedSpeech extends TextToSpeech {
  /** Makes sure that the audio of a sentence is at hand. Failures are left for when it is spoken. */
  prepare(request: TextToSpeechRequest, signal: AbortSignal): Promise<void>;
}

/** Sentences remembered to have been spoken once; beyond it the oldest are forgotten. */
const MOST_REMEMBERED = 2_000;
/** A longer one is hardly ever said twice. In characters. */
const LONGEST_CACHED = 300;
/** No sentence of that length takes longer; what does is not kept. In seconds. */
const LONGEST_AUDIO_S = 60;

/**
 * Speaks from ready audio where there is some: the agent's own fixed lines from the first time on, any other sentence once
 * it is said a second time in this isolate.
 *
 * @param identity provider, model and whatever else makes the audio what it is.
 * @param isFixed whether a sentence is one of the agent's own lines.
 * @param onLookup told of each sentence that could have been ready, and whether it was.
 */
export function cachedSpeech(
  speech: TextToSpeech,
  options: {
    store: SpeechStore;
    identity: string;
    isFixed(sentence: string): boolean;
    onLookup(hit: boolean): void;
  },
): CachedSpeech {
  const { store, identity, isFixed, onLookup } = options;

  async function* speak(
    request: TextToSpeechRequest,
    signal: AbortSignal,
    count: boolean,
  ): ReturnType<TextToSpeech['speak']> & AsyncGenerator {
    if (request.text.length > LONGEST_CACHED || !(isFixed(request.text) || saidBefore(request.text))) {
      yield* speech.speak(request, signal);
      return;
    }
    const key = keyOf(identity, request);
    const ready = await store.get(key);
    if (signal.aborted) return;
    if (count) onLookup(ready !== null);
    if (ready !== null) {
      yield { type: 'audio', samples: ready };
      return;
    }
    const parts: Int16Array[] = [];
    let ownVoice = true;
    for await (const event of speech.speak(request, signal)) {
      if (event.type === 'audio') parts.push(event.samples);
      // Another provider's voice, or another wording, is not what is to be heard from now on.
      if (event.type === 'failover' || event.type === 'wording') ownVoice = false;
      yield event;
    }
    const samples = concatenate(parts);
    if (
      ownVoice &&
      !signal.aborted &&
      samples.length > 0 &&
      samples.length < LONGEST_AUDIO_S * request.sampleRate
    ) {
      store.put(key, samples, isFixed(request.text));
    }
  }

  return {
    speak: (request, signal) => speak(request, signal, true),
    async prepare(request, signal) {
      try {
        for await (const event of speak(request, signal, false)) {
          // Nobody but us sees it.
          if (event.type === 'usage') request.onLateBill?.(event.usage);
          if (signal.aborted) return;
        }
      } catch {
        // The provider is down, or the call over; whoever speaks the line finds out, and reports it.
      }
    },
  };
}

const remembered = new Set<string>();

/** Whether a sentence was asked about before, in this isolate. */
function saidBefore(sentence: string): boolean {
  if (remembered.has(sentence)) return true;
  remembered.add(sentence);
  if (remembered.size > MOST_REMEMBERED) remembered.delete(remembered.values().next().value as string);
  return false;
}

/** Everything that the audio depends on. */
function keyOf(identity: string, { text, voice, sampleRate, language }: TextToSpeechRequest): string {
  return JSON.stringify([identity, voice, language ?? null, sampleRate, text]);
}

function concatenate(parts: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
