import { runInDurableObject } from 'cloudflare:test';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseWav } from '../../src/audio/wav.ts';
import { systemClock as clock, systemRandom } from '../../src/call/clock.ts';
import type { StartedCallFacts } from '../../src/call/events.ts';
import { loadConfig } from '../../src/config.ts';
import { Alarms } from '../../src/durable/alarms.ts';
import { CallArchive } from '../../src/durable/call-archive.ts';
import { KeptEntries } from '../../src/durable/kept-entries.ts';
import { KeptWrites } from '../../src/durable/kept-writes.ts';
import { MOST_UNWRITTEN_BYTES } from '../../src/durable/sqlite-journal.ts';
import { hasTables } from '../../src/durable/storage.ts';
import { MetricsDO } from '../../src/MetricsDO.ts';
import {
  ask,
  begin,
  connected,
  expectDeliveredOnce,
  greeting,
  hangUp,
  nextId,
  objectOf,
  question,
  recordOf,
} from './outage-support.ts';
import { bindings, scriptVendor, TestClient } from './support.ts';

afterEach(() => vi.restoreAllMocks());

const answer = 'We are closed on Mondays.';
const said = [greeting, question, answer];

/** What an account is told whose allowance is spent; reads go on. */
const spent = () => {
  throw new Error('Exceeded allowed rows written in Durable Objects free tier.');
};

/** From now on storage takes no writes; until the function that is returned is called. */
function refuseWrites(storage: DurableObjectStorage): () => void {
  const { sql, kv } = storage;
  const exec = sql.exec.bind(sql);
  const reject = async () => spent();
  const refusing = [
    [
      sql,
      {
        exec: (query: string, ...rest: unknown[]) =>
          /^\s*SELECT/i.test(query) ? exec(query, ...rest) : spent(),
      },
    ],
    [kv, { put: spent, delete: spent }],
    [storage, { setAlarm: reject, deleteAlarm: reject, deleteAll: reject }],
  ] as const;
  for (const [part, methods] of refusing) Object.assign(part, methods);
  return () => {
    for (const [part, methods] of refusing) {
      for (const name of Object.keys(methods)) delete (part as unknown as Record<string, unknown>)[name];
    }
  };
}

/** The same, in the object of a call. */
async function refuseIn(callId: string): Promise<() => Promise<void>> {
  let allow: () => void = () => {};
  await runInDurableObject(objectOf(callId), (_, { storage }) => {
    allow = refuseWrites(storage);
  });
  return () => runInDurableObject(objectOf(callId), () => allow());
}

