import { decodeBase64 } from '../../../src/audio/base64.ts';
import { AudioFormatError } from '../../../src/audio/pcm.ts';
import type { AudioEncoding, ClientMessage } from '../../../src/dialects/native-messages.ts';
import { base64Of, decodeAudio, encodeAudio } from '../audio.ts';
import { parseServerMessage } from '../server-messages.ts';
import type { FarEnd, FarEndContext } from './far-end.ts';

/** The native dialect's client, `/ws/call-session`. */
export class NativeEnd implements FarEnd {
  readonly #context: FarEndContext;
  readonly #transport: 'json' | 'binary';
  readonly #encoding: AudioEncoding;
  #speech: string | null = null;

  constructor(context: FarEndContext, transport: 'json' | 'binary', encoding: AudioEncoding) {
    this.#context = context;
    this.#transport = transport;
    this.#encoding = encoding;
  }

  /** The service speaks first. */
  opened(): void {}

  send(message: ClientMessage): void {
    this.#context.put(JSON.stringify(message));
  }

  sendAudio(samples: Int16Array): void {
    const bytes = encodeAudio(samples, this.#encoding);
    if (this.#transport === 'binary') {
      this.#context.put(bytes);
    } else {
      const { sampleRate } = this.#context;
      this.send({ type: 'audio', data: base64Of(bytes), format: this.#encoding, sampleRate });
    }
  }

  receiveBinary(bytes: Uint8Array): void {
    const text = this.#speech;
    this.#speech = null;
    this.#receiveAudio(bytes, text);
  }

  receiveText(text: string): void {
    const message = parseServerMessage(text);
    if (message === null) return;
    if (typeof message === 'string') {
      this.#context.failed(message);
    } else if (message.type === 'audio_response') {
      const bytes = decodeBase64(message.audio);
      if (bytes === null) this.#context.failed('audio that is not base64');
      else this.#receiveAudio(bytes, message.text === '' ? null : message.text);
    } else {
      if (message.type === 'speech') this.#speech = message.text;
      this.#context.message(message);
    }
  }

  #receiveAudio(bytes: Uint8Array, text: string | null): void {
    try {
      this.#context.audio(decodeAudio(bytes, this.#encoding), text);
    } catch (error) {
      if (!(error instanceof AudioFormatError)) throw error;
      this.#context.failed(`bad audio: ${error.message}`);
    }
  }
}
