import { encodeBase64 } from '../audio/base64.ts';
import type { DialectEntry } from './carrier.ts';
import type { LegHandler } from './dialect.ts';
import { countOf, type JsonObject, objectOf, parseObject, textOf } from './json-text.ts';
import { MediaStreamDialect } from './media-stream.ts';
import { type WireFormat, wireFormat } from './wire-audio.ts';

/**
 * Plivo Audio Streaming (`<Stream bidirectional="true">`):
 * https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference. It tells no `stop`: the closed socket is the end.
 */
class PlivoDialect extends MediaStreamDialect {
  readonly name = 'plivo';
  #streamId = '';
  #prefix = '';

  protected receiveEvent(event: string, message: JsonObject, handler: LegHandler): void {
    switch (event) {
      case 'start':
        this.#start(message, handler);
        return;
      case 'dtmf':
        this.takeDigit(objectOf(message.dtmf).digit, undefined, handler);
        return;
      case 'playedStream': {
        const name = textOf(message.name);
        if (name !== undefined) handler.markPlayed(name);
        return;
      }
      // Not in the documents, but sent by what speaks Plivo's protocol.
      case 'stop':
        handler.hangUp();
        return;
    }
  }

  #start(message: JsonObject, handler: LegHandler): void {
    const start = objectOf(message.start);
    const format = objectOf(start.mediaFormat);
    const streamId = textOf(start.streamId) ?? textOf(message.streamId);
    // The `contentType` of the XML, and 8 kHz L16 where it names none.
    const wire = wireFormat(textOf(format.encoding) ?? 'audio/x-l16', countOf(format.sampleRate) ?? 8_000, 1);
    if (!this.started && wire !== null) {
      this.#streamId = streamId ?? '';
      const contentType = `audio/x-${wire.encoding}`;
      this.#prefix = `{"event":"playAudio","media":{"contentType":"${contentType}","sampleRate":${wire.sampleRate},"payload":"`;
    }
    this.start(
      {
        carrierCallId: textOf(start.callId),
        from: textOf(start.from),
        to: textOf(start.to),
        ids: { accountId: textOf(start.accountId), streamId },
        parameters: pairsOf(message.extra_headers),
      },
      wire === null ? null : { incoming: wire, outgoing: wire },
      handler,
    );
  }

  protected sendAudio(bytes: Uint8Array, _format: WireFormat): void {
    this.context.send(`${this.#prefix}${encodeBase64(bytes)}"}}`);
  }

  clear(): void {
    this.clearEncoder();
    this.send({ event: 'clearAudio', streamId: this.#streamId });
  }

  mark(name: string): void {
    this.send({ event: 'checkpoint', streamId: this.#streamId, name });
  }

  override pressDigits(digits: string): boolean {
    this.send({ event: 'sendDTMF', dtmf: digits });
    return true;
  }
}

/** `extraHeaders` of the XML: `a=1,b=2` is written there, `a=1;b=2` comes; other pages of Plivo's show `{}` for none. */
function pairsOf(text: unknown): JsonObject {
  if (typeof text !== 'string') return {};
  const json = parseObject(text);
  if (typeof json !== 'string') return json;
  const pairs = text
    .replace(/^\{|\}$/g, '')
    .split(/[;,]/)
    .map((pair) => /^\s*([^=:\s]+)\s*[=:]\s*(.*?)\s*$/.exec(pair))
    .flatMap((match) => (match === null ? [] : [[match[1]!, match[2]!]]));
  return Object.fromEntries(pairs) as JsonObject;
}

export const plivo: DialectEntry = {
  path: 'plivo',
  subprotocols: [],
  beginsWith: ({ start }) => textOf(objectOf(start).streamId) !== undefined,
  create: (context) => new PlivoDialect(context),
};