/** What the log tells of the storage of a call's object. */
function storageLog(callId: string) {
  const lines: string[] = [];
  const object = String(bindings.CALL_SESSION.idFromName(callId));
  for (const level of ['log', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation((line: string) => {
      if (line.includes(object)) lines.push((JSON.parse(line) as { message: string }).message);
    });
  }
  return lines;
}

const refused = 'the storage takes no writes: they are kept in memory';
const again = 'the storage takes writes again';

const factsOf = (callId: string) =>
  runInDurableObject(objectOf(callId), (_, { storage }) =>
    storage.sql
      .exec<{ type: string; text: string | null }>(
        "SELECT type, data ->> '$.turn.text' AS text FROM facts WHERE type IN ('started', 'turn') ORDER BY seq",
      )
      .toArray()
      .map(({ type, text }) => text ?? type),
  );

const secondsOf = async (key: string) =>
  parseWav(new Uint8Array(await (await bindings.RECORDINGS.get(key))!.arrayBuffer())).data.length / 16_000;

describe('storage that takes no writes', () => {
  it('from before the call until after it: the caller hears nothing of it, and the call is logged from memory', async () => {
    scriptVendor({ transcripts: [question], answer });
    const callId = nextId();
    const lines = storageLog(callId);
    const client = await connected(callId);
    const allow = await refuseIn(callId);
    await begin(client, callId);
    await ask(client);
    await hangUp(client);
    expect(client.ofType('error')).toEqual([]);
    const record = await vi.waitFor(
      async () => {
        const found = await recordOf(callId);
        expect(found.row.status).toBe('ended');
        expect(await bindings.RECORDINGS.head(found.recording)).not.toBeNull();
        return found;
      },
      { timeout: 10_000, interval: 100 },
    );
    expect(record.turns.map(({ text }) => text)).toEqual(said);
    expect(record.failures).toEqual([]);
    expect(await secondsOf(record.recording)).toBeGreaterThan(1.4);
    expect(lines).toEqual([refused]);
    await allow();
    await expectDeliveredOnce(callId, said);
  });

  it('in the middle of a call: what came meanwhile is stored with the rest, in order and once', async () => {
    scriptVendor({ transcripts: [question, question], answer });
    const callId = nextId();
    const lines = storageLog(callId);
    const client = await connected(callId);
    await begin(client, callId);
    const allow = await refuseIn(callId);
    await ask(client);
    expect(await factsOf(callId)).toEqual(['started', greeting]);
    await allow();
    await ask(client);
    expect(await factsOf(callId)).toEqual(['started', greeting, question, answer, question, answer]);
    expect(lines).toEqual([refused, again]);
    await hangUp(client);
    await expectDeliveredOnce(callId, [...said, question, answer]);
  });

  it('from the end of a call on: it is delivered, and what is left in the object goes when it can', async () => {
    scriptVendor({ transcripts: [question], answer });
    const callId = nextId();
    const client = await connected(callId);
    await begin(client, callId);
    await ask(client);
    const allow = await refuseIn(callId);
    await hangUp(client);
    await vi.waitFor(async () => expect((await recordOf(callId)).row.status).toBe('ended'), {
      timeout: 10_000,
      interval: 100,
    });
    await allow();
    await expectDeliveredOnce(callId, said);
  });

  it('and the object is lost after it has delivered from memory: what is there stays as it is', async () => {
    scriptVendor({ transcripts: [question], answer });
    const callId = nextId();
    const client = await connected(callId);
    await begin(client, callId);
    await refuseIn(callId);
    await ask(client);
    await hangUp(client);
    const before = await vi.waitFor(
      async () => {
        const { recording } = await recordOf(callId);
        const object = await bindings.RECORDINGS.head(recording);
        expect(object).not.toBeNull();
        return object!;
      },
      { timeout: 10_000, interval: 100 },
    );
    // The next one finds the beginning of the call alone.
    const killed = runInDurableObject(objectOf(callId), (_, state) => state.abort('killed by the test'));
    await expect(killed).rejects.toThrow('killed by the test');
    expect(await factsOf(callId)).toEqual(['started', greeting]);
    await expectDeliveredOnce(callId, said);
    const after = await bindings.RECORDINGS.head(before.key);
    expect(after?.customMetadata?.durationSeconds).toBe(before.customMetadata?.durationSeconds);
  });

  it('from the end of a call on, for longer than its id is held: no other call of that id is mixed with it', async () => {
    scriptVendor({ transcripts: [question], answer });
    const callId = nextId();
    const client = await connected(callId);
    await begin(client, callId);
    await ask(client);
    const allow = await refuseIn(callId);
    await hangUp(client);
    await vi.waitFor(
      async () => {
        const { recording } = await recordOf(callId);
        expect(await bindings.RECORDINGS.head(recording)).not.toBeNull();
      },
      { timeout: 10_000, interval: 100 },
    );
    const now = Date.now.bind(Date);
    const later = vi.spyOn(Date, 'now').mockImplementation(() => now() + 48 * 3_600_000);
    // Once all has been delivered, the object knows of no call.
    const next = await vi.waitFor(
      async () => {
        const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
        await client.until(({ messages }) => messages.length > 0, 'an answer');
        expect(client.ofType('error')).toEqual([]);
        return client;
      },
      { timeout: 10_000, interval: 50 },
    );
    next.send({ type: 'start_call', callId, userId: 'user-2', metadata: {} });
    await next.until((c) => c.closed !== null, 'the refusal');
    expect(next.ofType('error').map(({ code }) => code)).toEqual(['CALL_ID_IN_USE']);
    later.mockRestore();
    await allow();
    await expectDeliveredOnce(callId, said);
  });

  it('where a call’s id is held by another object, which takes none either', async () => {
    scriptVendor();
    const callId = nextId();
    const allow = await refuseIn(callId);
    const client = await TestClient.connect();
    await begin(client, callId);
    // It is held all the same.
    const second = await TestClient.connect();
    second.send({ type: 'start_call', callId, userId: 'user-2', metadata: {} });
    await second.until((c) => c.closed !== null, 'the refusal');
    expect(second.ofType('error').map(({ code }) => code)).toEqual(['CALL_ID_IN_USE']);
    await hangUp(client);
    await allow();
  });
});

describe('the counts of calls', () => {
  const metrics = () => bindings.METRICS.get(bindings.METRICS.idFromName(`outage-${crypto.randomUUID()}`));
  const now = Date.now();
  const report = {
    call: 'call',
    startedAt: now,
    at: now,
    aliveUntil: now + 9_000,
    end: null,
    sums: { turns: { caller: 1 } },
  };
  const end = { ...report, end: { at: now + 2_000, reason: 'hangup', failed: false } };

  it('are right where storage took half of a report: the repeat counts it, once', async () => {
    await runInDurableObject(metrics(), async (shard, { storage: { sql } }) => {
      const exec = sql.exec.bind(sql);
      for (const told of [report, end]) {
        Object.assign(sql, {
          exec: (query: string, ...rest: unknown[]) =>
            query.includes('INTO sums') ? spent() : exec(query, ...rest),
        });
        await expect(shard.report(told)).rejects.toThrow('Exceeded allowed rows written');
        Reflect.deleteProperty(sql, 'exec');
        await shard.report(told);
        await shard.report(told);
      }
      expect(shard.read(now + 4_000).totals).toMatchObject({
        active: 0,
        sums: { calls: { started: 1, ended: 1, durationMs: 2_000 }, turns: { caller: 1 } },
      });
    });
  });

  it('are read by an object that wakes while storage takes no writes', async () => {
    await runInDurableObject(metrics(), async (shard, state) => {
      await shard.report(end);
      const allow = refuseWrites(state.storage);
      const woken = new MetricsDO(state, bindings).read(now + 4_000);
      expect(woken.totals.sums).toMatchObject({ calls: { started: 1, ended: 1 } });
      allow();
    });
  });
});

describe('a call id that is taken again while its object could not be deleted', () => {
  it('is held for its whole time', async () => {
    await runInDurableObject(objectOf(nextId()), async (object, { storage }) => {
      const until = clock.now() + 3_600_000;
      object.claim('first', until);
      const deleted = vi.fn(async () => spent());
      Object.assign(storage, { deleteAll: deleted });
      object.release('first');
      expect(object.claim('second', until)).toBe(true);
      await expect(deleted.mock.results[0]?.value).rejects.toThrow('free tier');
      await Promise.resolve();
      expect(storage.kv.get('alarms')).toEqual({ forget: until });
      delete (storage as Partial<DurableObjectStorage>).deleteAll;
    });
  });
});

describe('an entry that waits to be written', () => {
  it('is read as if it were, and so is one that waits to be deleted', async () => {
    await runInDurableObject(objectOf('outage-entries'), (_, { storage }) => {
      const entries = new KeptEntries(
        storage.kv,
        new KeptWrites({ clock, object: 'object', onRetry: () => {} }),
        'object/',
      );
      entries.put('claim', 'old');
      const allow = refuseWrites(storage);
      entries.put('claim', 'new');
      expect([entries.get('claim'), storage.kv.get('claim')]).toEqual(['new', 'old']);
      expect(entries.delete('claim')).toBe(true);
      expect([entries.get('claim'), storage.kv.get('claim')]).toEqual([undefined, 'old']);
      allow();
      entries.put('other', 1);
      expect([...storage.kv.list()]).toEqual([['other', 1]]);
    });
  });
});

describe('a call of which storage takes nothing for longer than memory lasts', () => {
  const chunkSamples = 16_000;
  const facts: StartedCallFacts = {
    callId: nextId(),
    userId: 'user-1',
    campaignId: null,
    phoneNumber: null,
    startTime: Date.UTC(2026, 10, 21, 12),
    metadata: {},
    sampleRate: 8000,
    recording: true,
    chunkSamples,
  };
  const chunk = (index: number) => ({
    index,
    length: chunkSamples,
    caller: new Int16Array(chunkSamples).fill(index + 1),
    agent: null,
  });
  const chunkBytes = chunkSamples * 2;

  /** The durable half of a call, in an object of its own: no alarm wakes the half that the object itself has. */
  function archiveIn(storage: DurableObjectStorage): CallArchive {
    const config = loadConfig(bindings);
    const writes = new KeptWrites({ clock, object: 'object', onRetry: () => {} });
    const unwoken = { kv: storage.kv, setAlarm: async () => {}, deleteAlarm: async () => {} };
    const alarms = new Alarms(unwoken, writes);
    const random = systemRandom;
    const jurisdiction = () => null;
    const env = bindings;
    return new CallArchive({ storage, writes, alarms, env, config, jurisdiction, clock, random });
  }

  it('loses audio and says how much; the rest is where it belongs', async () => {
    await runInDurableObject(objectOf('outage-bound'), async (_, { storage }) => {
      const archive = archiveIn(storage);
      archive.hear({ type: 'call.started', call: facts }, clock.now(), 'token');
      archive.storeAudio(chunk(0));
      const allow = refuseWrites(storage);
      const held = Math.floor(MOST_UNWRITTEN_BYTES / chunkBytes);
      const lost = 3;
      for (let index = 1; index <= held + lost; index++) archive.storeAudio(chunk(index));
      allow();
      // The next chunk brings with it what waits.
      archive.storeAudio(chunk(held + lost + 1));
      const stored = storage.sql.exec<{ chunk: number }>('SELECT chunk FROM audio ORDER BY chunk').toArray();
      expect(stored.map((row) => row.chunk)).toEqual([
        ...Array.from({ length: held + 1 }, (_, index) => index),
        held + lost + 1,
      ]);
      const endTime = facts.startTime + (held + lost + 2) * 2_000;
      archive.hear({ type: 'call.closed', reason: 'hangup', status: 'ended', endTime }, endTime, 'token');
      expect(await archive.deliver()).toBe(true);
      const { failures, recording } = await recordOf(facts.callId);
      expect(failures.map(({ code, message }) => `${code}: ${message}`)).toEqual([
        'INTERNAL_ERROR: The storage took no audio: 6.0 s of the recording are missing',
      ]);
      const wav = parseWav(new Uint8Array(await (await bindings.RECORDINGS.get(recording))!.arrayBuffer()));
      const samples = new DataView(wav.data.buffer, wav.data.byteOffset);
      const sampleOf = (index: number) => samples.getInt16(index * chunkBytes, true);
      const first = [0, 1, held, held + 1, held + lost, held + lost + 1].map(sampleOf);
      expect(first).toEqual([1, 2, held + 1, 0, 0, held + lost + 2]);
    });
  });

  it('has whole tables or none, where storage fails between two of them', async () => {
    await runInDurableObject(objectOf('outage-tables'), (_, { storage }) => {
      const { sql } = storage;
      const exec = sql.exec.bind(sql);
      Object.assign(sql, {
        exec: (query: string, ...rest: unknown[]) =>
          query.includes('INTO migrations') ? spent() : exec(query, ...rest),
      });
      const archive = archiveIn(storage);
      archive.hear({ type: 'call.started', call: { ...facts, callId: nextId() } }, 0, 'token');
      expect(hasTables(sql)).toBe(false);
      Reflect.deleteProperty(sql, 'exec');
      archive.storeAudio(chunk(0));
      expect(exec('SELECT type FROM facts').toArray()).toEqual([{ type: 'started' }]);
      expect(exec('SELECT chunk FROM audio').toArray()).toEqual([{ chunk: 0 }]);
    });
  });
});
