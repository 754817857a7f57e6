import { chainLanguageModel, chainTextToSpeech } from './chain.ts';
import type { ChainMember } from './chain-members.ts';
import type { LanguageModel, TextToSpeech } from './ports.ts';

/** A chain of providers of which nothing is known but their order: each with its own deadlines, and a circuit for this call alone. */
export function fallbackLanguageModel(models: readonly LanguageModel[]): LanguageModel {
  return chainLanguageModel(models.map(unnamed));
}

/** See {@link fallbackLanguageModel}. */
export function fallbackTextToSpeech(voices: readonly TextToSpeech[]): TextToSpeech {
  return chainTextToSpeech(voices.map(unnamed));
}

function unnamed<Port>(port: Port, number: number): ChainMember<Port> {
  return { port, name: `provider ${number + 1}`, deadlineMs: Number.POSITIVE_INFINITY };
}
