import type { Leg } from '../../src/call/leg.ts';
import type { PastCall } from '../../src/call/past-call.ts';
import { CallProgress } from '../../src/durable/call-progress.ts';
import { createCall } from './call-harness.ts';
import { mapKv } from './map-kv.ts';

type TestCall = ReturnType<typeof createCall>;

/** Another socket of the same client; what it is told is noted as on the first one. */
export function anotherLeg(call: TestCall): Leg & { said: (string | null)[]; closed: string | null } {
  const said: (string | null)[] = [];
  const leg = {
    dialect: {
      ...call.dialect,
      say: (samples: Int16Array, text: string | null) => {
        said.push(text);
        call.leg.said.push({ at: call.elapsed(), ms: samples.length / 8, text });
      },
    },
    closed: null as string | null,
    close: (closing: string) => {
      leg.closed ??= closing;
    },
    said,
  };
  return leg;
}

/** What is left of a call whose object was killed: its events and its spool. */
export function remains(call: TestCall): PastCall {
  const { call: facts } = call.ofType('call.started')[0]!;
  const progress = new CallProgress(mapKv());
  for (const event of call.events) progress.hear(event);
  const { heard, unheard, written, owed, keys, acts, transfer, untold, nextTurn, counts } = progress.read();
  return {
    call: facts,
    history: call.events.flatMap((event): PastCall['history'] => {
      if (event.type === 'turn.recorded') return [{ turn: event.turn }];
      return event.type === 'tool.ran' ? [{ run: event.run }] : [];
    }),
    heard,
    unheard,
    written,
    owed,
    keys,
    acts,
    transfers: { pending: transfer, untold, tried: transfer === null ? 0 : 1 },
    language: call.ofType('language.heard').at(-1)?.language ?? null,
    counts,
    nextTurn,
    spooledSamples: call.chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    *callerAudio(fromSample) {
      for (const { index, caller } of call.chunks) {
        const position = index * facts.chunkSamples;
        if (caller !== null && position + caller.length > fromSample) {
          const skip = Math.max(0, fromSample - position);
          yield { samples: caller.subarray(skip), position: position + skip };
        }
      }
    },
    lostAt: call.clock.now(),
  };
}

/** The next object, which takes the call up from what is left; its clock is as far as the old one's. */
export async function takenUp(old: TestCall, options: Parameters<typeof createCall>[0], afterMs = 1_000) {
  const past = remains(old);
  const call = createCall({
    ...options,
    call: { ...options?.call, past },
    startsAt: old.clock.now() + afterMs,
  });
  await call.clock.advance(0);
  call.call.attach(call.callLeg);
  await call.clock.advance(0);
  return call;
}
