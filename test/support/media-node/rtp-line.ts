import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import type { Endpoint } from '../sip/message.ts';
import { KeyReader, type RtpPacket, RtpSender, RtpSocket } from '../sip/rtp.ts';
import { type AudioDescription, typeOf } from '../sip/sdp.ts';

/** Packets of a key that the node presses: 100 ms, FreeSWITCH's default. */
const keyPackets = 5;

/** What comes on a line. */
export interface LineEvents {
  audio(samples: Int16Array): void;
  key(digit: string, samples: number): void;
}

/** The audio of one leg: G.711 μ-law and telephone events, both ways. */
export class RtpLine {
  readonly #socket: RtpSocket;
  readonly #sender = new RtpSender();
  readonly #keys = new KeyReader();
  readonly #events: LineEvents;
  #far: AudioDescription | null = null;
  #eventType: number | null = null;
  #closed = false;

  private constructor(socket: RtpSocket, events: LineEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  static async open(address: string, events: LineEvents): Promise<RtpLine> {
    let take: (packet: RtpPacket) => void = () => {};
    const socket = await RtpSocket.open(address, (packet) => take(packet));
    const line = new RtpLine(socket, events);
    take = (packet) => line.#take(packet);
    return line;
  }

  get local(): Endpoint {
    return this.#socket.local;
  }

  /** From now on it is heard, and spoken to. */
  connect(far: AudioDescription): void {
    this.#far = far;
    this.#eventType = typeOf(far, 'telephone-event');
  }

  press(digits: string): void {
    if (this.#eventType !== null) this.#sender.press(digits);
  }

  /** The next 20 ms: this, or the key that is being pressed. */
  send(samples: Int16Array): void {
    if (this.#far === null || this.#closed) return;
    if (!this.#sender.idle && this.#eventType !== null) {
      for (const packet of this.#sender.key(this.#eventType, keyPackets))
        this.#socket.send(packet, this.#far);
    } else {
      this.#socket.send(this.#sender.audio(0, encodeMulaw(samples)), this.#far);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  #take(packet: RtpPacket): void {
    if (this.#far === null || this.#closed) return;
    if (packet.type === 0) this.#events.audio(decodeMulaw(packet.payload));
    if (packet.type !== this.#eventType) return;
    const key = this.#keys.read(packet);
    if (key !== null) this.#events.key(key.digit, key.samples);
  }
}
