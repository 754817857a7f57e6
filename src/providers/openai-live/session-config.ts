import type { InitialItem, SessionConfig } from 'openai/resources/live/live';
import type { DuplexOptions } from '../duplex.ts';
import type { Message } from '../ports.ts';
import { defaultModel, type OpenAiLiveSettings } from './settings.ts';
import { wireFormat } from './wire-audio.ts';

/**
 * The API counts tokens, which are counted here as bytes of UTF-8: of English some four are a token, of Chinese or Japanese three.
 * Its limits: 16,384 tokens of instructions, 128 messages of together 8,192 tokens, 500 tokens an append
 * (https://developers.openai.com/api/docs/guides/live-conversations).
 */
const mostInstructionBytes = 48_000;
const mostMessages = 128;
const mostHistoryBytes = 22_000;
const mostMessageBytes = 2_000;
const mostAppendBytes = 1_400;
/** Appends that one text may take. */
const mostAppends = 16;

/** The field of `session.start`. */
export function sessionConfig(
  settings: OpenAiLiveSettings,
  options: Pick<DuplexOptions, 'sampleRate' | 'instructions' | 'voice' | 'history'>,
): SessionConfig {
  const input = initialItems(options.history());
  return {
    model: settings.model ?? defaultModel,
    instructions: cutAtBytes(options.instructions, mostInstructionBytes),
    audio: {
      format: wireFormat(options.sampleRate),
      output: { voice: settings.voice ?? options.voice },
    },
    // The call's own language model and tools do what is delegated.
    delegation: { type: 'client' },
    ...(input.length === 0 ? {} : { input }),
  };
}

/** The latest part of the history that fits. What tools did is told by the developer: the API takes no tool messages. */
function initialItems(history: readonly Message[]): InitialItem[] {
  const items: InitialItem[] = [];
  let bytes = 0;
  for (const message of history.toReversed()) {
    const item = initialItem(message);
    if (item === null) continue;
    bytes += bytesOf(item.content[0]!.text);
    if (items.length === mostMessages || bytes > mostHistoryBytes) break;
    items.unshift(item);
  }
  return items;
}

function initialItem(message: Message): InitialItem | null {
  const cut = (text: string) => cutAtBytes(text.trim(), mostMessageBytes);
  const developer = (text: string): InitialItem => ({
    type: 'message',
    role: 'developer',
    content: [{ type: 'input_text', text: cut(text) }],
  });
  switch (message.role) {
    // The prompt stands in the instructions.
    case 'system':
      return null;
    case 'tool':
      return developer(`The tool answered: ${message.content}`);
    case 'user': {
      const text = cut(message.content);
      return text === '' ? null : { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
    }
    case 'assistant': {
      const asked = message.toolCalls ?? [];
      if (asked.length > 0) {
        return developer(asked.map((call) => `A tool was used: ${call.name}(${call.arguments})`).join('\n'));
      }
      const text = cut(message.content);
      return text === ''
        ? null
        : { type: 'message', role: 'assistant', content: [{ type: 'output_text', text }] };
    }
  }
}

/** A text in pieces that one append takes, cut between words where there are any. What is beyond {@link mostAppends} is left out. */
export function appendsOf(text: string): string[] {
  const pieces: string[] = [];
  let rest = text.trim();
  while (rest !== '' && pieces.length < mostAppends) {
    let piece = cutAtBytes(rest, mostAppendBytes);
    if (piece.length < rest.length) {
      const space = piece.search(/\s\S*$/);
      if (space > 0) piece = piece.slice(0, space);
    }
    pieces.push(piece);
    rest = rest.slice(piece.length).trimStart();
  }
  return pieces;
}

const encoder = new TextEncoder();

function bytesOf(text: string): number {
  return encoder.encode(text).length;
}

/** The longest beginning of at most `most` bytes, whole characters only. */
function cutAtBytes(text: string, most: number): string {
  if (text.length * 3 <= most || bytesOf(text) <= most) return text;
  const { read } = encoder.encodeInto(text, new Uint8Array(most));
  return text.slice(0, read);
}
