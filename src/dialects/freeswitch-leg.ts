import type { CallEvent } from '../call/events.ts';
import { CarrierDialect, type LegContext, type LineFormats } from './carrier.ts';
import type { LegHandler } from './dialect.ts';
import { type CallFacts, identifiedByHandshake } from './identity.ts';
import { countOf, type JsonObject, objectOf, textOf } from './json-text.ts';
import { transferReportSchema } from './native-messages.ts';
import { type WireFormat, wireFormat } from './wire-audio.ts';

/** Names of a call, of its audio and of what the node can do: no parameters of the operator's. */
const known = new Set(['type', 'event', 'sampleRate', 'playbackRate', 'channels', 'mixType', 'features']);

/**
 * What FreeSWITCH's streaming modules have in common: L16 as binary messages, little-endian; text beside it, which is the dialplan's or a
 * hook's own. Nothing starts a call but the first text with an object in it, or the first audio where the URL or the headers tell for whom
 * the call is. The URL: `rate` (of both directions), `playbackRate`, `channels=2`; and what names a call (`identity.ts`).
 *
 * A hook may send `{"type":"dtmf","digit","duration"}` (`duration` in samples of 8 kHz, as FreeSWITCH counts), `{"type":"hangup"}`,
 * `{"type":"mark","data":{"name"}}` and `{"type":"transfer","state","cause","sipStatus"}`. It is sent the words of `tell`, of which it acts on those that it lists in `features`:
 * `clear`, `mark`, `transfer`, `dtmf`.
 */
export abstract class FreeSwitchLeg extends CarrierDialect {
  /** FreeSWITCH's modules tell no mark by themselves. */
  override get canMark(): boolean {
    return this.has('mark');
  }
  #features: readonly string[];

  constructor(context: LegContext) {
    super(context);
    this.#features = listOf(context.query.get('features'));
  }

  /** A message that reaches the node's hook as an event. */
  protected abstract tell(type: string, data: JsonObject): void;

  protected has(feature: string): boolean {
    return this.#features.includes(feature);
  }

  protected receiveObject(message: JsonObject, handler: LegHandler): void {
    const type = textOf(message.type) ?? textOf(message.event);
    switch (type) {
      case 'dtmf': {
        const samples = countOf(message.duration);
        const digit = message.digit ?? message.dtmf;
        this.takeDigit(digit, samples === undefined ? undefined : Math.round(samples / 8), handler);
        return;
      }
      case 'mark': {
        const { name, event } = { ...message, ...objectOf(message.data) };
        // `cleared`: it was never heard.
        if (typeof name === 'string' && event !== 'cleared') handler.markPlayed(name);
        return;
      }
      case 'hangup':
        handler.hangUp();
        return;
      case 'interrupt':
        handler.interrupt();
        return;
      case 'transfer': {
        const report = transferReportSchema.safeParse(message);
        if (report.success) handler.transfer(report.data);
        else handler.protocolError('BAD_MESSAGE', 'transfer: state must be ringing, answered or failed');
        return;
      }
      case 'answered_by': {
        const { verdict } = message;
        const confidence = Math.min(1, Math.max(0, Number(message.confidence ?? 1) || 0));
        if (verdict === 'human' || verdict === 'machine') handler.answeredBy(verdict, confidence);
        return;
      }
      default:
        if (!this.started) this.#start(message, handler);
    }
  }

  protected override receiveBinary(bytes: Uint8Array, handler: LegHandler): void {
    if (!this.started && bytes.length > 0 && identifiedByHandshake(this.context)) this.#start({}, handler);
    this.takeAudio(bytes, handler);
  }

  #start(message: JsonObject, handler: LegHandler): void {
    const { features } = message;
    if (Array.isArray(features)) this.#features = features.filter((feature) => typeof feature === 'string');
    this.start(this.factsOf(message), this.#formats(message), handler);
  }

  protected factsOf(message: JsonObject): CallFacts {
    const { uuid, direction, ...others } = message;
    return {
      carrierCallId: textOf(uuid),
      outbound: direction === undefined ? undefined : direction === 'outbound',
      ids: {},
      parameters: Object.fromEntries(Object.entries(others).filter(([key]) => !known.has(key))),
    };
  }

  #formats(message: JsonObject): LineFormats | null {
    const { query } = this.context;
    const inQuery = (name: string) => countOf(query.get(name) ?? undefined);
    const rate = countOf(message.sampleRate) ?? inQuery('rate') ?? 8_000;
    const stereo = message.mixType === 'stereo' || query.get('mixType') === 'stereo';
    const channels = countOf(message.channels) ?? inQuery('channels') ?? (stereo ? 2 : 1);
    const incoming = wireFormat('l16', rate, channels);
    const back = countOf(message.playbackRate) ?? inQuery('playbackRate') ?? rate;
    const outgoing = wireFormat('l16', back, 1);
    return incoming === null || outgoing === null ? null : { incoming, outgoing };
  }

  protected sendAudio(bytes: Uint8Array, _format: WireFormat): void {
    this.context.send(bytes);
  }

  override transfer(to: string, ringSeconds: number): boolean {
    if (this.has('transfer')) this.tell('transfer', { to, ringSeconds });
    return this.has('transfer');
  }

  override cancelTransfer(): void {
    if (this.has('transfer')) this.tell('cancel_transfer', {});
  }

  override pressDigits(digits: string): boolean {
    if (this.has('dtmf')) this.tell('dtmf', { digits });
    return this.has('dtmf');
  }

  /** A closed socket alone may also be a lost one, after which the node calls again. */
  override hangUp(): void {
    this.tell('hangup', {});
  }

  override show(event: CallEvent): void {
    switch (event.type) {
      case 'leg.accepted':
        // With it the node comes back to the call after its socket was lost.
        if (event.resumeToken !== null) {
          this.tell('accepted', { callId: event.callId, resumeToken: event.resumeToken });
        }
        return;
      case 'call.started':
        this.tell('started', { callId: event.call.callId });
        return;
      case 'leg.error':
        this.tell('error', { code: event.code, message: event.message });
        return;
      case 'leg.resumed':
        this.tell('resumed', { callId: event.callId });
        return;
    }
  }
}

function listOf(text: string | null): string[] {
  return (text ?? '').split(',').filter((entry) => entry !== '');
}
