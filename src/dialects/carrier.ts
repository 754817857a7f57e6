import type { CallEvent } from '../call/events.ts';
import type { Dialect, LegHandler, SendToLeg } from './dialect.ts';
import { type CallFacts, type Handshake, identify } from './identity.ts';
import { countOf, type JsonObject, parseObject } from './json-text.ts';
import { AudioDecoder, AudioEncoder, bytesOf, frameBytes, type WireFormat } from './wire-audio.ts';

/** What a dialect is made with: its leg's upgrade request, and the way back. */
export interface LegContext extends Handshake {
  send: SendToLeg;
}

/** One dialect of the registry. */
export interface DialectEntry {
  /** It is spoken at `/ws/<path>`. */
  path: string;
  /** WebSocket subprotocols of those who speak it. */
  subprotocols: readonly string[];
  /** Whether this is how a leg that speaks it begins; where several do, the first of the registry. */
  beginsWith(message: JsonObject): boolean;
  create(context: LegContext): Dialect;
}

/** Audio that came before the start is kept so long, in milliseconds; before its format is known, so many bytes of it. */
const EARLY_AUDIO_MS = 5_000;
const EARLY_AUDIO_BYTES = 160_000;
/** The longest stretch of audio in one message, and in one call of the handler. */
const MOST_MESSAGE_MS = 5_000;
const MOST_HANDED_ON_MS = 1_000;

const noBytes = new Uint8Array(0);

/** The kinds of audio of both directions. */
export interface LineFormats {
  incoming: WireFormat;
  outgoing: WireFormat;
}

/** What the wire formats of carriers and switches have in common: who calls is told once, audio may come before that. */
export abstract class CarrierDialect implements Dialect {
  abstract readonly name: string;
  readonly hangsUpByClosing = true;
  protected readonly context: LegContext;
  #decoder: AudioDecoder | null = null;
  #encoder: AudioEncoder | null = null;
  #incoming: WireFormat | null = null;
  #over = false;
  #early: Uint8Array[] = [];
  #earlyBytes = 0;

  constructor(context: LegContext) {
    this.context = context;
  }

  /** As the native dialect has it; `clear` takes back what was sent too early. */
  get pieceMs(): number {
    return 100;
  }

  get leadMs(): number {
    return 300;
  }

  get canClear(): boolean {
    return true;
  }

  get canMark(): boolean {
    return true;
  }

  /** A text message that is a JSON object. */
  protected abstract receiveObject(message: JsonObject, handler: LegHandler): void;
  /** Encoded audio for the caller. */
  protected abstract sendAudio(bytes: Uint8Array, format: WireFormat): void;
  abstract clear(): void;
  abstract mark(name: string): void;

