import { Dialog } from '../sip/dialog.ts';
import { type SipEndpoint, token } from '../sip/endpoint.ts';
import { type Endpoint, endpointOf, type Header, SipMessage } from '../sip/message.ts';
import { parseSdp, pcmuSdp } from '../sip/sdp.ts';
import { causeOfStatus } from './causes.ts';
import type { RtpLine } from './rtp-line.ts';

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

/** FreeSWITCH's `originate_timeout` where none is given. */
const defaultSeconds = 60;

/** How dialling ended. */
export type Dialled = { answered: true } | { answered: false; cause: string; sipStatus: number | null };

/** The SIP of a call that the node places. */
export class OutLeg {
  readonly direction = 'outbound';
  readonly callId = token();
  readonly line: RtpLine;
  readonly #endpoint: SipEndpoint;
  readonly #proxy: Endpoint;
  readonly #invite: SipMessage;
  readonly #seconds: number;
  #dialog: Dialog | null = null;
  #state: 'dialled' | 'given up' | 'over' = 'dialled';

  constructor(endpoint: SipEndpoint, { uri, proxy, variables }: Dial, line: RtpLine) {
    this.#endpoint = endpoint;
    this.#proxy = proxy;
    this.line = line;
    this.#seconds = Number(variables.get('originate_timeout') ?? defaultSeconds);
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
      pcmuSdp(line.local),
    );
  }

  get answered(): boolean {
    return this.#dialog !== null;
  }

  /** Dials. @param onRinging is told of 180 and 183. */
  async dial(onRinging: () => void): Promise<Dialled> {
    const limit = setTimeout(() => this.hangUp('NO_ANSWER'), this.#seconds * 1_000);
    try {
      const answer = await this.#endpoint.request(this.#invite, this.#proxy, ({ status }) => {
        if (status >= 180) onRinging();
      });
      const far = parseSdp(answer.body);
      if (answer.status >= 300 || far === null) {
        if (this.#state === 'given up') return { answered: false, cause: 'NO_ANSWER', sipStatus: null };
        return { answered: false, cause: causeOfStatus(answer.status), sipStatus: answer.status };
      }
      this.#dialog = Dialog.ofCaller(this.#endpoint, this.#invite, answer);
      this.#dialog.acknowledge();
      if (this.#state === 'dialled') {
        this.line.connect(far);
        return { answered: true };
      }
      // It was answered while it was given up.
      this.#bye('');
      return { answered: false, cause: 'NO_ANSWER', sipStatus: null };
    } catch {
      return { answered: false, cause: 'RECOVERY_ON_TIMER_EXPIRE', sipStatus: null };
    } finally {
      clearTimeout(limit);
    }
  }

  /** Gives it up, whatever came of it. @param reason of the BYE. */
  hangUp(reason: string): void {
    if (this.#state !== 'dialled') return;
    if (this.#dialog !== null) {
      this.#bye(reason);
    } else {
      this.#state = 'given up';
      void this.#endpoint.cancel(this.#invite, this.#proxy);
    }
  }

  /** Whoever has answered has sent BYE. */
  hungUp(): void {
    this.#state = 'over';
  }

  #bye(reason: string): void {
    this.#state = 'over';
    const headers: Header[] = reason === '' ? [] : [['Reason', reason]];
    this.#dialog?.request('BYE', headers).catch(() => {});
  }
}
