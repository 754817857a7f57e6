import type { LegHandler } from '../../src/dialects/dialect.ts';
import { dialectAt } from '../../src/dialects/registry.ts';

/** What is to be done in one request; binary messages are arrays of bytes. */
export interface DialectWork {
  path: string;
  query: Record<string, string>;
  start: string[];
  audio: (string | number[])[];
  /** `in`: takes the messages, again and again with a leg of its own; `out`: says as many seconds. */
  direction: 'in' | 'out';
  rounds: number;
}

export interface DialectWorkDone {
  /** Milliseconds of audio that were handed on, or said. */
  audioMs: number;
  /** Messages and bytes on the wire. */
  messages: number;
  bytes: number;
  errors: number;
  pieceMs: number;
}

const SECOND_MS = 1_000;
const encoder = new TextEncoder();
/** The socket's. */
const wire = new Uint8Array(1 << 20);

/** Messages that the Worker has taken apart before it is measured. */
let prepared: { work: DialectWork; messages: (string | ArrayBuffer)[] } | null = null;

/**
 * Runs a dialect without a socket and without a call: what it costs in the Worker's own engine, whose base64 is not Node's. Whoever asks reads the
 * CPU of the process meanwhile.
 */
export default {
  async fetch(request: Request): Promise<Response> {
    if (request.method === 'PUT') {
      const work = (await request.json()) as DialectWork;
      const messages = work.audio.map((message) =>
        typeof message === 'string' ? message : Uint8Array.from(message).buffer,
      );
      prepared = { work, messages };
      return Response.json({});
    }
    if (prepared === null) return Response.json({ error: 'nothing is prepared' }, { status: 409 });
    const { work, messages } = prepared;
    return Response.json(work.direction === 'in' ? takeIn(work, messages) : putOut(work));
  },
};

function takeIn(work: DialectWork, messages: (string | ArrayBuffer)[]): DialectWorkDone {
  const done: DialectWorkDone = { audioMs: 0, messages: 0, bytes: 0, errors: 0, pieceMs: 0 };
  for (let round = 0; round < work.rounds; round++) {
    const { dialect, handler, leg } = legOf(work, done);
    for (const message of messages) dialect.receive(message, handler);
    done.audioMs += (leg.samples * SECOND_MS) / leg.sampleRate;
    done.messages += messages.length;
  }
  for (const message of messages) {
    done.bytes += work.rounds * (typeof message === 'string' ? message.length : message.byteLength);
  }
  return done;
}

function putOut(work: DialectWork): DialectWorkDone {
  const done: DialectWorkDone = { audioMs: 0, messages: 0, bytes: 0, errors: 0, pieceMs: 0 };
  const send = (message: string | Uint8Array) => {
    done.messages++;
    // As the socket does: a text that was put together is one only then.
    done.bytes +=
      typeof message === 'string' ? encoder.encodeInto(message, wire).written : message.byteLength;
  };
  const { dialect, leg } = legOf(work, done, send);
  done.pieceMs = dialect.pieceMs;
  const piece = Int16Array.from({ length: (leg.sampleRate * dialect.pieceMs) / SECOND_MS }, (_, i) =>
    Math.round(8_000 * Math.sin(i / 3)),
  );
  for (let round = 0; round < work.rounds; round++) {
    for (let at = 0; at < SECOND_MS; at += dialect.pieceMs) dialect.say(piece, null);
    done.audioMs += Math.ceil(SECOND_MS / dialect.pieceMs) * dialect.pieceMs;
  }
  return done;
}

/** A leg whose call has begun. */
function legOf(
  work: DialectWork,
  done: DialectWorkDone,
  send: (message: string | Uint8Array) => void = () => {},
) {
  const leg = { samples: 0, sampleRate: 0 };
  const fail = () => {
    done.errors++;
  };
  const handler: LegHandler = {
    start: ({ sampleRate }) => {
      leg.sampleRate = sampleRate;
    },
    audio: ({ length }) => {
      leg.samples += length;
    },
    dtmf: fail,
    markPlayed: fail,
    interrupt: fail,
    transfer: fail,
    hangUp: fail,
    answeredBy: fail,
    protocolError: fail,
    refuse: fail,
  };
  let begun = false;
  const dialect = dialectAt(work.path, null)!.create({
    send: (message) => begun && send(message),
    callId: 'bench',
    callIdBound: true,
    query: new URLSearchParams(work.query),
    headers: new Headers(),
    numbers: {},
    holder: null,
  });
  for (const message of work.start) dialect.receive(message, handler);
  begun = true;
  if (leg.sampleRate === 0) throw new Error(`${work.path}: the call did not start`);
  return { dialect, handler, leg };
}
