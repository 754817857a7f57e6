import type { DialogueMessage } from './engine.ts';
import { words } from './vocabulary.ts';

/** Somebody is asked for: what a caller says who wants no machine. */
const asksForSomebody =
  /\b(speak|talk) (to|with) (a |an |some |the )?(human|person|real person|somebody|someone|desk|workshop|mechanic|manager|colleague|operator|member of staff)\b|\b(put me through|transfer me|connect me)\b/;

/** What a language model is offered to connect callers with. */
export interface TransferTool {
  /** The first of the destinations that it names. */
  to: string;
}

/** What is done, or said, about connecting the caller. */
export type Connecting = { call: TransferTool } | { text: string };

/**
 * The part of a conversation that connects the caller to somebody: asks for it where it is offered, announces it, and tells what became of
 * it. Null: that is not what this is about.
 *
 * @param tool null: nobody can be connected.
 */
export function connecting(
  messages: readonly DialogueMessage[],
  tool: TransferTool | null,
): Connecting | null {
  const last = messages.at(-1);
  if (last?.role === 'tool') return { text: 'One moment, I connect you.' };
  if (last?.role === 'system' && messages.length > 1) {
    if (/could not be transferred/.test(last.content)) {
      return { text: 'I am sorry, I cannot connect you on this line. What else can I do for you?' };
    }
    const why = /^The transfer did not come about: ([^.]+)\./.exec(last.content)?.[1];
    return why === undefined ? null : { text: `I am sorry, ${why}. What else can I do for you?` };
  }
  const asked = last?.role === 'user' && asksForSomebody.test(words(last.content).join(' '));
  return asked && tool !== null ? { call: tool } : null;
}
