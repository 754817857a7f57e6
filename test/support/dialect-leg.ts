import type { DialectEntry } from '../../src/dialects/carrier.ts';
import type { Dialect, LegHandler, StartRequest } from '../../src/dialects/dialect.ts';
import type { Numbers } from '../../src/dialects/identity.ts';

export interface LegOptions {
  /** Of the upgrade request, e.g. `?rate=16000`. */
  query?: string;
  headers?: Record<string, string>;
  numbers?: Numbers;
  holder?: { userId: string; campaignId: string | null };
  /** The id of the call's object. */
  callId?: string;
  callIdBound?: boolean;
}

/** A dialect without a call behind it: what comes from the leg is noted, as is what is sent to it. */
export class DialectLeg {
  readonly dialect: Dialect;
  readonly handler: LegHandler;
  readonly sent: (string | Uint8Array)[] = [];
  readonly starts: StartRequest[] = [];
  readonly samples: number[] = [];
  /** Lengths of what was handed on, in samples. */
  readonly pieces: number[] = [];
  readonly events: unknown[] = [];
  readonly errors: string[] = [];
  readonly refusals: { code: string; message: string }[] = [];

  constructor(entry: DialectEntry, options: LegOptions = {}) {
    this.dialect = entry.create({
      send: (message) => this.sent.push(message),
      callId: options.callId ?? 'minted',
      callIdBound: options.callIdBound ?? false,
      query: new URLSearchParams(options.query),
      headers: new Headers(options.headers),
      numbers: options.numbers ?? {},
      holder: options.holder ?? null,
    });
    this.handler = {
      start: (request) => this.starts.push(request),
      audio: (samples) => {
        this.pieces.push(samples.length);
        for (const sample of samples) this.samples.push(sample);
      },
      dtmf: (digit, durationMs) => this.events.push({ digit, durationMs }),
      markPlayed: (name) => this.events.push({ mark: name }),
      interrupt: () => this.events.push('interrupt'),
      transfer: (report) => this.events.push({ transfer: report }),
      answeredBy: (verdict, confidence) => this.events.push({ answeredBy: verdict, confidence }),
      hangUp: () => this.events.push('hang up'),
      protocolError: (code) => this.errors.push(code),
      refuse: (code, message) => this.refusals.push({ code, message }),
    };
  }

  /** One WebSocket message of the leg's; an object goes as JSON. */
  receive(...messages: (object | string | Uint8Array)[]): void {
    for (const message of messages) {
      if (message instanceof Uint8Array) this.dialect.receive(message.slice().buffer, this.handler);
      else
        this.dialect.receive(typeof message === 'string' ? message : JSON.stringify(message), this.handler);
    }
  }

  /** What was sent as text, taken apart. */
  get messages(): Record<string, unknown>[] {
    return this.sent.flatMap((message) =>
      typeof message === 'string' ? [JSON.parse(message) as Record<string, unknown>] : [],
    );
  }

  /** What was sent as binary messages. */
  get binary(): Uint8Array[] {
    return this.sent.filter((message) => typeof message !== 'string');
  }
}

/** So many samples of a tone, to be known again. */
export function tone(samples: number, amplitude = 8_000): Int16Array {
  return Int16Array.from({ length: samples }, (_, i) => Math.round(amplitude * Math.sin(i / 3)));
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** The bytes of 16-bit samples, low byte first; or high byte first. */
export function l16(samples: Int16Array, bigEndian = false): Uint8Array {
  const bytes = Buffer.alloc(2 * samples.length);
  for (const [i, sample] of samples.entries()) {
    if (bigEndian) bytes.writeInt16BE(sample, 2 * i);
    else bytes.writeInt16LE(sample, 2 * i);
  }
  return bytes;
}
