import { Base64Decoder, encodeBase64 } from '../audio/base64.ts';
import { decodeAlaw, decodeMulaw, encodeAlaw, encodeMulaw } from '../audio/g711.ts';
import { decodePcm16, encodePcm16 } from '../audio/pcm.ts';
import type { CallEvent, EndReason } from '../call/events.ts';
import type { Dialect, LegHandler, SendToLeg } from './dialect.ts';
import { nestedDeeperThan } from './json-text.ts';
import {
  type AudioEncoding,
  type ClientMessage,
  clientMessageSchema,
  type ErrorCode,
  type NativeFeature,
  nativeLimits,
  type ServerMessage,
  type StartCall,
} from './native-messages.ts';

/** The contract allows 200 ms a message; half of it stops sooner and costs ten messages a second. */
const PIECE_MS = 100;
/** Rides out the jitter of a mobile network; `clear` takes back what was sent too early. */
const LEAD_MS = 300;

/** The wire format of `/ws/call-session`: JSON messages, and binary audio on request. */
export function createNativeDialect(send: SendToLeg): Dialect {
  return new NativeDialect(send);
}

class NativeDialect implements Dialect {
  readonly name = 'native';
  readonly pieceMs = PIECE_MS;
  readonly leadMs = LEAD_MS;
  /** Its hang-up is `end_call`. */
  readonly hangsUpByClosing = false;
  readonly #sendToLeg: SendToLeg;
  #audio: StartCall['audio'] | null = null;
  #features = new Set<string>();
  readonly #base64 = new Base64Decoder();
  /** Decoded frames, one after the other, mostly of one length: nothing past the dialect keeps them. */
  #scratch = new Int16Array(0);

  constructor(send: SendToLeg) {
    this.#sendToLeg = send;
  }

  get canClear(): boolean {
    return this.#has('clear');
  }

  get canMark(): boolean {
    return this.#has('mark');
  }

  receive(message: string | ArrayBuffer, handler: LegHandler): void {
    if (typeof message === 'string') this.#receiveText(message, handler);
    else this.#receiveBinary(new Uint8Array(message), handler);
  }

  say(samples: Int16Array, text: string | null): void {
    if (this.#audio === null) return;
    const bytes = encode(samples, this.#audio.encoding);
    if (this.#audio.transport === 'binary') {
      if (text !== null) this.#send({ type: 'speech', text });
      this.#sendToLeg(bytes);
    } else {
      this.#send({ type: 'audio_response', audio: encodeBase64(bytes), text: text ?? '' });
    }
  }

  flush(): void {}

  clear(): void {
    if (this.#has('clear')) this.#send({ type: 'clear' });
  }

  mark(name: string): void {
    if (this.#has('mark')) this.#send({ type: 'mark', name });
  }

  transfer(to: string, ringSeconds: number): boolean {
    if (this.#has('transfer')) this.#send({ type: 'transfer', to, ringSeconds });
    return this.#has('transfer');
  }

  cancelTransfer(): void {
    if (this.#has('transfer')) this.#send({ type: 'cancel_transfer' });
  }

  pressDigits(digits: string): boolean {
    if (this.#has('dtmf')) this.#send({ type: 'dtmf', digits });
    return this.#has('dtmf');
  }

  /** Closing the socket is the native hang-up. */
  hangUp(): void {}

  show(event: CallEvent): void {
    switch (event.type) {
      case 'leg.accepted':
        this.#send({
          type: 'status',
          status: 'ready',
          message: 'Connected: send start_call',
          callId: event.callId,
          ...(event.resumeToken === null ? {} : { resumeToken: event.resumeToken }),
        });
        return;
      case 'call.started':
        this.#send({
          type: 'status',
          status: 'ready',
          message: 'The call has started',
          callId: event.call.callId,
        });
        return;
      case 'leg.resumed':
        this.#send({
          type: 'status',
          status: 'ready',
          message: 'The call goes on',
          callId: event.callId,
        });
        return;
      case 'listening':
        this.#send({ type: 'status', status: 'ready', message: 'Listening' });
        return;
      case 'thinking':
        this.#send({ type: 'status', status: 'processing', message: 'Thinking' });
        return;
      case 'transcript':
        if (this.#has('transcript')) {
          this.#send({ type: 'transcript', role: event.role, text: event.text, final: event.final });
        }
        return;
      case 'latency':
        if (this.#has('latency')) this.#send(event);
        return;
      case 'leg.error':
        this.#send({ type: 'error', code: event.code, message: event.message });
        return;
      case 'failure':
        // The client has nothing to do with it.
        if (event.code === 'UNRESERVED' || event.code === 'UNCOUNTED') return;
        // What exactly failed is in the log and in the record; it may name servers and accounts.
        this.#send({ type: 'error', code: 'INTERNAL_ERROR', message: 'A part of the service failed' });
        return;
      case 'call.ended':
        this.#showEnd(event.reason);
        return;
    }
  }

  #showEnd(reason: EndReason): void {
    if (reason === 'time limit') this.#error('TIMEOUT', 'The longest time of a call is over');
    if (reason === 'funds used up') this.#error('INSUFFICIENT_FUNDS', 'The account is used up');
    if (reason === 'idle') this.#error('TIMEOUT', 'Nothing was received for too long');
    if (reason === 'error') this.#send({ type: 'status', status: 'error', message: 'The call has failed' });
  }

  #error(code: ErrorCode, message: string): void {
    this.#send({ type: 'error', code, message });
  }

