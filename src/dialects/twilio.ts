import { encodeBase64 } from '../audio/base64.ts';
import type { DialectEntry, LegContext } from './carrier.ts';
import type { LegHandler } from './dialect.ts';
import { countOf, type JsonObject, objectOf, textOf } from './json-text.ts';
import { MediaStreamDialect } from './media-stream.ts';
import { type WireFormat, wireFormat } from './wire-audio.ts';

/**
 * Twilio Media Streams (`<Connect><Stream>`), https://www.twilio.com/docs/voice/media-streams/websocket-messages, and what is shaped like
 * it: SignalWire's cXML `<Stream>`; `mod_twilio_stream` of somleng-switch, whose `customParameters` stand beside `start`
 * (`TwilioHelper::start`, https://github.com/somleng/somleng-switch). It has no message that hangs up.
 */
class TwilioDialect extends MediaStreamDialect {
  readonly name: string;
  #streamSid = '';
  /** A piece's message up to its audio, and after it. */
  #prefix = '';

  constructor(name: string, context: LegContext) {
    super(context);
    this.name = name;
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
        // After a `clear` those that are still out come back as well; the call knows that it has taken them back.
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
    const format = objectOf(start.mediaFormat);
    const streamSid = textOf(start.streamSid) ?? textOf(message.streamSid);
    const wire = wireFormat(
      textOf(format.encoding) ?? 'audio/x-mulaw',
      countOf(format.sampleRate) ?? 8_000,
      countOf(format.channels) ?? 1,
    );
    if (!this.started) {
      this.#streamSid = streamSid ?? '';
      this.#prefix = `{"event":"media","streamSid":${JSON.stringify(this.#streamSid)},"media":{"payload":"`;
    }
    this.start(
      {
        carrierCallId: textOf(start.callSid),
        ids: { accountSid: textOf(start.accountSid), streamSid },
        parameters: { ...objectOf(message.customParameters), ...objectOf(start.customParameters) },
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
    this.send({ event: 'clear', streamSid: this.#streamSid });
  }

  mark(name: string): void {
    this.send({ event: 'mark', streamSid: this.#streamSid, mark: { name } });
  }
}

export const twilio: DialectEntry = {
  path: 'twilio',
  subprotocols: [],
  beginsWith: ({ start }) => textOf(objectOf(start).streamSid) !== undefined,
  create: (context) => new TwilioDialect('twilio', context),
};

export const modTwilioStream: DialectEntry = {
  ...twilio,
  path: 'mod_twilio_stream',
  subprotocols: ['audio.somleng.org'],
  create: (context) => new TwilioDialect('mod_twilio_stream', context),
};
