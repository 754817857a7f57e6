/** An address and a port of UDP. */
export interface Endpoint {
  address: string;
  port: number;
}

export type Header = readonly [name: string, value: string];

/** A SIP message, RFC 3261 §7, as far as the ends here look at one: long header names, no folded lines, text in the body. */
export class SipMessage {
  /** The first line. */
  readonly start: string;
  readonly headers: readonly Header[];
  readonly body: string;

  constructor(start: string, headers: readonly Header[], body = '') {
    this.start = start;
    this.headers = headers;
    this.body = body;
  }

  /** Null: it is none (keep-alives are empty lines). */
  static parse(text: string): SipMessage | null {
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const [start = '', ...lines] = text.slice(0, end).split('\r\n');
    const headers = lines.map((line): Header => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    });
    return new SipMessage(start, headers, text.slice(end + 4));
  }

  /** Of an answer, else 0. */
  get status(): number {
    return Number(/^SIP\/2\.0 (\d{3})/.exec(this.start)?.[1] ?? 0);
  }

  /** Of a request, or of the request that is answered. */
  get method(): string {
    return (this.status === 0 ? this.start.split(' ')[0] : this.first('CSeq').split(' ')[1]) ?? '';
  }

  /** Of a request. */
  get uri(): string {
    return this.start.split(' ')[1] ?? '';
  }

  get callId(): string {
    return this.first('Call-ID');
  }

  /** The number of its CSeq. */
  get sequence(): number {
    return Number(this.first('CSeq').split(' ')[0]);
  }

  /** Of the topmost Via: names the transaction, RFC 3261 §17.2.3. */
  get branch(): string {
    return /;branch=([^;,\s]+)/.exec(this.first('Via'))?.[1] ?? '';
  }

  /** Values of a header, in order; of a list in one line each. */
  all(name: string): string[] {
    const wanted = name.toLowerCase();
    const values = this.headers.filter(([known]) => known.toLowerCase() === wanted).map(([, value]) => value);
    return isRoute(wanted) ? values.flatMap((value) => value.split(/,\s*(?=<)/)) : values;
  }

  /** The first of them; "" without one. */
  first(name: string): string {
    return this.all(name)[0] ?? '';
  }

  toString(): string {
    const lines = this.headers.map(([name, value]) => `${name}: ${value}`);
    const length = `Content-Length: ${Buffer.byteLength(this.body)}`;
    return `${[this.start, ...lines, length].join('\r\n')}\r\n\r\n${this.body}`;
  }
}

function isRoute(name: string): boolean {
  return name === 'record-route' || name === 'route';
}

/** The address in `<sip:user@192.0.2.1:5060;lr>`, and in what stands without brackets. Throws where it has a host's name. */
export function endpointOf(uri: string): Endpoint {
  const parts = /sips?:(?:[^@;>]*@)?(\d+\.\d+\.\d+\.\d+)(?::(\d+))?/.exec(uri);
  if (parts === null) throw new Error(`no address in ${uri}`);
  return { address: parts[1] ?? '', port: Number(parts[2] ?? 5060) };
}

/** What stands between `<` and `>`, or the whole. */
export function uriOf(header: string): string {
  return /<([^>]+)>/.exec(header)?.[1] ?? header;
}

export function tagOf(header: string): string | null {
  return /;tag=([^;\s]+)/.exec(header)?.[1] ?? null;
}
