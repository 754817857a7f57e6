import type { ConversationItem, RealtimeClientEvent } from 'openai/resources/realtime/realtime';
import type { Message, ToolCall } from '../ports.ts';
import type { RealtimeConnection } from './connection.ts';
import type { Utterance } from './utterance.ts';
import type { UtteranceInput } from './utterances.ts';

/** What the model is to remember of a call, in its order. */
export type Entry = (
  | { kind: 'text'; role: 'system' | 'user' | 'assistant'; text: string }
  | { kind: 'utterance'; utterance: Utterance }
  | { kind: 'call'; call: ToolCall }
  | { kind: 'result'; callId: string; output: string }
) & {
  /** The item on the connection of the moment; an utterance's is its own. Null: it is not there. */
  item: string | null;
};

/** Entries that a new session is given; the model's own window would drop the oldest as well. */
const mostEntries = 400;

/**
 * The model's memory outside of the model: what a session that is opened in place of another one has to be told
 * (`conversation.item.create`, https://developers.openai.com/api/docs/guides/realtime-conversations). Audio cannot be given back, so the
 * past stands there in words; only utterances that are not transcribed yet are sent as audio again.
 */
export class Conversation {
  #entries: Entry[] = [];
  #connection: RealtimeConnection | null = null;
  #items = 0;

  /** A new session: it remembers nothing. */
  open(connection: RealtimeConnection, input: UtteranceInput): void {
    this.#connection = null;
    for (const entry of this.#entries) entry.item = null;
    this.#connection = connection;
    for (const entry of this.#entries) {
      if (entry.kind === 'utterance' && entry.utterance.result === null) input.resendEnded(entry.utterance);
      else this.#create(entry);
    }
  }

  closed(): void {
    this.#connection = null;
  }

  /** Something that the server does not know yet. */
  add(entry: Entry): void {
    this.record(entry);
    this.#create(entry);
  }

  /** Something that the server knows already, or is just being told. */
  record(entry: Entry): void {
    this.#entries.push(entry);
    // A tool's result without its call is refused, so they go together.
    while (this.#entries.length > mostEntries || this.#entries[0]?.kind === 'result') this.#entries.shift();
  }

  addMessage(message: Message): void {
    if (message.role === 'tool') {
      this.add({ kind: 'result', callId: message.toolCallId, output: message.content, item: null });
      return;
    }
    if (message.content !== '') {
      this.add({ kind: 'text', role: message.role, text: message.content, item: null });
    }
    if (message.role !== 'assistant') return;
    for (const call of message.toolCalls ?? []) this.add({ kind: 'call', call, item: null });
  }

  /** The words of an entry are others, e.g. fewer: it is put anew in its place. */
  rewrite(entry: Extract<Entry, { kind: 'text' }>, text: string): void {
    entry.text = text;
    if (entry.item === null) return;
    this.send({ type: 'conversation.item.delete', item_id: entry.item });
    entry.item = null;
    this.#create(entry, this.#before(entry));
  }

  send(event: RealtimeClientEvent): void {
    this.#connection?.send(event);
  }

  #before(entry: Entry): string {
    for (let i = this.#entries.indexOf(entry) - 1; i >= 0; i--) {
      const other = this.#entries[i]!;
      const item = other.kind === 'utterance' ? (other.utterance.item ?? other.item) : other.item;
      if (item !== null) return item;
    }
    return 'root';
  }

  #create(entry: Entry, after?: string): void {
    if (this.#connection === null) return;
    const item = itemOf(entry);
    if (item === null) return;
    entry.item = `item_${this.#items++}`;
    this.send({
      type: 'conversation.item.create',
      ...(after === undefined ? {} : { previous_item_id: after }),
      item: { ...item, id: entry.item },
    });
  }
}

/** Null for what has no words. */
function itemOf(entry: Entry): ConversationItem | null {
  switch (entry.kind) {
    case 'call': {
      const { id, name, arguments: args } = entry.call;
      return { type: 'function_call', call_id: id, name, arguments: args };
    }
    case 'result':
      return { type: 'function_call_output', call_id: entry.callId, output: entry.output };
    case 'utterance': {
      const { result } = entry.utterance;
      const text = result !== null && 'text' in result ? result.text : '';
      return text === '' ? null : messageOf('user', text);
    }
    default:
      return entry.text.trim() === '' ? null : messageOf(entry.role, entry.text);
  }
}

function messageOf(role: 'system' | 'user' | 'assistant', text: string): ConversationItem {
  if (role === 'assistant') return { type: 'message', role, content: [{ type: 'output_text', text }] };
  return { type: 'message', role, content: [{ type: 'input_text', text }] };
}
