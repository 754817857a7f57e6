import type { ClientMessage, SampleRate } from '../../../src/dialects/native-messages.ts';
import type { ReceivedMessage } from '../server-messages.ts';

/** A caller's end of the wire in one dialect: the call's own messages to what stands on the wire, and back. */
export interface FarEnd {
  /** The socket is open. */
  opened(): void;
  send(message: ClientMessage): void;
  /** One frame of 20 ms. */
  sendAudio(samples: Int16Array): void;
  receiveText(text: string): void;
  receiveBinary(bytes: Uint8Array): void;
}

/** What an end is given. */
export interface FarEndContext {
  sampleRate: SampleRate;
  put(data: string | Uint8Array): void;
  /** Closes the socket in order. */
  close(): void;
  message(message: ReceivedMessage): void;
  /** Agent's audio; `text` is the sentence on its first piece, null on the others. */
  audio(samples: Int16Array, text: string | null): void;
  /** The service sent what it must not. */
  failed(what: string): void;
}

export type StartCallMessage = Extract<ClientMessage, { type: 'start_call' }>;
export type TransferMessage = Extract<ClientMessage, { type: 'transfer' }>;
export type JsonObject = Record<string, unknown>;

/**
 * The end of a carrier or a switch. Its calls begin without an answer of the service's: that it is accepted is told here, so that the call
 * stands, and a service that refuses it closes the socket.
 */
export abstract class CarrierEnd implements FarEnd {
  protected readonly context: FarEndContext;
  /** Marks that were asked for and not yet told. */
  readonly #marks = new Set<string>();

  constructor(context: FarEndContext) {
    this.context = context;
  }

  /** The name that the carrier would give the call. */
  protected abstract makeCallId(): string;
  protected abstract start(message: StartCallMessage): void;
  protected abstract dtmf(digit: string, durationMs: number): void;
  protected abstract markPlayed(name: string): void;
  /** Carriers transfer by themselves, or not at all: they are never asked to. */
  protected transfer(_report: TransferMessage): void {}
  /** The caller has hung up. */
  protected abstract stop(): void;
  protected abstract receiveObject(message: JsonObject): void;
  abstract sendAudio(samples: Int16Array): void;

  opened(): void {
    this.context.message({ type: 'status', status: 'ready', message: 'open', callId: this.makeCallId() });
  }

  send(message: ClientMessage): void {
    switch (message.type) {
      case 'start_call':
        this.start(message);
        this.context.message({ type: 'status', status: 'ready', message: 'started' });
        return;
      case 'dtmf':
        this.dtmf(message.digit, message.durationMs ?? 160);
        return;
      case 'mark':
        if (this.#marks.delete(message.name)) this.markPlayed(message.name);
        return;
      case 'transfer':
        this.transfer(message);
        return;
      case 'end_call':
        this.stop();
        return;
    }
  }

  receiveText(text: string): void {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      json = null;
    }
    if (typeof json === 'object' && json !== null) this.receiveObject(json as JsonObject);
    else this.context.failed('a text message that is no JSON object');
  }

  receiveBinary(_bytes: Uint8Array): void {
    this.context.failed('a binary message');
  }

  protected put(message: JsonObject): void {
    this.context.put(JSON.stringify(message));
  }

  protected mark(name: unknown): void {
    if (typeof name !== 'string') {
      this.context.failed('a mark without a name');
      return;
    }
    this.#marks.add(name);
    this.context.message({ type: 'mark', name });
  }

  /** @param returnsMarks those that are still out are told, as Twilio and Telnyx do. */
  protected clear(returnsMarks: boolean): void {
    this.context.message({ type: 'clear' });
    if (returnsMarks) for (const name of this.#marks) this.markPlayed(name);
    this.#marks.clear();
  }

  /** Bytes out of base64; null, having told so: there are none. */
  protected bytesOf(base64: unknown): Uint8Array | null {
    const bytes = typeof base64 === 'string' ? Buffer.from(base64, 'base64') : null;
    if (bytes !== null && bytes.length > 0 && bytes.toString('base64') === base64) return bytes;
    this.context.failed('audio that is not base64');
    return null;
  }
}

/** Who calls and what else the operator has the carrier send along, as texts. */
export function parametersOf({ callId: _, userId, metadata }: StartCallMessage): Record<string, string> {
  const entries = Object.entries({ ...metadata, userId }).map(([name, value]) => [name, String(value)]);
  return Object.fromEntries(entries) as Record<string, string>;
}

/** What a call's metadata name. */
export function numbersOf({ metadata }: StartCallMessage): { from: string; to: string } {
  const { phoneNumber, to } = metadata ?? {};
  return { from: String(phoneNumber ?? '+15550100'), to: String(to ?? '+15550199') };
}

/** So many hexadecimal digits by chance. */
export function hex(digits: number): string {
  return crypto.randomUUID().replaceAll('-', '').slice(0, digits);
}