  #has(feature: NativeFeature): boolean {
    return this.#features.has(feature);
  }

  #send(message: ServerMessage): void {
    this.#sendToLeg(JSON.stringify(message));
  }

  #receiveBinary(bytes: Uint8Array, handler: LegHandler): void {
    if (this.#audio === null) {
      handler.protocolError('NOT_STARTED', 'Audio came before start_call');
    } else if (this.#audio.transport !== 'binary') {
      handler.protocolError('BAD_AUDIO', 'A binary frame came, but start_call asked for JSON transport');
    } else {
      this.#receiveAudio(bytes, handler);
    }
  }

  #receiveText(text: string, handler: LegHandler): void {
    if (text.length > nativeLimits.messageCharacters) {
      handler.protocolError('TOO_LARGE', `A message may have ${nativeLimits.messageCharacters} characters`);
      return;
    }
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      handler.protocolError('BAD_MESSAGE', 'The message is not JSON');
      return;
    }
    if (isAudio(json)) {
      this.#receiveJsonAudio(json, handler);
      return;
    }
    if (nestedDeeperThan(json, nativeLimits.nesting)) {
      handler.protocolError(
        'BAD_MESSAGE',
        `The message is nested deeper than ${nativeLimits.nesting} levels`,
      );
      return;
    }
    const parsed = clientMessageSchema.safeParse(json);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      const where = issue?.path.join('.') || 'message';
      handler.protocolError('BAD_MESSAGE', `${where}: ${issue?.message ?? 'invalid'}`);
      return;
    }
    const message = parsed.data;
    switch (message.type) {
      case 'start_call':
        this.#start(message, handler);
        return;
      case 'dtmf':
        handler.dtmf(message.digit, message.durationMs ?? 0);
        return;
      case 'mark':
        handler.markPlayed(message.name);
        return;
      case 'interrupt':
        handler.interrupt();
        return;
      case 'transfer':
        handler.transfer(message);
        return;
      case 'end_call':
        handler.hangUp();
        return;
    }
  }

  #start(message: StartCall, handler: LegHandler): void {
    if (this.#audio !== null) {
      handler.protocolError('ALREADY_STARTED', 'start_call came a second time; the call goes on');
      return;
    }
    this.#audio = message.audio;
    this.#features = new Set(message.features);
    handler.start({
      callId: message.callId,
      userId: message.userId,
      metadata: message.metadata,
      sampleRate: message.audio.sampleRate,
      resumeToken: message.resumeToken ?? null,
    });
  }

  /** Comes 50 times a second, so it is checked by hand instead of by its schema. */
  #receiveJsonAudio(message: AudioMessage, handler: LegHandler): void {
    const audio = this.#audio;
    if (audio === null) {
      handler.protocolError('NOT_STARTED', 'Audio came before start_call');
    } else if (audio.transport !== 'json') {
      handler.protocolError('BAD_AUDIO', 'JSON audio came, but start_call asked for binary transport');
    } else if (typeof message.data !== 'string') {
      handler.protocolError('BAD_AUDIO', 'data: must be base64 text');
    } else if (message.format !== undefined && message.format !== audio.encoding) {
      handler.protocolError('BAD_AUDIO', `format: must be ${audio.encoding}, as in start_call`);
    } else if (message.sampleRate !== undefined && message.sampleRate !== audio.sampleRate) {
      handler.protocolError('BAD_AUDIO', `sampleRate: must be ${audio.sampleRate}, as in start_call`);
    } else {
      const bytes = this.#base64.decode(message.data);
      if (bytes === null) handler.protocolError('BAD_AUDIO', 'data: is not base64');
      else this.#receiveAudio(bytes, handler);
    }
  }

  #receiveAudio(bytes: Uint8Array, handler: LegHandler): void {
    const { encoding, sampleRate } = this.#audio!;
    const most = (sampleRate * nativeLimits.frameMs * (encoding === 'l16' ? 2 : 1)) / 1000;
    if (bytes.length === 0) {
      handler.protocolError('BAD_AUDIO', 'The frame is empty');
    } else if (bytes.length > most) {
      handler.protocolError('TOO_LARGE', `A frame may hold ${nativeLimits.frameMs} ms of audio`);
    } else if (encoding === 'l16' && bytes.length % 2 === 1) {
      handler.protocolError('BAD_AUDIO', 'L16 of an odd number of bytes');
    } else {
      const count = encoding === 'l16' ? bytes.length / 2 : bytes.length;
      if (this.#scratch.length !== count) this.#scratch = new Int16Array(count);
      handler.audio(decoders[encoding](bytes, this.#scratch));
    }
  }
}

/** Nothing but its `type` is known of it. */
type AudioMessage = { [key in keyof Extract<ClientMessage, { type: 'audio' }>]: unknown };

function isAudio(json: unknown): json is AudioMessage {
  return typeof json === 'object' && json !== null && (json as { type?: unknown }).type === 'audio';
}

const decoders = { mulaw: decodeMulaw, alaw: decodeAlaw, l16: decodePcm16 };

function encode(samples: Int16Array, encoding: AudioEncoding): Uint8Array {
  if (encoding === 'mulaw') return encodeMulaw(samples);
  return encoding === 'alaw' ? encodeAlaw(samples) : encodePcm16(samples);
}
