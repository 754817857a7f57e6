import { type Endpoint, type SipMessage, type SipSocket, token } from './sip.ts';

/** A call that stays until the test ends it. */
export class HeldCall {
  readonly callId: string;
  /** The final answer to its INVITE. */
  readonly answer: SipMessage;
  readonly #socket: SipSocket;
  readonly #to: Endpoint;
  readonly #from: string;
  #sequence = 1;

  private constructor(socket: SipSocket, to: Endpoint, callId: string, from: string, answer: SipMessage) {
    this.#socket = socket;
    this.#to = to;
    this.callId = callId;
    this.#from = from;
    this.answer = answer;
  }

  /** Calls, and acknowledges the answer, whatever it is. */
  static async place(
    socket: SipSocket,
    to: Endpoint,
    more: readonly string[] = [],
    target = `sip:100@${to.address}:${to.port}`,
  ): Promise<HeldCall> {
    const callId = `${token()}@${socket.local.address}`;
    const invite = socket.request('INVITE', to, callId, more, target);
    const from = invite.find((line) => line.startsWith('From:')) ?? '';
    socket.send(invite, to);
    const answer = await socket.expect(
      'An answer to INVITE',
      (message) => message.callId === callId && message.method === 'INVITE' && message.status >= 200,
    );
    const call = new HeldCall(socket, to, callId, from, answer);
    if (answer.status < 300) {
      socket.send(call.#lines('ACK'), to);
    } else {
      // The ACK of a refusal belongs to the INVITE's transaction: the same branch.
      const via = invite.find((line) => line.startsWith('Via:')) ?? '';
      const head = [`ACK ${target} SIP/2.0`, via, from, `To: ${answer.first('to')}`, `Call-ID: ${callId}`];
      socket.send([...head, 'CSeq: 1 ACK', 'Max-Forwards: 70'], to);
    }
    return call;
  }

  get status(): number {
    return this.answer.status;
  }

  /** Hangs up; the status of the answer. */
  async hangUp(): Promise<number> {
    this.#sequence += 1;
    this.#socket.send(this.#lines('BYE'), this.#to);
    const answered = await this.#socket.expect(
      'An answer to BYE',
      (message) => message.callId === this.callId && message.method === 'BYE' && message.status >= 200,
    );
    return answered.status;
  }

  /** Waits for the other side's BYE and answers it. */
  async ended(): Promise<SipMessage> {
    const bye = await this.#socket.expect(
      'BYE',
      (message) => message.callId === this.callId && message.method === 'BYE' && message.status === 0,
    );
    const kept = ['via', 'record-route'].flatMap((name) => bye.all(name).map((value) => `${name}: ${value}`));
    const rest = ['from', 'to', 'call-id', 'cseq'].map((name) => `${name}: ${bye.first(name)}`);
    this.#socket.send(['SIP/2.0 200 OK', ...kept, ...rest], this.#to);
    return bye;
  }

  /** A request within the call, by the route that the answer has set. */
  #lines(method: string): string[] {
    const target = /<([^>]+)>/.exec(this.answer.first('contact'))?.[1] ?? '';
    const routes = this.answer
      .all('record-route')
      .flatMap((value) => value.split(','))
      .reverse();
    return [
      `${method} ${target} SIP/2.0`,
      this.#socket.via(),
      ...routes.map((route) => `Route: ${route.trim()}`),
      this.#from,
      `To: ${this.answer.first('to')}`,
      `Call-ID: ${this.callId}`,
      `CSeq: ${this.#sequence} ${method}`,
      'Max-Forwards: 70',
    ];
  }
}
