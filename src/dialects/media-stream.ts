import { Base64Decoder } from '../audio/base64.ts';
import { CarrierDialect, type LegContext } from './carrier.ts';
import type { LegHandler } from './dialect.ts';
import { countOf, type JsonObject, objectOf } from './json-text.ts';
import { ReorderWindow } from './reorder-window.ts';

/** What is missing beyond this is a gap of the line, which the recording's timeline sees by the clock. */
const MOST_LOST_FRAMES = 10;

/**
 * The family of Twilio's Media Streams: JSON both ways, told apart by `event`; `start` once; audio as base64 in `media`, numbered in
 * `chunk`. Its members differ in names and in what they can.
 */
export abstract class MediaStreamDialect extends CarrierDialect {
  #handler: LegHandler | null = null;
  #frameMs = 20;
  readonly #base64 = new Base64Decoder();
  readonly #window: ReorderWindow<string>;

  constructor(context: LegContext) {
    super(context);
    this.#window = new ReorderWindow(this.window, (payload, lost) => this.#takePayload(payload, lost));
  }

  /** Frames that wait for one that is missing: of 20 ms, a tenth of a second. */
  protected get window(): number {
    return 5;
  }

  /** Everything but `media`. What is not known is ignored: carriers add events without asking. */
  protected abstract receiveEvent(event: string, message: JsonObject, handler: LegHandler): void;

  protected receiveObject(message: JsonObject, handler: LegHandler): void {
    const { event } = message;
    if (event === 'stop') this.#window.flush();
    if (event === 'media') this.#receiveMedia(objectOf(message.media), handler);
    else if (typeof event === 'string') this.receiveEvent(event, message, handler);
    else handler.protocolError('BAD_MESSAGE', 'event: must be a text');
  }

  #receiveMedia(media: JsonObject, handler: LegHandler): void {
    // A stream of both tracks has the agent's own voice in it.
    if (media.track === 'outbound') return;
    const { payload } = media;
    if (typeof payload !== 'string') {
      handler.protocolError('BAD_AUDIO', 'media.payload: must be base64 text');
      return;
    }
    this.#handler = handler;
    const number = countOf(media.chunk);
    if (number === undefined) this.#takePayload(payload, 0);
    else this.#window.push(number, payload);
  }

  #takePayload(payload: string, lost: number): void {
    const handler = this.#handler!;
    const bytes = this.#base64.decode(payload);
    if (bytes === null) {
      handler.protocolError('BAD_AUDIO', 'media.payload: is not base64');
      return;
    }
    if (lost > 0 && lost <= MOST_LOST_FRAMES) this.takeSilence(lost * this.#frameMs, handler);
    const ms = this.msOf(bytes.length);
    if (ms > 0) this.#frameMs = Math.min(ms, 200);
    this.takeAudio(bytes, handler);
  }
}
