import type { Message, ModelTier } from '../providers/ports.ts';

/** When the stronger of an agent's two models answers a turn, instead of the quick one. Any of these does. */
export interface ModelRule {
  /** The caller says one of these, e.g. "explain", "compare". Whole words; upper and lower case are one. */
  phrases: readonly string[];
  /** The caller says at least so many words; 0: never for that. */
  fromWords: number;
}

export const defaultModelRule: ModelRule = { phrases: [], fromWords: 0 };

/** The model for an answer to these messages, the last one the caller's. Pure. */
export function tierFor(rule: ModelRule, messages: readonly Message[]): ModelTier {
  const words = wordsOf(messages.findLast(({ role }) => role === 'user')?.content ?? '');
  if (rule.fromWords > 0 && words.length >= rule.fromWords) return 'strong';
  const said = ` ${words.join(' ')} `;
  const asked = rule.phrases.some((phrase) => {
    const wanted = wordsOf(phrase).join(' ');
    return wanted !== '' && said.includes(` ${wanted} `);
  });
  return asked ? 'strong' : 'quick';
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
}
