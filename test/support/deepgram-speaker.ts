import { decodeMulaw } from '../../src/audio/g711.ts';
import { encodePcm16 } from '../../src/audio/pcm.ts';
import type { Fault } from './deepgram-double.ts';
import type { DoubleConnection } from './socket-double.ts';

/** Each character is so many samples of one value of its own: 10 ms at 8 kHz. */
const SAMPLES = 80;

const codeOf = (character: string) => character.charCodeAt(0) & 0x7f;

/** What the double's audio says. */
export function saidIn(samples: Int16Array): string {
  let text = '';
  for (let i = 0; i < samples.length; i += SAMPLES) {
    text += String.fromCharCode(codes.get(samples[i]!) ?? 63);
  }
  return text;
}

const values = decodeMulaw(Uint8Array.from({ length: 128 }, (_, code) => code));
const codes = new Map([...values].map((value, code) => [value, code]));

/** https://developers.deepgram.com/docs/tts-ws-flush ("Limits"), without the passing of time. */
const MOST_FLUSHES = 20;

/** `/v1/speak`. Audio comes in pieces of three characters, whose last one is cut in a sample where that has two bytes. */
export class DeepgramSpeaker {
  readonly #connection: DoubleConnection;
  readonly #fault: Fault;
  #text = '';
  #flushes = 0;
  #sequence = 0;
  #generation = 0;
  #pieces = 0;
  #queue: Promise<void> = Promise.resolve();

  constructor(connection: DoubleConnection, fault: Fault) {
    this.#connection = connection;
    this.#fault = fault;
    connection.send(
      fault.malformed ?? {
        type: 'Metadata',
        request_id: 'request',
        model_name: connection.url.searchParams.get('model'),
        model_version: '2026-01-01.0',
        model_uuid: 'uuid',
      },
    );
  }

  takeAudio(): void {
    // https://developers.deepgram.com/docs/tts-troubleshooting-websocket-net-and-data-errors
    this.#connection.close(1003, 'MESSAGE-0000');
  }

  takeText(message: { type: string; text?: string }): void {
    if (message.type === 'Speak') this.#text += message.text;
    else if (message.type === 'Flush') this.#flush();
    else if (message.type === 'Clear') this.#clear();
    else if (message.type === 'Close') this.#connection.close(1000);
    else this.#connection.close(1008, 'DATA-0000');
  }

  #flush(): void {
    if (++this.#flushes > MOST_FLUSHES) {
      this.#connection.send({
        type: 'Warning',
        description: 'Exceeded the maximum number of Flush messages',
        code: 'EXCEEDED_MAX_FLUSHES',
      });
      return;
    }
    const text = this.#text;
    this.#text = '';
    if (this.#fault.mute) return;
    const generation = this.#generation;
    this.#queue = this.#queue.then(() => this.#say(text, generation));
  }

  async #say(text: string, generation: number): Promise<void> {
    const linear = this.#connection.url.searchParams.get('encoding') === 'linear16';
    const bytes = linear ? linearBytes(text) : mulawBytes(text);
    const piece = 3 * SAMPLES * (linear ? 2 : 1) + (linear ? 1 : 0);
    for (let at = 0; at < bytes.length && !this.#fault.empty; at += piece) {
      await this.#fault.pace?.(at / piece, text);
      // Each piece in a packet of its own: after the event loop has gone round.
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      if (generation !== this.#generation) break;
      this.#connection.send(bytes.slice(at, at + piece));
      if (++this.#pieces === this.#fault.cutAfter) {
        this.#connection.cut();
        return;
      }
    }
    if (generation === this.#generation || this.#fault.lateFlushed) {
      this.#connection.send({ type: 'Flushed', sequence_id: this.#sequence++ });
    }
  }

  #clear(): void {
    if (this.#fault.ignoreClear) return;
    this.#generation++;
    this.#text = '';
    for (let i = 0; i < (this.#fault.onTheirWay ?? 0); i++) this.#connection.send(mulawBytes('???'));
    this.#connection.send({ type: 'Cleared', sequence_id: this.#sequence++ });
  }
}

function mulawBytes(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length * SAMPLES }, (_, i) => codeOf(text[Math.floor(i / SAMPLES)]!));
}

function linearBytes(text: string): Uint8Array {
  return encodePcm16(decodeMulaw(mulawBytes(text)));
}
