import { randomUUID } from 'node:crypto';
import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { Dialog } from '../sip/dialog.ts';
import { type IncomingRequest, type SipEndpoint, token } from '../sip/endpoint.ts';
import { frameSamples, KeyReader, type RtpPacket, RtpSender, RtpSocket } from '../sip/rtp.ts';
import { type AudioDescription, pcmuSdp, typeOf } from '../sip/sdp.ts';
import { type ModuleEvent, StreamingModule } from './streaming-module.ts';
import { Tone } from './tone.ts';

/** The causes that occur here, by FreeSWITCH's numbers: up to 127 they are ITU-T Q.850's, above its own (`switch_call_cause_t`). */
const causes: Readonly<Record<string, number>> = {
  NORMAL_CLEARING: 16,
  NORMAL_TEMPORARY_FAILURE: 41,
  ORIGINATOR_CANCEL: 487,
  MANAGER_REQUEST: 703,
  ALLOTTED_TIMEOUT: 802,
  MEDIA_TIMEOUT: 804,
};
const mostOfQ850 = 127;

/** Packets of a key that the node presses: 100 ms, FreeSWITCH's default. */
const keyPackets = 5;

export interface ChannelEvents {
  module: ModuleEvent;
  key(digit: string, samples: number): void;
  /** The channel is gone; its variables tell how. */
  ended(): void;
}

/** One telephone call on the double: its SIP dialog, its RTP, its variables, and the streaming module on it. */
export class Channel {
  readonly uuid = randomUUID();
  readonly variables = new Map<string, string>();
  readonly module: StreamingModule;
  readonly #endpoint: SipEndpoint;
  readonly #invite: IncomingRequest;
  readonly #caller: AudioDescription;
  readonly #events: ChannelEvents;
  readonly #rtp: RtpSocket;
  readonly #sender = new RtpSender();
  readonly #keys = new KeyReader();
  readonly #eventType: number | null;
  readonly #localTag = token();
  #dialog: Dialog | null = null;
  #answeredAt: number | null = null;
  #heardAt = performance.now();
  #hold: Tone | null = null;
  #over = false;

