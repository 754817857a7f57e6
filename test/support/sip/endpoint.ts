import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type Endpoint, type Header, SipMessage, tagOf } from './message.ts';

/** RFC 3261 §17.1.1.1: the first wait for an answer, which doubles, and the longest between two tries. */
const t1Ms = 500;
const t2Ms = 4_000;
/** The longest wait for an answer; the proxy gives up before (`ANSWER_TIMEOUT`). */
const answerLimitMs = 30_000;
/** How long a repeated request gets its answer again. */
const rememberedMs = 32_000;

export interface Answer {
  status: number;
  reason: string;
  /** Of `To`, where the request has none. */
  tag?: string;
  headers?: readonly Header[];
  body?: string;
}

/** A request that came, and the way to answer it. */
export interface IncomingRequest {
  message: SipMessage;
  from: Endpoint;
  answer(answer: Answer): void;
}

interface Asked {
  onAnswer(answer: SipMessage): void;
}

export function token(): string {
  return randomBytes(8).toString('hex');
}

/**
 * A SIP end by UDP with its transactions (RFC 3261 §17): requests are repeated until they are answered, what comes twice is handed on
 * once and answered twice, and a final answer to an INVITE is repeated until its ACK comes.
 */
export class SipEndpoint {
  readonly local: Endpoint;
  readonly #socket: Socket;
  readonly #onRequest: (request: IncomingRequest) => void;
  /** Requests of ours that have no final answer yet, by branch. */
  readonly #asked = new Map<string, Asked>();
  /** What was answered, by branch and method; null: nothing yet. */
  readonly #answered = new Map<string, string | null>();
  /** Final answers to INVITEs that wait for their ACK, by Call-ID and number. */
  readonly #unacknowledged = new Map<string, () => void>();
  /** The ACK of an INVITE that was accepted, by Call-ID and number, and where to: it goes out again with each repeat of the answer. */
  readonly #acks = new Map<string, { text: string; to: Endpoint }>();
  readonly #timers = new Set<NodeJS.Timeout>();

  private constructor(socket: Socket, local: Endpoint, onRequest: (request: IncomingRequest) => void) {
    this.#socket = socket;
    this.local = local;
    this.#onRequest = onRequest;
    socket.on('message', (data, { address, port }) => {
      const message = SipMessage.parse(data.toString('utf8'));
      if (message !== null) this.#take(message, { address, port });
    });
    // What is sent to a port that is closed comes back as an error of the next one; whoever waits has a time-out.
    socket.on('error', () => {});
  }

  /** @param port 0: any that is free. */
  static async open(
    address: string,
    onRequest: (request: IncomingRequest) => void,
    port = 0,
  ): Promise<SipEndpoint> {
    const socket = createSocket('udp4');
    socket.bind(port, address);
    await once(socket, 'listening');
    return new SipEndpoint(socket, { address, port: socket.address().port }, onRequest);
  }

  get contact(): string {
    return `<sip:${this.local.address}:${this.local.port}>`;
  }

  via(branch = `z9hG4bK${token()}`): Header {
    return ['Via', `SIP/2.0/UDP ${this.local.address}:${this.local.port};rport;branch=${branch}`];
  }

