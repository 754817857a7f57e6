import { base64Of, decodeAudio, encodeAudio } from '../audio.ts';
import {
  CarrierEnd,
  hex,
  type JsonObject,
  numbersOf,
  parametersOf,
  type StartCallMessage,
} from './far-end.ts';

/** What stands in the messages of https://www.twilio.com/docs/voice/media-streams/websocket-messages. */
export class TwilioEnd extends CarrierEnd {
  #ids = { accountSid: `AC${hex(32)}`, callSid: '' };
  readonly #streamSid = `MZ${hex(32)}`;
  #sequence = 0;
  #chunk = 0;

  protected makeCallId(): string {
    return `CA${hex(32)}`;
  }

  override opened(): void {
    this.put({ event: 'connected', protocol: 'Call', version: '1.0.0' });
    super.opened();
  }

  protected start(message: StartCallMessage): void {
    this.#ids.callSid = message.callId;
    const customParameters = { ...parametersOf(message), ...numbersOf(message) };
    const mediaFormat = { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 };
    const start = { ...this.#ids, streamSid: this.#streamSid, tracks: ['inbound'], mediaFormat };
    this.#put('start', this.startWith(start, customParameters));
  }

  /** Where the operator's parameters stand. */
  protected startWith(start: JsonObject, customParameters: Record<string, string>): JsonObject {
    return { start: { ...start, customParameters } };
  }

  sendAudio(samples: Int16Array): void {
    const timestamp = String(20 * this.#chunk);
    const chunk = String(++this.#chunk);
    const payload = base64Of(encodeAudio(samples, 'mulaw'));
    this.#put('media', { media: { track: 'inbound', chunk, timestamp, payload } });
  }

  protected dtmf(digit: string): void {
    this.#put('dtmf', { dtmf: { track: 'inbound_track', digit } });
  }

  protected markPlayed(name: string): void {
    this.#put('mark', { mark: { name } });
  }

  protected stop(): void {
    this.#put('stop', { stop: this.#ids });
  }

  protected receiveObject({ event, streamSid, media, mark }: JsonObject): void {
    if (streamSid !== this.#streamSid) this.context.failed('a message for another stream');
    else if (event === 'media') {
      const bytes = this.bytesOf((media as JsonObject)?.payload);
      if (bytes !== null) this.context.audio(decodeAudio(bytes, 'mulaw'), null);
    } else if (event === 'mark') this.mark((mark as JsonObject)?.name);
    else if (event === 'clear') this.clear(true);
    else this.context.failed(`the event ${String(event)}`);
  }

  #put(event: string, more: JsonObject): void {
    this.put({ event, sequenceNumber: String(++this.#sequence), ...more, streamSid: this.#streamSid });
  }
}

/** somleng-switch's `mod_twilio_stream`. */
export class ModTwilioStreamEnd extends TwilioEnd {
  protected override startWith(start: JsonObject, customParameters: Record<string, string>): JsonObject {
    return { start, customParameters };
  }
}

/** https://developer.exotel.com/docs/agentstream/websocket-protocol: L16, 100 ms a message. */
export class ExotelEnd extends CarrierEnd {
  #ids = { account_sid: `AC${hex(24)}`, call_sid: '' };
  readonly #streamSid = `MZ${hex(24)}`;
  #sequence = 0;
  #chunk = 0;
  #frames: Uint8Array[] = [];

  protected makeCallId(): string {
    return `CA${hex(24)}`;
  }

  override opened(): void {
    this.put({ event: 'connected' });
    super.opened();
  }

  protected start(message: StartCallMessage): void {
    this.#ids.call_sid = message.callId;
    const media_format = {
      encoding: 'audio/x-raw',
      sample_rate: String(this.context.sampleRate),
      bit_rate: '16',
    };
    const custom_parameters = parametersOf(message);
    const start = {
      stream_sid: this.#streamSid,
      ...this.#ids,
      ...numbersOf(message),
      custom_parameters,
      media_format,
    };
    this.#put('start', { start });
  }

  sendAudio(samples: Int16Array): void {
    this.#frames.push(encodeAudio(samples, 'l16'));
    if (this.#frames.length < 5) return;
    const payload = base64Of(Buffer.concat(this.#frames));
    this.#frames = [];
    const timestamp = String(100 * this.#chunk);
    const chunk = String(++this.#chunk);
    this.#put('media', { media: { chunk, timestamp, payload } });
  }

  protected dtmf(digit: string, durationMs: number): void {
    this.#put('dtmf', { dtmf: { digit, duration: String(durationMs) } });
  }

  protected markPlayed(name: string): void {
    this.#put('mark', { mark: { name } });
  }

  protected stop(): void {
    this.#put('stop', { stop: { ...this.#ids, reason: 'callended' } });
  }

  protected receiveObject({ event, stream_sid, media, mark }: JsonObject): void {
    if (stream_sid !== this.#streamSid) this.context.failed('a message for another stream');
    else if (event === 'media') this.#play((media as JsonObject)?.payload);
    else if (event === 'mark') this.mark((mark as JsonObject)?.name);
    else if (event === 'clear') this.clear(false);
    else this.context.failed(`the event ${String(event)}`);
  }

  #play(payload: unknown): void {
    const bytes = this.bytesOf(payload);
    if (bytes === null) return;
    // What Exotel plays badly is refused here, so that a call shows it.
    if (bytes.length % 320 !== 0 || bytes.length > 100_000) {
      this.context.failed(`a chunk of ${bytes.length} bytes`);
    } else {
      this.context.audio(decodeAudio(bytes, 'l16'), null);
    }
  }

  #put(event: string, more: JsonObject): void {
    this.put({ event, sequence_number: String(++this.#sequence), stream_sid: this.#streamSid, ...more });
  }
}

/** https://developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket: PCMU as RTP's payload, or L16 at 16 kHz. */
export class TelnyxEnd extends CarrierEnd {
  readonly #streamId = crypto.randomUUID();
  #sequence = 0;
  #chunk = 0;

  get #encoding() {
    return this.context.sampleRate === 8000 ? 'mulaw' : 'l16';
  }

  protected makeCallId(): string {
    return `v3_${hex(32)}`;
  }

  override opened(): void {
    this.put({ event: 'connected', version: '1.0.0' });
    super.opened();
  }

  protected start(message: StartCallMessage): void {
    const media_format = {
      encoding: this.#encoding === 'mulaw' ? 'PCMU' : 'L16',
      sample_rate: this.context.sampleRate,
      channels: 1,
    };
    const custom_parameters = parametersOf(message);
    this.#put('start', {
      start: { call_control_id: message.callId, ...numbersOf(message), custom_parameters, media_format },
    });
  }

  sendAudio(samples: Int16Array): void {
    const timestamp = String(20 * this.#chunk);
    const chunk = String(++this.#chunk);
    const payload = base64Of(encodeAudio(samples, this.#encoding));
    this.#put('media', { media: { track: 'inbound', chunk, timestamp, payload } });
  }

  protected dtmf(digit: string): void {
    this.#put('dtmf', { dtmf: { digit } });
  }

  protected markPlayed(name: string): void {
    this.#put('mark', { mark: { name } });
  }

  protected stop(): void {
    this.#put('stop', { stop: {} });
  }

  protected receiveObject({ event, media, mark }: JsonObject): void {
    if (event === 'media') {
      const bytes = this.bytesOf((media as JsonObject)?.payload);
      if (bytes === null) return;
      const samples = decodeAudio(bytes, this.#encoding);
      if (samples.length * 1000 < 20 * this.context.sampleRate)
        this.context.failed('less than 20 ms of audio');
      else this.context.audio(samples, null);
    } else if (event === 'mark') this.mark((mark as JsonObject)?.name);
    else if (event === 'clear') this.clear(true);
    else this.context.failed(`the event ${String(event)}`);
  }

  #put(event: string, more: JsonObject): void {
    this.put({ event, sequence_number: String(++this.#sequence), stream_id: this.#streamId, ...more });
  }
}

/** https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference: μ-law, or L16 at 16 kHz. */
export class PlivoEnd extends CarrierEnd {
  readonly #streamId = crypto.randomUUID();
  #sequence = 0;
  #chunk = 0;

  get #encoding() {
    return this.context.sampleRate === 8000 ? 'mulaw' : 'l16';
  }

  protected makeCallId(): string {
    return crypto.randomUUID();
  }

  protected start(message: StartCallMessage): void {
    const { sampleRate } = this.context;
    const mediaFormat = { encoding: `audio/x-${this.#encoding}`, sampleRate };
    const pairs = Object.entries({ ...parametersOf(message), ...numbersOf(message) });
    this.put({
      event: 'start',
      sequenceNumber: ++this.#sequence,
      start: {
        callId: message.callId,
        streamId: this.#streamId,
        accountId: `MA${hex(18)}`,
        tracks: ['inbound'],
        mediaFormat,
      },
      extra_headers: pairs.map(([name, value]) => `${name}=${value}`).join(';'),
    });
  }

  sendAudio(samples: Int16Array): void {
    const payload = base64Of(encodeAudio(samples, this.#encoding));
    this.#put('media', { media: { track: 'inbound', timestamp: '0', chunk: ++this.#chunk, payload } });
  }

  protected dtmf(digit: string): void {
    this.#put('dtmf', { dtmf: { track: 'inbound', digit, timestamp: '0' } });
  }

  protected markPlayed(name: string): void {
    this.#put('playedStream', { name });
  }

  /** It has no message for it. */
  protected stop(): void {
    this.context.close();
  }

  protected receiveObject(message: JsonObject): void {
    const { event, media, name, dtmf } = message;
    if (event === 'playAudio') this.#play((media ?? {}) as JsonObject);
    else if (event === 'checkpoint') this.mark(name);
    else if (event === 'clearAudio') {
      this.clear(false);
      this.#put('clearedAudio', {});
    } else if (event === 'sendDTMF') this.context.message({ type: 'dtmf', digits: String(dtmf) });
    else this.context.failed(`the event ${String(event)}`);
  }

  #play({ contentType, sampleRate, payload }: JsonObject): void {
    const bytes = this.bytesOf(payload);
    if (bytes === null) return;
    if (contentType !== `audio/x-${this.#encoding}` || sampleRate !== this.context.sampleRate) {
      this.context.failed(`audio of ${String(contentType)} at ${String(sampleRate)} Hz`);
    } else {
      this.context.audio(decodeAudio(bytes, this.#encoding), null);
    }
  }

  #put(event: string, more: JsonObject): void {
    this.put({ event, sequenceNumber: ++this.#sequence, streamId: this.#streamId, ...more });
  }
}