  receive(message: string | ArrayBuffer, handler: LegHandler): void {
    if (this.#over) return;
    if (typeof message !== 'string') {
      this.receiveBinary(new Uint8Array(message), handler);
      return;
    }
    const json = parseObject(message);
    if (json === 'too large') handler.protocolError('TOO_LARGE', 'The message is too large');
    else if (json === 'no object') handler.protocolError('BAD_MESSAGE', 'The message is no JSON object');
    else this.receiveObject(json, handler);
  }

  protected receiveBinary(_bytes: Uint8Array, handler: LegHandler): void {
    handler.protocolError('BAD_MESSAGE', `${this.name} has no binary messages`);
  }

  say(samples: Int16Array, _text: string | null): void {
    if (this.#encoder !== null) this.sendAudio(this.#encoder.encode(samples), this.#encoder.format);
  }

  flush(): void {
    const rest = this.#encoder?.flush();
    if (rest !== undefined && rest.length > 0) this.sendAudio(rest, this.#encoder!.format);
  }

  transfer(_to: string, _ringSeconds: number): boolean {
    return false;
  }

  cancelTransfer(): void {}

  pressDigits(_digits: string): boolean {
    return false;
  }

  /** Closing the socket is all that most of them understand. */
  hangUp(): void {}

  /** Carriers have no messages for what happens in the call. */
  show(_event: CallEvent): void {}

  protected get started(): boolean {
    return this.#decoder !== null;
  }

  protected send(message: JsonObject): void {
    this.context.send(JSON.stringify(message));
  }

  /** Forgets what the change of the rate holds back. */
  protected clearEncoder(): void {
    this.#encoder?.clear();
  }

  /** The call begins, or it is known that it cannot. `formats` null: the audio is of no known kind. */
  protected start(facts: CallFacts, formats: LineFormats | null, handler: LegHandler): void {
    if (this.started) {
      handler.protocolError('ALREADY_STARTED', 'The start came a second time; the call goes on');
      return;
    }
    const identified = identify(this.name, facts, this.context);
    if ('refusal' in identified || formats === null) {
      this.#over = true;
      if ('refusal' in identified) handler.refuse(identified.refusal.code, identified.refusal.message);
      else handler.refuse('BAD_AUDIO', `${this.name}: nobody here speaks this kind of audio`);
      return;
    }
    const { incoming, outgoing } = formats;
    const decoder = new AudioDecoder(incoming);
    this.#decoder = decoder;
    this.#incoming = incoming;
    this.#encoder = new AudioEncoder(outgoing, decoder.sampleRate);
    const early = this.#early.length === 0 ? noBytes : together(this.#early, incoming);
    this.#early = [];
    const earlyMs = this.msOf(early.length);
    const request = { ...identified, sampleRate: decoder.sampleRate };
    handler.start(earlyMs > 0 ? { ...request, earlyMs } : request);
    if (earlyMs > 0) this.takeAudio(early, handler);
  }

  /** How long so many bytes of the caller's are, in milliseconds; 0 before the start. */
  protected msOf(bytes: number): number {
    return this.#incoming === null ? 0 : (bytes * 1000) / bytesOf(1000, this.#incoming);
  }

  /** Audio of the caller, which may come before the start. No reference to `bytes` is kept. */
  protected takeAudio(bytes: Uint8Array, handler: LegHandler): void {
    const decoder = this.#decoder;
    if (decoder === null) {
      this.#keepEarly(bytes);
      return;
    }
    if (this.msOf(bytes.length) > MOST_MESSAGE_MS) {
      handler.protocolError('TOO_LARGE', `A message may hold ${MOST_MESSAGE_MS} ms of audio`);
      return;
    }
    const samples = decoder.decode(bytes);
    if (samples === null) {
      handler.protocolError('BAD_AUDIO', 'The message holds no whole samples');
      return;
    }
    const most = (decoder.sampleRate * MOST_HANDED_ON_MS) / 1000;
    if (samples.length <= most) {
      if (samples.length > 0) handler.audio(samples);
      return;
    }
    for (let at = 0; at < samples.length; at += most) handler.audio(samples.subarray(at, at + most));
  }

  /** Frames that were lost on the way. */
  protected takeSilence(ms: number, handler: LegHandler): void {
    if (this.#decoder === null) return;
    const bounded = Math.min(ms, MOST_HANDED_ON_MS);
    handler.audio(new Int16Array(Math.round((bounded * this.#decoder.sampleRate) / 1000)));
  }

  /** A key, as carriers write it: `duration` milliseconds where there is any. */
  protected takeDigit(digit: unknown, durationMs: unknown, handler: LegHandler): void {
    const key = typeof digit === 'number' ? String(digit) : digit;
    if (typeof key !== 'string' || !/^[0-9*#A-Da-d]$/.test(key)) {
      handler.protocolError('BAD_MESSAGE', 'The digit must be one of 0-9 * # A-D');
    } else {
      handler.dtmf(key.toUpperCase(), Math.min(countOf(durationMs) ?? 0, 60_000));
    }
  }

  #keepEarly(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#earlyBytes + bytes.length > EARLY_AUDIO_BYTES) return;
    // A dialect may use its buffer again.
    this.#early.push(bytes.slice());
    this.#earlyBytes += bytes.length;
  }
}

/** Those of the messages that are whole samples, as many as have room in the time. */
function together(messages: readonly Uint8Array[], format: WireFormat): Uint8Array {
  const bytes = new Uint8Array(bytesOf(EARLY_AUDIO_MS, format));
  let length = 0;
  for (const message of messages) {
    if (message.length % frameBytes(format) !== 0) continue;
    if (length + message.length > bytes.length) break;
    bytes.set(message, length);
    length += message.length;
  }
  return bytes.subarray(0, length);
}
