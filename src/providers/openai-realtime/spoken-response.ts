import type { ResponseCreateEvent } from 'openai/resources/realtime/realtime';
import type { Entry } from './conversation.ts';
import { WireDecoder } from './wire-audio.ts';

/** One response of the default conversation. */
export class SpokenResponse {
  readonly number: number;
  readonly create: ResponseCreateEvent['response'];
  readonly decoder: WireDecoder;
  readonly entry: Extract<Entry, { kind: 'text' }> = {
    kind: 'text',
    role: 'assistant',
    text: '',
    item: null,
  };
  /** What the server calls it. */
  id: string | null = null;
  cancelled = false;
  /** Something of it was told: it is not asked for again. */
  told = false;
  /** It stands in the conversation. */
  recorded = false;
  attempts = 0;

  constructor(number: number, create: ResponseCreateEvent['response'], sampleRate: 8000 | 16000) {
    this.number = number;
    this.create = create;
    this.decoder = new WireDecoder(sampleRate);
  }
}
