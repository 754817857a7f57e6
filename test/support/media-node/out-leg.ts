import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { Dialog } from '../sip/dialog.ts';
import { type SipEndpoint, token } from '../sip/endpoint.ts';
import { type Endpoint, endpointOf, type Header, SipMessage } from '../sip/message.ts';
import { type RtpPacket, RtpSender, RtpSocket } from '../sip/rtp.ts';
import { type AudioDescription, parseSdp, pcmuSdp } from '../sip/sdp.ts';

/** What FreeSWITCH is told to dial: `{variable=value,…}sofia/PROFILE/NUMBER@PROXY`, or `…/sip:USER@HOST;fs_path=sip:PROXY`. */
export interface Dial {
  uri: string;
  /** The next hop. */
  proxy: Endpoint;
  variables: ReadonlyMap<string, string>;
}

/** @throws {Error} if it is none of the two. */
export function parseDial(text: string): Dial {
  const parts = /^\{([^}]*)\}sofia\/\w+\/(.+)$/.exec(text);
  if (parts === null) throw new Error(`the double cannot dial ${text}`);
  const [, list = '', target = ''] = parts;
  const variables = new Map(
    list.split(/,(?=[\w-]+=)/).map((entry) => {
      const equals = entry.indexOf('=');
      return [entry.slice(0, equals), entry.slice(equals + 1).replace(/^'|'$/g, '')] as const;
    }),
  );
  const [address = '', path] = target.split(';fs_path=');
  const uri = path === undefined ? `sip:${address}` : address;
  return { uri, proxy: endpointOf(path ?? uri), variables };
}

/** `sofia_glue.c`: FreeSWITCH's cause of a SIP status; others are NORMAL_UNSPECIFIED. */
const causes: Readonly<Record<number, string>> = {
  403: 'CALL_REJECTED',
  404: 'UNALLOCATED_NUMBER',
  408: 'RECOVERY_ON_TIMER_EXPIRE',
  480: 'NO_USER_RESPONSE',
  486: 'USER_BUSY',
  487: 'ORIGINATOR_CANCEL',
  488: 'INCOMPATIBLE_DESTINATION',
  503: 'NORMAL_TEMPORARY_FAILURE',
  603: 'CALL_REJECTED',
};

/** Frames that wait for the other leg's next 20 ms: more come only from a line that is late, and are dropped. */
const mostWaiting = 10;

/** How dialling ended. */
export type Dialled = { answered: true } | { answered: false; cause: string; sipStatus: number | null };

/** A call that the node places: INVITE by the proxy, and RTP with whoever answers. */
export class OutLeg {
  readonly callId: string;
  readonly #endpoint: SipEndpoint;
  readonly #dial: Dial;
  readonly #invite: SipMessage;
  readonly #rtp: RtpSocket;
  readonly #sender = new RtpSender();
  readonly #ended: () => void;
  readonly #frames: Int16Array[] = [];
  #dialog: Dialog | null = null;
  #farEnd: AudioDescription | null = null;
  #given: 'no' | 'cancel' | 'over' = 'no';
  #closed = false;

  private constructor(endpoint: SipEndpoint, dial: Dial, rtp: RtpSocket, ended: () => void) {
    const { variables, uri } = dial;
    this.#endpoint = endpoint;
    this.#dial = dial;
    this.#rtp = rtp;
    this.#ended = ended;
    this.callId = token();
    const shown = variables.get('origination_caller_id_number') ?? 'anonymous';
    const headers = [...variables].filter(([name]) => name.startsWith('sip_h_'));
    this.#invite = new SipMessage(
      `INVITE ${uri} SIP/2.0`,
      [
        endpoint.via(),
        ['From', `"${shown}" <sip:${shown}@${endpoint.local.address}>;tag=${token()}`],
        ['To', `<${uri}>`],
        ['Call-ID', this.callId],
        ['CSeq', '1 INVITE'],
        ['Contact', endpoint.contact],
        ['Max-Forwards', '70'],
        ...headers.map(([name, value]): Header => [name.slice('sip_h_'.length), value]),
        ['Content-Type', 'application/sdp'],
      ],
      pcmuSdp(rtp.local),
    );
  }

  /** @param ended is told when whoever has answered hangs up. */
  static async open(endpoint: SipEndpoint, dial: Dial, ended: () => void): Promise<OutLeg> {
    let take: (packet: RtpPacket) => void = () => {};
    const rtp = await RtpSocket.open(endpoint.local.address, (packet) => take(packet));
    const leg = new OutLeg(endpoint, dial, rtp, ended);
    take = (packet) => leg.#take(packet);
    return leg;
  }

  get answered(): boolean {
    return this.#farEnd !== null;
  }

  /** Dials, for `originate_timeout` at the longest. @param onRinging is told of 180 and 183. */
  async dial(onRinging: () => void): Promise<Dialled> {
    const seconds = Number(this.#dial.variables.get('originate_timeout') ?? 60);
    const limit = setTimeout(() => this.hangUp(), seconds * 1_000);
    try {
      const answer = await this.#endpoint.request(this.#invite, this.#dial.proxy, ({ status }) => {
        if (status >= 180) onRinging();
      });
      const farEnd = parseSdp(answer.body);
      if (answer.status < 300 && farEnd !== null) {
        this.#dialog = Dialog.ofCaller(this.#endpoint, this.#invite, answer);
        this.#dialog.acknowledge();
        this.#farEnd = farEnd;
        // It was answered while it was given up.
        if (this.#given !== 'no') this.#bye();
        return { answered: true };
      }
      this.#close();
      if (this.#given === 'cancel') return { answered: false, cause: 'NO_ANSWER', sipStatus: null };
      const cause = causes[answer.status] ?? 'NORMAL_UNSPECIFIED';
      return { answered: false, cause, sipStatus: answer.status };
    } catch {
      this.#close();
      return { answered: false, cause: 'RECOVERY_ON_TIMER_EXPIRE', sipStatus: null };
    } finally {
      clearTimeout(limit);
    }
  }

  /** Gives it up, whatever came of it. */
  hangUp(): void {
    if (this.#given !== 'no') return;
    if (this.#dialog !== null) {
      this.#bye();
    } else {
      this.#given = 'cancel';
      void this.#endpoint.cancel(this.#invite, this.#dial.proxy);
    }
  }

  /** Whoever has answered has sent BYE. */
  hungUp(): void {
    if (this.#given === 'over') return;
    this.#given = 'over';
    this.#close();
    this.#ended();
  }

  send(samples: Int16Array): void {
    if (this.#farEnd !== null && this.#given === 'no')
      this.#rtp.send(this.#sender.audio(0, encodeMulaw(samples)), this.#farEnd);
  }

  /** What was heard of the far end in 20 ms; null: nothing. */
  takeFrame(): Int16Array | null {
    return this.#frames.shift() ?? null;
  }

  #bye(): void {
    this.#given = 'over';
    this.#close();
    this.#dialog?.request('BYE').catch(() => {});
  }

  #take(packet: RtpPacket): void {
    if (packet.type === 0 && this.#frames.length < mostWaiting)
      this.#frames.push(decodeMulaw(packet.payload));
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rtp.close();
  }
}
