import type { ClientMessage } from '../../dialects/native-messages.ts';
import type { ReceivedMessage } from './server-message.ts';

/** A line of the list of events. */
export interface LoggedEvent {
  atMs: number;
  direction: 'received' | 'sent' | 'page';
  /** The message's type. */
  what: string;
  detail: string;
}

/** Of a text, what a line shows. */
const MOST_CHARACTERS = 160;

/** One message as a line; audio frames are no messages. */
export function describe(
  direction: 'received' | 'sent',
  message: ReceivedMessage | ClientMessage,
  atMs: number,
): LoggedEvent {
  return { atMs, direction, what: message.type, detail: shortened(detailOf(message)) };
}

function detailOf(message: ReceivedMessage | ClientMessage): string {
  switch (message.type) {
    case 'status':
      return `${message.status}: ${message.message}`;
    case 'error':
      return `${message.code}: ${message.message}`;
    case 'transcript':
      return `${message.role}, ${message.final ? 'final' : 'interim'}: ${message.text}`;
    case 'latency':
      return `turn ${message.turn}: ${message.totalMs} ms`;
    case 'speech':
      return message.text;
    case 'mark':
      return message.name;
    case 'transfer':
      return 'to' in message ? message.to : [message.state, message.cause].filter(Boolean).join(' ');
    case 'dtmf':
      return 'digit' in message ? message.digit : message.digits;
    case 'start_call':
      return message.callId;
    default:
      return '';
  }
}

function shortened(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}
