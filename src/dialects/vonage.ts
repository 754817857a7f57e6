import { Blocks } from './blocks.ts';
import { CarrierDialect, type DialectEntry } from './carrier.ts';
import type { LegHandler } from './dialect.ts';
import { type JsonObject, objectOf, textOf } from './json-text.ts';
import { bytesOf, type WireFormat, wireFormat } from './wire-audio.ts';

/** Both sides send messages of 20 ms, 320 bytes at 8 kHz and 640 at 16 (the page below). */
const MESSAGE_MS = 20;

/**
 * Vonage Voice API, `connect` to a WebSocket: https://developer.vonage.com/en/voice/voice-api/concepts/websockets. L16 as binary messages.
 * The first message is `websocket:connected`, with the `headers` of the NCCO beside it; Vonage's own ids are not in it, so the NCCO has to
 * send them along. The closed socket is the end.
 */
class VonageDialect extends CarrierDialect {
  readonly name = 'vonage';
  #blocks: Blocks | null = null;

  protected receiveObject(message: JsonObject, handler: LegHandler): void {
    switch (message.event) {
      case 'websocket:connected':
        this.#start(message, handler);
        return;
      case 'websocket:dtmf':
        this.takeDigit(message.digit ?? objectOf(message.dtmf).digit, message.duration, handler);
        return;
      case 'websocket:notify': {
        const name = textOf(objectOf(message.payload).name);
        if (name !== undefined) handler.markPlayed(name);
        return;
      }
      default:
        if (typeof message.event !== 'string') handler.protocolError('BAD_MESSAGE', 'event: must be a text');
    }
  }

  #start(message: JsonObject, handler: LegHandler): void {
    const { event: _, 'content-type': contentType, uuid, conversation_uuid, ...parameters } = message;
    const wire = wireFormat(textOf(contentType) ?? 'audio/l16', 8_000, 1);
    if (this.#blocks === null && wire !== null) {
      const block = bytesOf(MESSAGE_MS, wire);
      // The socket may still hold what it was given: each message its own bytes.
      this.#blocks = new Blocks({ block, least: block, most: block, silence: 0 }, (bytes) =>
        this.context.send(bytes.slice()),
      );
    }
    this.start(
      {
        carrierCallId: textOf(uuid),
        ids: { conversationUuid: textOf(conversation_uuid) },
        parameters,
      },
      wire === null ? null : { incoming: wire, outgoing: wire },
      handler,
    );
  }

  protected override receiveBinary(bytes: Uint8Array, handler: LegHandler): void {
    this.takeAudio(bytes, handler);
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
    this.send({ action: 'clear' });
  }

  mark(name: string): void {
    this.send({ action: 'notify', payload: { name } });
  }
}

export const vonage: DialectEntry = {
  path: 'vonage',
  subprotocols: [],
  beginsWith: ({ event }) => event === 'websocket:connected',
  create: (context) => new VonageDialect(context),
};