  private constructor(
    endpoint: SipEndpoint,
    invite: IncomingRequest,
    caller: AudioDescription,
    events: ChannelEvents,
    openRtp: (onPacket: (packet: RtpPacket) => void) => RtpSocket,
  ) {
    this.#endpoint = endpoint;
    this.#invite = invite;
    this.#caller = caller;
    this.#events = events;
    this.#eventType = typeOf(caller, 'telephone-event');
    this.module = new StreamingModule((name, body) => {
      if (!this.#over) events.module(name, body);
    });
    this.#rtp = openRtp((packet) => this.#take(packet));
  }

  /** For an INVITE whose offer has μ-law. */
  static async take(
    endpoint: SipEndpoint,
    invite: IncomingRequest,
    caller: AudioDescription,
    events: ChannelEvents,
  ): Promise<Channel> {
    let take: (packet: RtpPacket) => void = () => {};
    const rtp = await RtpSocket.open(endpoint.local.address, (packet) => take(packet));
    return new Channel(endpoint, invite, caller, events, (onPacket) => {
      take = onPacket;
      return rtp;
    });
  }

  get alive(): boolean {
    return !this.#over;
  }

  get callId(): string {
    return this.#invite.message.callId;
  }

  answer(): void {
    if (this.#over || this.#dialog !== null) return;
    const tag = this.#localTag;
    this.#dialog = Dialog.ofCallee(this.#endpoint, this.#invite.message, tag);
    this.#answeredAt = performance.now();
    this.#heardAt = this.#answeredAt;
    this.#invite.answer({
      status: 200,
      reason: 'OK',
      tag,
      headers: [
        ['Contact', this.#endpoint.contact],
        ['Content-Type', 'application/sdp'],
      ],
      body: pcmuSdp(this.#rtp.local, this.#eventType ?? undefined),
    });
  }

  /** Refuses the call: `404 Not Found`. */
  refuse(answer: string): void {
    if (this.#over || this.#dialog !== null) return;
    const [status = '', ...reason] = answer.split(' ');
    this.#invite.answer({ status: Number(status), reason: reason.join(' '), tag: this.#localTag });
    this.#end('NORMAL_CLEARING', 'send_refuse');
  }

  /** The caller has sent CANCEL. */
  cancelled(): void {
    if (this.#over || this.#dialog !== null) return;
    this.#invite.answer({ status: 487, reason: 'Request Terminated', tag: this.#localTag });
    this.#end('ORIGINATOR_CANCEL', 'recv_cancel');
  }

  /** The caller has sent BYE. */
  hungUp(): void {
    this.#end('NORMAL_CLEARING', 'recv_bye');
  }

  /** The node hangs up, for one of FreeSWITCH's causes. */
  kill(cause: string): void {
    if (this.#over) return;
    const dialog = this.#dialog;
    if (dialog === null) {
      this.refuse('480 Temporarily Unavailable');
      return;
    }
    const code = causeCode(cause);
    const reason = `${code > mostOfQ850 ? 'SIP' : 'Q.850'};cause=${code};text="${cause}"`;
    // A caller that is gone answers no BYE.
    dialog.request('BYE', [['Reason', reason]]).catch(() => {});
    this.#end(cause, 'send_bye');
  }

  /** The line that the caller hears in place of everything else; null: no more. */
  hold(stream: string | null): void {
    this.#hold = stream === null ? null : new Tone(stream);
  }

  press(digits: string): void {
    this.#sender.press(digits);
  }

  /** Twenty milliseconds have passed. */
  tick(): void {
    if (this.#over || this.#answeredAt === null) return;
    const longest = Number(this.variables.get('media_timeout'));
    if (longest > 0 && performance.now() - this.#heardAt > longest) {
      this.kill('MEDIA_TIMEOUT');
      return;
    }
    if (!this.#sender.idle && this.#eventType !== null) {
      for (const packet of this.#sender.key(this.#eventType, keyPackets))
        this.#rtp.send(packet, this.#caller);
      return;
    }
    const silence = () => new Int16Array(frameSamples);
    const frame = this.#hold?.next(frameSamples) ?? this.module.takeFrame(frameSamples) ?? silence();
    this.#rtp.send(this.#sender.audio(0, encodeMulaw(frame)), this.#caller);
  }

  #take(packet: RtpPacket): void {
    if (this.#over || this.#answeredAt === null) return;
    this.#heardAt = performance.now();
    if (packet.type === 0) this.module.sendAudio(decodeMulaw(packet.payload));
    if (packet.type !== this.#eventType) return;
    const key = this.#keys.read(packet);
    if (key !== null) this.#events.key(key.digit, key.samples);
  }

  /** The module goes first, and tells no hook any more; then the hang-up's own event. */
  #end(cause: string, disposition: string): void {
    if (this.#over) return;
    this.#over = true;
    this.module.stop();
    this.#rtp.close();
    const seconds = this.#answeredAt === null ? 0 : (performance.now() - this.#answeredAt) / 1_000;
    this.variables.set('hangup_cause', cause);
    this.variables.set('hangup_cause_q850', `${q850Of(cause)}`);
    this.variables.set('sip_hangup_disposition', disposition);
    this.variables.set('billsec', `${Math.floor(seconds)}`);
    this.#events.ended();
  }
}

function causeCode(cause: string): number {
  const code = causes[cause];
  if (code === undefined) throw new Error(`the double does not know the cause ${cause}`);
  return code;
}

/** `switch_channel_cause_q850`: FreeSWITCH's own causes count as normal clearing. */
function q850Of(cause: string): number {
  const code = causeCode(cause);
  return code > mostOfQ850 ? 16 : code;
}
