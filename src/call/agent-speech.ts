import { type CachedSpeech, cachedSpeech, type SpeechStore } from '../providers/cached-speech.ts';
import type { TextToSpeech, TextToSpeechRequest, Usage } from '../providers/ports.ts';
import { sentencesOf } from '../text/sentences.ts';
import type { AgentConfig } from './agent-config.ts';
import { openingOf } from './opening.ts';

/** Ready audio, and what the audio of a voice depends on beside voice and text. */
export interface SpeechCache {
  store: SpeechStore;
  identity: string;
}

/** The agent's voice: what it says word for word again and again is ready audio. */
export class AgentSpeech {
  readonly #speech: CachedSpeech;
  readonly #agent: AgentConfig;
  readonly #onUsage: (usage: Usage) => void;
  /** The voice that the lines were made ready in. */
  #prepared: string | null = null;

  constructor(options: {
    agent: AgentConfig;
    textToSpeech: TextToSpeech;
    cache: SpeechCache;
    onLookup(hit: boolean): void;
    /** What making lines ready costs. */
    onUsage(usage: Usage): void;
  }) {
    this.#agent = options.agent;
    this.#onUsage = options.onUsage;
    const { agent, cache } = options;
    const declared = agent.faq.flatMap(({ answer }) => sentencesOf(answer));
    const opening = openingOf(agent).flatMap(({ text }) => sentencesOf(text));
    const fixed = new Set([...opening, ...preparedLines(agent), ...declared]);
    this.#speech = cachedSpeech(options.textToSpeech, {
      store: cache.store,
      identity: JSON.stringify([agent.version, cache.identity]),
      isFixed: (sentence) => fixed.has(sentence),
      onLookup: options.onLookup,
    });
  }

  get textToSpeech(): TextToSpeech {
    return this.#speech;
  }

  /** Makes the lines ready that are needed when speech may be down; once a voice. Ends with the signal. */
  async prepare(as: Omit<TextToSpeechRequest, 'text'>, signal: AbortSignal): Promise<void> {
    const key = JSON.stringify(as);
    if (this.#prepared === key) return;
    this.#prepared = key;
    for (const text of preparedLines(this.#agent)) {
      await this.#speech.prepare({ ...as, text, onLateBill: this.#onUsage }, signal);
    }
  }
}

/** In the pieces in which they are spoken: the hold line whole, the others by sentences. */
function preparedLines({ apology, silence }: AgentConfig): string[] {
  const spoken = [apology, silence.prompt, silence.goodbye].flatMap(sentencesOf);
  return silence.holdLine === '' ? spoken : [silence.holdLine, ...spoken];
}
