import { encodeBase64 } from '../audio/base64.ts';
import { Blocks } from './blocks.ts';
import type { DialectEntry } from './carrier.ts';
import type { LegHandler } from './dialect.ts';
import { countOf, type JsonObject, objectOf, textOf } from './json-text.ts';
import { MediaStreamDialect } from './media-stream.ts';
import { type WireFormat, wireFormat } from './wire-audio.ts';

/** "Chunk size should always be in multiple of 320 bytes", 3.2k to 100k (page of the Voicebot applet, see below). */
const BLOCK_BYTES = 320;
const LEAST_BYTES = 3_200;
const MOST_BYTES = 99_840;

/**
 * What `media_format.encoding` says for "raw/slin (16-bit, 8kHz, mono PCM little-endian) encoded in base64"
 * (https://developer.exotel.com/docs/agentstream/stream-voicebot-applet) besides the documents' `audio/x-raw`: implementations and their
 * tests have `base64`, with a `bit_rate` of 128kbps, which is 8,000 samples of 16 bits.
 */
const namesOfL16 = ['base64', 'raw/slin', 'slin'];

/**
 * Exotel AgentStream, Voicebot applet: https://developer.exotel.com/docs/agentstream/websocket-protocol, sizes by
 * https://support.exotel.com/support/solutions/articles/3000108630-working-with-the-stream-applet. L16 at 8, 16 or 24 kHz, or whatever
 * `media_format` says: the documents do not agree. Numbers come as text. It has no message that hangs up.
 */
class ExotelDialect extends MediaStreamDialect {
  readonly name = 'exotel';
  #streamSid = '';
  #prefix = '';
  readonly #blocks = new Blocks(
    { block: BLOCK_BYTES, least: LEAST_BYTES, most: MOST_BYTES, silence: 0 },
    (bytes) => this.context.send(`${this.#prefix}${encodeBase64(bytes)}"}}`),
  );

  /** The least message, at 8 kHz. */
  override get pieceMs(): number {
    return 200;
  }

  override get leadMs(): number {
    return 400;
  }

  /** Its frames are of 100 ms. */
  protected override get window(): number {
    return 2;
  }

  protected receiveEvent(event: string, message: JsonObject, handler: LegHandler): void {
    switch (event) {
      case 'start':
        this.#start(message, handler);
        return;
      case 'dtmf': {
        const { digit, duration } = objectOf(message.dtmf);
        this.takeDigit(digit, duration, handler);
        return;
      }
      case 'mark': {
        const name = textOf(objectOf(message.mark).name);
        if (name !== undefined) handler.markPlayed(name);
        return;
      }
      case 'stop':
        handler.hangUp();
        return;
    }
  }

  #start(message: JsonObject, handler: LegHandler): void {
    const start = objectOf(message.start);
    const format = objectOf(start.media_format);
    const streamSid = textOf(start.stream_sid) ?? textOf(message.stream_sid);
    const asked = countOf(this.context.query.get('sample-rate') ?? undefined);
    const named = textOf(format.encoding)?.toLowerCase() ?? 'audio/x-raw';
    const wire = wireFormat(
      namesOfL16.includes(named) ? 'audio/x-raw' : named,
      countOf(format.sample_rate) ?? asked ?? 8_000,
      1,
    );
    if (!this.started) {
      this.#streamSid = streamSid ?? '';
      this.#prefix = `{"event":"media","stream_sid":${JSON.stringify(this.#streamSid)},"media":{"payload":"`;
    }
    this.start(
      {
        carrierCallId: textOf(start.call_sid),
        from: textOf(start.from),
        to: textOf(start.to),
        ids: { accountSid: textOf(start.account_sid), streamSid },
        parameters: objectOf(start.custom_parameters),
      },
      wire === null ? null : { incoming: wire, outgoing: wire },
      handler,
    );
  }

  protected sendAudio(bytes: Uint8Array, _format: WireFormat): void {
    this.#blocks.push(bytes);
  }

  override flush(): void {
    super.flush();
    this.#blocks.flush();
  }

  clear(): void {
    this.clearEncoder();
    this.#blocks.clear();
    this.send({ event: 'clear', stream_sid: this.#streamSid });
  }

  mark(name: string): void {
    this.send({ event: 'mark', stream_sid: this.#streamSid, mark: { name } });
  }
}

export const exotel: DialectEntry = {
  path: 'exotel',
  subprotocols: [],
  beginsWith: ({ start }) => textOf(objectOf(start).stream_sid) !== undefined,
  create: (context) => new ExotelDialect(context),
};
