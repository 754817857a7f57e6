import { Dialog } from '../sip/dialog.ts';
import { type IncomingRequest, type SipEndpoint, token } from '../sip/endpoint.ts';
import { type AudioDescription, pcmuSdp, typeOf } from '../sip/sdp.ts';
import type { RtpLine } from './rtp-line.ts';

/** The SIP of a call that came in. */
export class InLeg {
  readonly direction = 'inbound';
  readonly line: RtpLine;
  readonly #endpoint: SipEndpoint;
  readonly #invite: IncomingRequest;
  readonly #offer: AudioDescription;
  readonly #tag = token();
  #dialog: Dialog | null = null;

  /** @param offer of the INVITE; it has μ-law. */
  constructor(endpoint: SipEndpoint, invite: IncomingRequest, offer: AudioDescription, line: RtpLine) {
    this.#endpoint = endpoint;
    this.#invite = invite;
    this.#offer = offer;
    this.line = line;
  }

  get callId(): string {
    return this.#invite.message.callId;
  }

  get answered(): boolean {
    return this.#dialog !== null;
  }

  answer(): void {
    this.#dialog = Dialog.ofCallee(this.#endpoint, this.#invite.message, this.#tag);
    this.line.connect(this.#offer);
    this.#invite.answer({
      status: 200,
      reason: 'OK',
      tag: this.#tag,
      headers: [
        ['Contact', this.#endpoint.contact],
        ['Content-Type', 'application/sdp'],
      ],
      body: pcmuSdp(this.line.local, typeOf(this.#offer, 'telephone-event') ?? undefined),
    });
  }

  refuse(status: number, reason: string): void {
    this.#invite.answer({ status, reason, tag: this.#tag });
  }

  /** @param reason of the BYE. */
  hangUp(reason: string): void {
    // Who is gone answers no BYE.
    this.#dialog?.request('BYE', [['Reason', reason]]).catch(() => {});
  }
}
