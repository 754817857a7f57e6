import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Endpoint } from './message.ts';

/** Of a packet, in samples of 8 kHz and in milliseconds. */
export const frameSamples = 160;
export const frameMs = 20;

/** RFC 4733 §3.2. */
const keys = '0123456789*#ABCD';
/** §2.5.1.2: the last packet of a key is sent three times. */
const endRepeats = 3;
/** How loud, in −dBm0. */
const keyLevel = 10;

/** RFC 3550 §5.1. */
export interface RtpPacket {
  type: number;
  marker: boolean;
  sequence: number;
  timestamp: number;
  source: number;
  payload: Uint8Array;
}

/** Null: it is no packet without extensions. */
export function parseRtp(bytes: Uint8Array): RtpPacket | null {
  if (bytes.length < 12 || bytes[0] !== 0x80) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    type: view.getUint8(1) & 0x7f,
    marker: view.getUint8(1) >= 0x80,
    sequence: view.getUint16(2),
    timestamp: view.getUint32(4),
    source: view.getUint32(8),
    payload: bytes.subarray(12),
  };
}

/** UDP for the audio of one call. */
export class RtpSocket {
  readonly local: Endpoint;
  readonly #socket: Socket;

  private constructor(socket: Socket, local: Endpoint) {
    this.#socket = socket;
    this.local = local;
    socket.on('error', () => {});
  }

  static async open(address: string, onPacket: (packet: RtpPacket) => void): Promise<RtpSocket> {
    const socket = createSocket('udp4');
    socket.bind(0, address);
    await once(socket, 'listening');
    socket.on('message', (data) => {
      const packet = parseRtp(data);
      if (packet !== null) onPacket(packet);
    });
    return new RtpSocket(socket, { address, port: socket.address().port });
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    this.#socket.send(bytes, to.port, to.address);
  }

  close(): void {
    this.#socket.close();
  }
}

/** What one end sends: packet after packet, 20 ms each. */
export class RtpSender {
  readonly #source = randomInt(2 ** 32);
  #sequence = randomInt(2 ** 15);
  #timestamp = randomInt(2 ** 31);
  #first = true;
  readonly #pressed: { digit: string; event: number; step: number; since: number }[] = [];

  /** Keys, one after the other, each so many packets long. They take the place of what is said meanwhile. */
  press(digits: string): void {
    for (const digit of digits) {
      const event = keys.indexOf(digit);
      if (event < 0) throw new RangeError(`no key ${digit}`);
      this.#pressed.push({ digit, event, step: 0, since: 0 });
    }
  }

  /** No key is being pressed. */
  get idle(): boolean {
    return this.#pressed.length === 0;
  }

  /** The next packet with this audio, or with the key that is being pressed. */
  audio(type: number, payload: Uint8Array): Uint8Array {
    const bytes = this.#packet(type, this.#first, this.#timestamp, payload);
    this.#first = false;
    this.#advance(payload.length);
    return bytes;
  }

  /** The packets of 20 ms of a key: several of its end. Call it while not `idle`, in place of `audio`. */
  key(type: number, packets: number): Uint8Array[] {
    const key = this.#pressed[0];
    if (key === undefined) throw new Error('no key is pressed');
    if (key.step === 0) key.since = this.#timestamp;
    key.step += 1;
    const isEnd = key.step >= packets;
    const payload = Uint8Array.of(key.event, (isEnd ? 0x80 : 0) | keyLevel, 0, 0);
    new DataView(payload.buffer).setUint16(2, key.step * frameSamples);
    const repeats = isEnd ? endRepeats : 1;
    const bytes = Array.from({ length: repeats }, () =>
      this.#packet(type, key.step === 1, key.since, payload),
    );
    if (isEnd) this.#pressed.shift();
    this.#advance(frameSamples);
    return bytes;
  }

  #advance(samples: number): void {
    this.#timestamp = (this.#timestamp + samples) % 2 ** 32;
  }

  #packet(type: number, marker: boolean, timestamp: number, payload: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(12 + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, 0x80);
    view.setUint8(1, (marker ? 0x80 : 0) | type);
    view.setUint16(2, this.#sequence);
    view.setUint32(4, timestamp);
    view.setUint32(8, this.#source);
    bytes.set(payload, 12);
    this.#sequence = (this.#sequence + 1) % 2 ** 16;
    return bytes;
  }
}

/** Keys out of the packets of telephone events: each once, when the first packet of its end has come, as FreeSWITCH tells of them. */
export class KeyReader {
  #told: number | null = null;

  /** @returns the key and its length in samples, where this packet ends one. */
  read({ payload, timestamp }: RtpPacket): { digit: string; samples: number } | null {
    const [event = 16, flags = 0, high = 0, low = 0] = payload;
    const digit = keys[event];
    if (digit === undefined || (flags & 0x80) === 0 || this.#told === timestamp) return null;
    this.#told = timestamp;
    return { digit, samples: high * 256 + low };
  }
}
