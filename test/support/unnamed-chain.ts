import { chainLanguageModel, chainTextToSpeech } from '../../src/providers/chain.ts';
import type { ChainMember } from '../../src/providers/chain-members.ts';
import type { LanguageModel, TextToSpeech } from '../../src/providers/ports.ts';

/** Chains of providers of which nothing is known but their order: each with its own deadlines, and a circuit for this call alone. */
export function fallbackLanguageModel(models: readonly LanguageModel[]): LanguageModel {
  return chainLanguageModel(models.map(unnamed));
}

export function fallbackTextToSpeech(voices: readonly TextToSpeech[]): TextToSpeech {
  return chainTextToSpeech(voices.map(unnamed));
}

function unnamed<Port>(port: Port, number: number): ChainMember<Port> {
  return { port, name: `provider ${number + 1}`, deadlineMs: Number.POSITIVE_INFINITY };
}
