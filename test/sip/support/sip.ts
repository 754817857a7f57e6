import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import tls, { type ConnectionOptions, type TLSSocket } from 'node:tls';
import { limitMs } from './processes.ts';

/** A SIP message as far as the tests look at one. */
export interface SipMessage {
  /** Of a request, else "". */
  uri: string;
  /** Of an answer, else 0. */
  status: number;
  /** Of a request, or of the request that is answered. */
  method: string;
  callId: string;
  /** Values of a header by its lower-case name, in order. */
  all(name: string): readonly string[];
  /** The first of them, "" without one. */
  first(name: string): string;
}

function parse(text: string): SipMessage {
  const [start = '', ...lines] = text.split('\r\n\r\n', 1)[0]?.split('\r\n') ?? [];
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const all = (name: string) => headers.filter(([header]) => header === name).map(([, value]) => value);
  const first = (name: string) => all(name)[0] ?? '';
  const status = Number(/^SIP\/2\.0 (\d{3})/.exec(start)?.[1] ?? 0);
  const method = status === 0 ? (start.split(' ')[0] ?? '') : (first('cseq').split(' ')[1] ?? '');
  const uri = status === 0 ? (start.split(' ')[1] ?? '') : '';
  return { uri, status, method, callId: first('call-id'), all, first };
}

export interface Endpoint {
  address: string;
  port: number;
}

/** A SIP end of its own, for what SIPp is clumsy at: TLS, calls that are held, strangers who should hear nothing, broken messages. */
export class SipSocket {
  readonly transport: 'UDP' | 'TLS';
  readonly local: Endpoint;
  readonly #transmit: (text: string, to: Endpoint) => void;
  readonly #close: () => void;
  /** Fulfilled when the other side has closed the connection; never by UDP. */
  readonly closed: Promise<unknown>;
  readonly #received: SipMessage[] = [];
  readonly #waiting = new Set<() => void>();

  private constructor(
    transport: 'UDP' | 'TLS',
    local: Endpoint,
    transmit: (text: string, to: Endpoint) => void,
    close: () => void,
    closed: Promise<unknown>,
  ) {
    this.transport = transport;
    this.local = local;
    this.#transmit = transmit;
    this.#close = close;
    this.closed = closed;
  }

  /** UDP, on any free port of an address. */
  static async open(address: string): Promise<SipSocket> {
    const socket: Socket = createSocket('udp4');
    socket.bind(0, address);
    await once(socket, 'listening');
    const end = new SipSocket(
      'UDP',
      { address, port: socket.address().port },
      (text, to) => socket.send(text, to.port, to.address),
      () => socket.close(),
      new Promise(() => {}),
    );
    socket.on('message', (data) => end.#take(parse(data.toString('utf8'))));
    return end;
  }

  /** TLS to a server whose certificate is signed by `ca`. */
  static async openTls(address: string, to: Endpoint, ca: string): Promise<SipSocket> {
    // Node's types lack `localAddress` here; it is passed to net.connect().
    const options: ConnectionOptions & { localAddress: string } = {
      ...{ host: to.address, port: to.port, localAddress: address, ca },
    };
    const socket: TLSSocket = tls.connect(options);
    await once(socket, 'secureConnect');
    const end = new SipSocket(
      'TLS',
      { address, port: socket.localPort ?? 0 },
      (text) => socket.write(text),
      () => socket.destroy(),
      once(socket, 'close'),
    );
    let buffered = '';
    socket.on('data', (data: Buffer) => {
      buffered += data.toString('utf8');
      // No message of these tests has a body.
      for (let end_ = buffered.indexOf('\r\n\r\n'); end_ >= 0; end_ = buffered.indexOf('\r\n\r\n')) {
        end.#take(parse(buffered.slice(0, end_ + 4)));
        buffered = buffered.slice(end_ + 4);
      }
    });
    // The proxy may close it first.
    socket.on('error', () => socket.destroy());
    return end;
  }

  #take(message: SipMessage): void {
    this.#received.push(message);
    for (const wake of this.#waiting) wake();
  }

  /** Everything that came. */
  get received(): readonly SipMessage[] {
    return this.#received;
  }

  /** Sends lines; an empty body follows. */
  send(lines: readonly string[], to: Endpoint): void {
    this.#transmit(`${[...lines, 'Content-Length: 0'].join('\r\n')}\r\n\r\n`, to);
  }

  /** The first message that fits, as soon as it is there; null after `ms`. */
  async find(fits: (message: SipMessage) => boolean, ms = limitMs): Promise<SipMessage | null> {
    const deadline = performance.now() + ms;
    for (;;) {
      const found = this.#received.find(fits);
      const left = deadline - performance.now();
      if (found !== undefined || left <= 0) return found ?? null;
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, left);
        this.#waiting.add(wake);
      });
    }
  }

  /** As `find`, but it must come. */
  async expect(what: string, fits: (message: SipMessage) => boolean): Promise<SipMessage> {
    const found = await this.find(fits);
    if (found === null) throw new Error(`${what} did not come to ${this.local.address}:${this.local.port}`);
    return found;
  }

  /** The `count`-th request of a method. */
  async nth(method: string, count: number): Promise<SipMessage> {
    const requests = () =>
      this.#received.filter((message) => message.method === method && message.status === 0);
    await this.expect(`${method} number ${count}`, () => requests().length >= count);
    const found = requests()[count - 1];
    if (found === undefined) throw new Error(`${method} number ${count} is not there`);
    return found;
  }

  via(): string {
    const { address, port } = this.local;
    return `Via: SIP/2.0/${this.transport} ${address}:${port};rport;branch=z9hG4bK${token()}`;
  }

  /** The lines of a request outside a call. `more`: further headers. `target`: whom it is for, if not the number 100 at whom it is sent to. */
  request(
    method: string,
    to: Endpoint,
    callId: string,
    more: readonly string[] = [],
    target = `sip:100@${to.address}:${to.port}`,
  ): string[] {
    const { address, port } = this.local;
    // By TLS a trunk names the port at which it listens, not the one from which it connects.
    const contact = this.transport === 'TLS' ? `${address}:5061;transport=tls` : `${address}:${port}`;
    return [
      `${method} ${target} SIP/2.0`,
      this.via(),
      `From: <sip:caller@${address}>;tag=${token()}`,
      `To: <${target}>`,
      `Call-ID: ${callId}`,
      `CSeq: 1 ${method}`,
      `Contact: <sip:caller@${contact}>`,
      'Max-Forwards: 70',
      ...more,
    ];
  }

  /** Answers a request; its Vias and what belongs to its call are as they came. `more`: further headers. */
  answer(request: SipMessage, status: string, to: Endpoint, more: readonly string[] = []): void {
    const kept = ['via', 'record-route'].flatMap((name) =>
      request.all(name).map((value) => `${name}: ${value}`),
    );
    const rest = ['from', 'call-id', 'cseq'].map((name) => `${name}: ${request.first(name)}`);
    const { address, port } = this.local;
    const own = [`To: ${request.first('to')};tag=1`, `Contact: <sip:end@${address}:${port}>`];
    this.send([`SIP/2.0 ${status}`, ...kept, ...rest, ...own, ...more], to);
  }

  /** Pings; the answer, null if none comes within `ms`. */
  async options(to: Endpoint, ms = limitMs): Promise<SipMessage | null> {
    const callId = token();
    this.send(this.request('OPTIONS', to, callId), to);
    return this.find((message) => message.callId === callId && message.status >= 200, ms);
  }

  close(): void {
    this.#close();
  }
}

export function token(): string {
  return randomBytes(8).toString('hex');
}
