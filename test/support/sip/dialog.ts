import type { SipEndpoint } from './endpoint.ts';
import { type Endpoint, endpointOf, type Header, SipMessage, uriOf } from './message.ts';

/** What two ends have agreed on, RFC 3261 §12: requests within a call go by it. */
export class Dialog {
  readonly #endpoint: SipEndpoint;
  readonly callId: string;
  /** `From` and `To` of our requests. */
  readonly #local: string;
  readonly #remote: string;
  readonly #target: string;
  readonly #routes: readonly string[];
  #sequence: number;

  private constructor(
    endpoint: SipEndpoint,
    callId: string,
    sides: { local: string; remote: string },
    way: { target: string; routes: readonly string[] },
    sequence: number,
  ) {
    this.#endpoint = endpoint;
    this.callId = callId;
    this.#local = sides.local;
    this.#remote = sides.remote;
    this.#target = way.target;
    this.#routes = way.routes;
    this.#sequence = sequence;
  }

  /** Of whoever sent the INVITE. The answer's routes are in the callee's order. */
  static ofCaller(endpoint: SipEndpoint, invite: SipMessage, answer: SipMessage): Dialog {
    return new Dialog(
      endpoint,
      invite.callId,
      { local: invite.first('From'), remote: answer.first('To') },
      { target: uriOf(answer.first('Contact')), routes: answer.all('Record-Route').reverse() },
      invite.sequence,
    );
  }

  /** Of whoever was called, and has answered with this tag. */
  static ofCallee(endpoint: SipEndpoint, invite: SipMessage, tag: string): Dialog {
    return new Dialog(
      endpoint,
      invite.callId,
      { local: `${invite.first('To')};tag=${tag}`, remote: invite.first('From') },
      { target: uriOf(invite.first('Contact')), routes: invite.all('Record-Route') },
      0,
    );
  }

  /** The first proxy on the way, or the other end. */
  get #hop(): Endpoint {
    return endpointOf(this.#routes[0] ?? this.#target);
  }

  acknowledge(): void {
    this.#endpoint.acknowledge(this.#message('ACK', this.#sequence), this.#hop);
  }

  /** A request, and its final answer. */
  request(method: string, headers: readonly Header[] = []): Promise<SipMessage> {
    this.#sequence += 1;
    return this.#endpoint.request(this.#message(method, this.#sequence, headers), this.#hop);
  }

  #message(method: string, sequence: number, headers: readonly Header[] = []): SipMessage {
    return new SipMessage(`${method} ${this.#target} SIP/2.0`, [
      this.#endpoint.via(),
      ...this.#routes.map((route): Header => ['Route', route]),
      ['From', this.#local],
      ['To', this.#remote],
      ['Call-ID', this.callId],
      ['CSeq', `${sequence} ${method}`],
      ['Max-Forwards', '70'],
      ...headers,
    ]);
  }
}