  /**
   * Sends a request, whose topmost Via is `via()`, and waits for its final answer. A refused INVITE is acknowledged.
   *
   * @param onProgress gets the answers 1xx. @throws {Error} if no final answer came in time.
   */
  request(request: SipMessage, to: Endpoint, onProgress?: (answer: SipMessage) => void): Promise<SipMessage> {
    const isInvite = request.method === 'INVITE';
    return new Promise((resolve, reject) => {
      const repeat = this.#repeat(() => this.#send(request.toString(), to));
      const limit = this.#after(answerLimitMs, () => {
        done();
        reject(new Error(`no answer to ${request.start} from ${to.address}:${to.port}`));
      });
      const done = () => {
        repeat.stop();
        this.#cancel(limit);
        this.#asked.delete(request.branch);
      };
      this.#asked.set(request.branch, {
        onAnswer: (answer) => {
          if (answer.status < 200) {
            if (isInvite) repeat.stop();
            onProgress?.(answer);
            return;
          }
          done();
          if (isInvite && answer.status >= 300) this.#acknowledgeRefusal(request, answer, to);
          resolve(answer);
        },
      });
    });
  }

  /** CANCEL of an INVITE that has no final answer yet; that comes to whoever waits for it. */
  async cancel(invite: SipMessage, to: Endpoint): Promise<void> {
    const kept = invite.headers.filter(([name]) => /^(via|from|to|call-id|route|max-forwards)$/i.test(name));
    const headers = [...kept, ['CSeq', `${invite.sequence} CANCEL`] as const];
    const cancel = new SipMessage(`CANCEL ${invite.uri} SIP/2.0`, headers);
    // It shares the INVITE's branch, so its own answer is told apart by the method: see #take.
    await new Promise<void>((resolve) => {
      this.#asked.set(`${cancel.branch} CANCEL`, { onAnswer: () => resolve() });
      this.#send(cancel.toString(), to);
    });
    this.#asked.delete(`${cancel.branch} CANCEL`);
  }

  /** The ACK of an INVITE that was accepted. */
  acknowledge(ack: SipMessage, to: Endpoint): void {
    this.#acks.set(`${ack.callId} ${ack.sequence}`, { text: ack.toString(), to });
    this.#send(ack.toString(), to);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#socket.close();
  }

  #take(message: SipMessage, from: Endpoint): void {
    if (message.status > 0) this.#takeAnswer(message);
    else if (message.method === 'ACK') this.#unacknowledged.get(`${message.callId} ${message.sequence}`)?.();
    else this.#takeRequest(message, from);
  }

  #takeAnswer(answer: SipMessage): void {
    const { branch, method } = answer;
    const asked = this.#asked.get(method === 'CANCEL' ? `${branch} CANCEL` : branch);
    if (asked !== undefined) asked.onAnswer(answer);
    else if (method === 'INVITE' && answer.status >= 200 && answer.status < 300) {
      const ack = this.#acks.get(`${answer.callId} ${answer.sequence}`);
      if (ack !== undefined) this.#send(ack.text, ack.to);
    }
  }

  #takeRequest(message: SipMessage, from: Endpoint): void {
    const key = `${message.branch} ${message.method}`;
    const before = this.#answered.get(key);
    if (before !== undefined) {
      if (before !== null) this.#send(before, from);
      return;
    }
    this.#answered.set(key, null);
    this.#after(rememberedMs, () => this.#answered.delete(key));
    this.#onRequest({
      message,
      from,
      answer: (answer) => {
        const text = answerTo(message, answer).toString();
        this.#answered.set(key, text);
        if (message.method === 'INVITE' && answer.status >= 200) this.#untilAcknowledged(message, text, from);
        else this.#send(text, from);
      },
    });
  }

  #untilAcknowledged(invite: SipMessage, text: string, to: Endpoint): void {
    const key = `${invite.callId} ${invite.sequence}`;
    const repeat = this.#repeat(() => this.#send(text, to));
    const done = () => {
      repeat.stop();
      this.#cancel(limit);
      this.#unacknowledged.delete(key);
    };
    const limit = this.#after(rememberedMs, done);
    this.#unacknowledged.set(key, done);
  }

  /** RFC 3261 §17.1.1.3: within the INVITE's transaction, so with its branch. */
  #acknowledgeRefusal(invite: SipMessage, answer: SipMessage, to: Endpoint): void {
    const kept = invite.headers.filter(([name]) => /^(via|from|call-id|route|max-forwards)$/i.test(name));
    const headers: Header[] = [...kept, ['To', answer.first('To')], ['CSeq', `${invite.sequence} ACK`]];
    this.#send(new SipMessage(`ACK ${invite.uri} SIP/2.0`, headers).toString(), to);
  }

  /** At once, and again and again until it is stopped. */
  #repeat(send: () => void): { stop(): void } {
    let timer: NodeJS.Timeout | null = null;
    const again = (waitMs: number) => {
      send();
      timer = this.#after(waitMs, () => again(Math.min(2 * waitMs, t2Ms)));
    };
    again(t1Ms);
    return { stop: () => timer !== null && this.#cancel(timer) };
  }

  #after(ms: number, act: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.#timers.delete(timer);
  }

  #send(text: string, { address, port }: Endpoint): void {
    this.#socket.send(text, port, address);
  }
}

function answerTo(request: SipMessage, { status, reason, tag, headers = [], body = '' }: Answer): SipMessage {
  const to = request.first('To');
  const kept = ['Via', 'Record-Route'].flatMap((name) =>
    request.all(name).map((value): Header => [name, value]),
  );
  return new SipMessage(
    `SIP/2.0 ${status} ${reason}`,
    [
      ...kept,
      ['From', request.first('From')],
      ['To', tag === undefined || tagOf(to) !== null ? to : `${to};tag=${tag}`],
      ['Call-ID', request.callId],
      ['CSeq', request.first('CSeq')],
      ...headers,
    ],
    body,
  );
}
