import { encodeBase64 } from '../audio/base64.ts';
import { Blocks } from './blocks.ts';
import type { DialectEntry, LineFormats } from './carrier.ts';
import type { LegHandler } from './dialect.ts';
import { countOf, type JsonObject, objectOf, textOf } from './json-text.ts';
import { MediaStreamDialect } from './media-stream.ts';
import { bytesOf, silenceByte, type WireFormat, wireFormat } from './wire-audio.ts';

/** "RTP media chunks sent back to Telnyx can contain 20 milliseconds to 30 seconds of audio" (the page below). */
const LEAST_MS = 20;
const MOST_MS = 1_000;

/**
 * Telnyx Media Streaming with `stream_bidirectional_mode: rtp`, which takes RTP payloads without their headers:
 * https://developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket. `start` tells the codec of what it sends; what
 * it takes is `stream_bidirectional_codec`, which no message tells: the URL's `codec` and `rate` do where it is another one.
 * Of L16 the documents name no byte order, and users report little-endian; `byteOrder=big` in the URL is RFC 3551's.
 * The end is by its REST interface alone.
 */
class TelnyxDialect extends MediaStreamDialect {
  readonly name = 'telnyx';
  #blocks: Blocks | null = null;

  protected receiveEvent(event: string, message: JsonObject, handler: LegHandler): void {
    switch (event) {
      case 'start':
        this.#start(message, handler);
        return;
      case 'dtmf':
        this.takeDigit(objectOf(message.dtmf).digit, undefined, handler);
        return;
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
    const formats = this.#formats(objectOf(start.media_format));
    this.start(
      {
        carrierCallId: textOf(start.call_control_id),
        from: textOf(start.from),
        to: textOf(start.to),
        ids: {
          callSessionId: textOf(start.call_session_id),
          streamId: textOf(message.stream_id),
          accountId: textOf(start.user_id),
          clientState: textOf(start.client_state),
        },
        parameters: objectOf(start.custom_parameters),
      },
      formats,
      handler,
    );
    if (formats === null || this.#blocks !== null) return;
    const { outgoing } = formats;
    const block = bytesOf(LEAST_MS, outgoing);
    const sizes = {
      block,
      least: block,
      most: bytesOf(MOST_MS, outgoing),
      silence: silenceByte(outgoing.encoding),
    };
    this.#blocks = new Blocks(sizes, (bytes) =>
      this.context.send(`{"event":"media","media":{"payload":"${encodeBase64(bytes)}"}}`),
    );
  }

  #formats(format: JsonObject): LineFormats | null {
    const { query } = this.context;
    const incoming = wireFormat(
      textOf(format.encoding) ?? 'PCMU',
      countOf(format.sample_rate) ?? 8_000,
      countOf(format.channels) ?? 1,
    );
    if (incoming === null) return null;
    const rate = countOf(query.get('rate') ?? undefined) ?? incoming.sampleRate;
    const outgoing = wireFormat(query.get('codec') ?? incoming.encoding, rate, 1);
    if (outgoing === null) return null;
    const bigEndian = query.get('byteOrder') === 'big';
    return { incoming: { ...incoming, bigEndian }, outgoing: { ...outgoing, bigEndian } };
  }

  protected sendAudio(bytes: Uint8Array, _format: WireFormat): void {
    this.#blocks?.push(bytes);
  }

  override flush(): void {
    super.flush();
    this.#blocks?.flush();
  }

  clear(): void {
    this.clearEncoder();
    this.#blocks?.clear();
    this.send({ event: 'clear' });
  }

  mark(name: string): void {
    this.send({ event: 'mark', mark: { name } });
  }
}

export const telnyx: DialectEntry = {
  path: 'telnyx',
  subprotocols: [],
  beginsWith: ({ start }) => textOf(objectOf(start).call_control_id) !== undefined,
  create: (context) => new TelnyxDialect(context),
};
