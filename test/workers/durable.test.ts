import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemRandom } from '../../src/call/clock.ts';
import type { CallEvent, StartedCallFacts } from '../../src/call/events.ts';
import { loadConfig } from '../../src/config.ts';
import { Alarms } from '../../src/durable/alarms.ts';
import { CallArchive } from '../../src/durable/call-archive.ts';
import { CallProgress } from '../../src/durable/call-progress.ts';
import { writeThrough } from '../../src/durable/kept-writes.ts';
import { type Deliver, type Delivery, Outbox, WAITING_MS } from '../../src/durable/outbox.ts';
import { SqliteJournal } from '../../src/durable/sqlite-journal.ts';
import { hasTables, migrate } from '../../src/durable/storage.ts';
import { RecordsError } from '../../src/records/call-records.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { bindings, database } from './support.ts';

afterEach(() => vi.restoreAllMocks());

let objects = 0;
/** Runs `test` inside a new object, on its own storage. */
function inObject<T>(test: (state: DurableObjectState) => Promise<T> | T): Promise<T> {
  const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(`durable-test-${++objects}`));
  return runInDurableObject(stub, (_, state) => test(state));
}

const call: StartedCallFacts = {
  callId: 'durable-call',
  userId: 'user-1',
  campaignId: null,
  phoneNumber: null,
  startTime: Date.UTC(2026, 10, 21, 23, 59, 59),
  metadata: {},
  sampleRate: 8000,
  recording: true,
  chunkSamples: 16_000,
};

describe('named alarms', () => {
  it('share the one alarm: the earliest is set, and each comes once', async () => {
    await inObject(async ({ storage }) => {
      const alarms = new Alarms(storage);
      const base = Date.now() + 3_600_000;
      alarms.set('recover', base + 3_000);
      alarms.set('outbox', base + 1_000);
      alarms.set('forget', base + 2_000);
      expect(await storage.getAlarm()).toBe(base + 1_000);
      expect(alarms.takeDue(base)).toEqual([]);
      expect(alarms.takeDue(base + 2_000).sort()).toEqual(['forget', 'outbox']);
      expect(await storage.getAlarm()).toBe(base + 3_000);
      // Another instance of the object knows them too.
      expect(new Alarms(storage).at('recover')).toBe(base + 3_000);
      alarms.set('recover', null);
      expect(await storage.getAlarm()).toBeNull();
    });
  });
});

/** A minute and a half, in steps of ten seconds. */
const backstopAt = (now: number) => Math.ceil((now + 90_000) / 10_000) * 10_000;

describe('the outbox', () => {
  const setUp = (storage: DurableObjectStorage, deliver: Deliver) => {
    migrate(storage.sql);
    const clock = new FakeClock(Date.now() + 3_600_000);
    const random = { ...systemRandom, fraction: () => 1 };
    const alarms = new Alarms(storage);
    return { clock, alarms, outbox: new Outbox({ sql: storage.sql, alarms, clock, random, deliver }) };
  };

  it('delivers in order, goes on past one that fails, and repeats that one with growing waits', async () => {
    await inObject(async ({ storage }) => {
      const tried: Delivery[] = [];
      let down = true;
      const { clock, alarms, outbox } = setUp(storage, async (delivery) => {
        tried.push(delivery);
        if (down && delivery === 'log ended') throw new Error('down');
      });
      outbox.put('log started', 'log ended', 'recording');
      await outbox.run();
      expect(tried).toEqual(['log started', 'log ended', 'recording', 'metrics waiting']);
      expect(outbox.depth).toBe(1);
      const waits: number[] = [];
      for (let i = 0; i < 12; i++) {
        waits.push(alarms.at('outbox')! - clock.now());
        await clock.advance(waits.at(-1)!);
        await outbox.run();
      }
      expect(waits.slice(0, 5)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
      expect(waits.at(-1)).toBe(300_000);
      down = false;
      await clock.advance(300_000);
      await outbox.run();
      expect(outbox.depth).toBe(0);
      expect(alarms.at('outbox')).toBeNull();
    });
  });

  it('keeps what was put while the same was being delivered', async () => {
    await inObject(async ({ storage }) => {
      let deliveries = 0;
      const { outbox } = setUp(storage, async () => {
        deliveries++;
        if (deliveries === 1) {
          outbox.put('log conversation');
          void outbox.run();
        }
      });
      outbox.put('log conversation');
      await outbox.run();
      expect(deliveries).toBe(2);
      expect(outbox.depth).toBe(0);
    });
  });

  it('has an alarm set while it delivers, at every attempt, so that a crash does not lose it', async () => {
    await inObject(async ({ storage }) => {
      const set: (number | null)[] = [];
      const { clock, alarms, outbox } = setUp(storage, async (delivery) => {
        if (delivery !== 'recording') return;
        set.push(alarms.at('outbox'));
        throw new Error('down');
      });
      outbox.put('recording');
      await outbox.run();
      expect(set).toEqual([backstopAt(clock.now())]);
      await clock.advance(1_000);
      // The object's alarm takes the time away before it runs the outbox.
      expect(alarms.takeDue(clock.now())).toEqual(['outbox']);
      await outbox.run();
      expect(set[1]).toBe(backstopAt(clock.now()));
    });
  });

  it('goes on past a delivery that hangs and does not heed its signal', async () => {
    await inObject(async ({ storage }) => {
      const tried: Delivery[] = [];
      const { clock, outbox } = setUp(storage, (delivery) => {
        tried.push(delivery);
        return delivery === 'log started' ? new Promise(() => {}) : Promise.resolve();
      });
      outbox.put('log started', 'log ended');
      const run = outbox.run();
      await clock.advance(60_000);
      await run;
      expect(tried).toEqual(['log started', 'log ended', 'metrics waiting']);
      expect(outbox.depth).toBe(1);
    });
  });

  it('delays nothing by an object that counts and does not answer', async () => {
    await inObject(async ({ storage }) => {
      const tried: string[] = [];
      const { clock, alarms, outbox } = setUp(storage, (delivery) => {
        tried.push(delivery);
        return delivery === 'metrics' ? new Promise(() => {}) : Promise.resolve();
      });
      outbox.put('metrics', 'log started');
      const run = outbox.run();
      await clock.advance(0);
      expect(tried).toEqual(['metrics', 'log started']);
      // What comes later does not wait either, and a crash loses nothing.
      outbox.put('log ended', 'recording');
      void outbox.run();
      await clock.advance(0);
      expect(tried).toEqual(['metrics', 'log started', 'log ended', 'recording']);
      expect(alarms.at('outbox')).toBe(backstopAt(clock.now()));
      await clock.advance(10_000);
      await run;
      expect(outbox.depth).toBe(1);
      expect(alarms.at('outbox')).toBe(clock.now() + 1_000);
    });
  });

  it('goes on with a delivery of several parts by its alarm', async () => {
    await inObject(async ({ storage }) => {
      let parts = 3;
      const { clock, alarms, outbox } = setUp(storage, async () => (--parts > 0 ? 'more' : undefined));
      outbox.put('analytics');
      await outbox.run();
      for (const left of [2, 1]) {
        expect([parts, outbox.depth, alarms.at('outbox')]).toEqual([left, 1, clock.now() + 1_000]);
        await clock.advance(1_000);
        await outbox.run();
      }
      expect([parts, outbox.depth, alarms.at('outbox')]).toEqual([0, 0, null]);
    });
  });

  it('tells which deliveries have failed, once, and once that all have arrived', async () => {
    await inObject(async ({ storage }) => {
      const told: string[][] = [];
      let down = true;
      const { clock, outbox } = setUp(storage, async (delivery) => {
        if (delivery === 'metrics waiting') told.push([...outbox.waiting]);
        else if (down) throw new Error('down');
      });
      outbox.put('log started', 'log conversation');
      await outbox.run();
      for (let minute = 0; minute < 5; minute++) {
        // As a call goes on: put anew, it is still what has failed.
        outbox.put('log conversation');
        await clock.advance(60_000);
        await outbox.run();
      }
      expect(told).toEqual([['log conversation', 'log started']]);
      down = false;
      await clock.advance(300_000);
      await outbox.run();
      expect(told.slice(1)).toEqual([[]]);
      expect(outbox.depth).toBe(0);
    });
  });

  it.each([
    ['fail', new Error('down')],
    ['are refused', new RecordsError('no such table', { retryable: false, code: 'PGRST205' })],
  ])(
    'goes on telling which deliveries %s, also of an object that is woken for each attempt',
    async (_, error) => {
      await inObject(async ({ storage }) => {
        vi.spyOn(console, 'error').mockImplementation(() => {});
        const told: number[] = [];
        const deliver: Deliver = async (delivery) => {
          if (delivery !== 'metrics waiting') throw error;
          told.push(clock.now());
        };
        const { clock, alarms, outbox } = setUp(storage, deliver);
        outbox.put('log ended');
        await outbox.run();
        const end = clock.now() + 2 * WAITING_MS;
        while (clock.now() < end) {
          await clock.advance(alarms.at('outbox')! - clock.now());
          await new Outbox({ sql: storage.sql, alarms, clock, random: systemRandom, deliver }).run();
        }
        told.push(clock.now());
        for (const [i, at] of told.slice(1).entries()) expect(at - told[i]!).toBeLessThan(WAITING_MS);
      });
    },
  );

  it('repeats what the far end refuses for good only every hour', async () => {
    await inObject(async ({ storage }) => {
      const { clock, alarms, outbox } = setUp(storage, async () => {
        throw new RecordsError('no such table', { retryable: false, code: 'PGRST205' });
      });
      outbox.put('log ended');
      await outbox.run();
      expect(alarms.at('outbox')).toBe(clock.now() + 3_600_000);
    });
  });
});

describe('a call whose object was lost', () => {
  it('is closed with its last trace: row, transcript and recording are complete as far as they go', async () => {
    const callId = `lost-${crypto.randomUUID()}`;
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
    const startTime = Date.now() - 60_000;
    // What a killed process leaves behind: facts and audio, no end.
    await runInDurableObject(stub, (_, { storage }) => {
      migrate(storage.sql);
      const journal = new SqliteJournal(storage.sql);
      journal.append({ type: 'started', call: { ...call, callId, startTime }, resumeToken: 't' });
      journal.append({
        type: 'turn',
        turn: {
          position: 0,
          role: 'caller',
          text: 'Can you hear me?',
          startMs: 500,
          endMs: 1_500,
          interrupted: false,
          latency: null,
        },
      });
      journal.appendAudio({ index: 0, length: 16_000, caller: new Int16Array(16_000).fill(5), agent: null });
    });
    await evictDurableObject(stub);
    // The next instance finds the call unfinished, and gives its client `RESUME_GRACE` to come back.
    await runInDurableObject(stub, async (_, { storage }) => {
      expect((await storage.getAlarm())! - Date.now()).toBeGreaterThan(3_000);
    });
    // An idle object is evicted meanwhile: being woken does not give the lost call more time.
    await evictDurableObject(stub);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 31_000 });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    vi.useRealTimers();
    const { data } = await database().from('call_logs').select('*').eq('call_id', callId).single();
    expect(data).toMatchObject({ status: 'failed', end_reason: 'disconnected', duration_seconds: 2 });
    expect(data.transcript).toMatchObject([{ text: 'Can you hear me?' }]);
    const recording = await bindings.RECORDINGS.head(data.recording);
    expect(recording?.size).toBe(44 + 32_000);
    expect(await runInDurableObject(stub, (_, { storage }) => hasTables(storage.sql))).toBe(false);
  });
});

const archiveIn = (storage: DurableObjectStorage, clock: FakeClock) =>
  new CallArchive({
    storage,
    writes: writeThrough,
    alarms: new Alarms(storage),
    env: bindings,
    config: loadConfig(bindings),
    jurisdiction: () => null,
    clock,
    random: systemRandom,
  });

describe('what a call owes and knows', () => {
  it('is written before any audio of it goes out, and not before a vendor is asked for it', async () => {
    await inObject(async ({ storage }) => {
      const clock = new FakeClock(call.startTime);
      const archive = archiveIn(storage, clock);
      const written = () => {
        const read = new SqliteJournal(storage.sql).read()!;
        const { unheard } = new CallProgress(storage.kv).read();
        return { turns: read.turns.length, bills: read.usage.length, unheard: unheard.length };
      };
      const turn = { position: 0, role: 'caller' as const, text: 'Are you open?', startMs: 0, endMs: 900 };
      new SqliteJournal(storage.sql).append({ type: 'started', call, resumeToken: 'token' });
      const hear = (event: CallEvent) => archive.hear(event, clock.now(), 'token');
      hear({ type: 'usage', usage: { provider: 'a', audioSeconds: 1 }, turn: 0 });
      hear({ type: 'turn.recorded', turn: { ...turn, interrupted: false, latency: null } });
      hear({ type: 'agent.sentence', state: 'planned', text: 'We are.' });
      expect(written()).toEqual({ turns: 0, bills: 0, unheard: 0 });
      hear({ type: 'transcript', role: 'agent', turn: 1, text: 'We are.', final: false });
      // What is charged goes with it, in the same transaction.
      expect(written()).toEqual({ turns: 1, bills: 1, unheard: 1 });
      hear({ type: 'agent.sentence', state: 'planned', text: 'Until nine.' });
      await clock.advance(0);
      expect(written()).toEqual({ turns: 1, bills: 1, unheard: 2 });
      hear({ type: 'usage', usage: { provider: 'b', audioSeconds: 1 }, turn: 0 });
      await clock.advance(loadConfig(bindings).SPOOL_INTERVAL - 1);
      expect(written().bills).toBe(1);
      await clock.advance(1);
      // A crash costs no more of it than of the audio.
      expect(written().bills).toBe(2);
    });
  });

  it('takes a row for what was charged together with it, and none of its own: rows are what storage costs', async () => {
    await inObject(async ({ storage }) => {
      const clock = new FakeClock(call.startTime);
      const archive = archiveIn(storage, clock);
      new SqliteJournal(storage.sql).append({ type: 'started', call, resumeToken: 'token' });
      const rows = () => storage.sql.exec<{ n: number }>('SELECT count(*) AS n FROM facts').one().n;
      const charged = (provider: string) =>
        archive.hear({ type: 'usage', usage: { provider, audioSeconds: 1 }, turn: 0 }, clock.now(), 'token');
      for (const provider of ['a', 'b', 'c']) charged(provider);
      archive.hear({ type: 'language.heard', language: 'de' }, clock.now(), 'token');
      expect(rows()).toBe(2);
      for (const provider of ['a', 'b']) charged(provider);
      const chunk = { index: 0, length: 160, caller: new Int16Array(160), agent: null };
      expect(archive.storeAudio(chunk)).toBe(true);
      expect(rows()).toBe(3);
      charged('d');
      archive.hear(
        { type: 'call.closed', reason: 'hangup', status: 'ended', endTime: clock.now() },
        clock.now(),
        'token',
      );
      const read = new SqliteJournal(storage.sql).read();
      expect(read?.usage.map(({ provider, audioSeconds }) => [provider, audioSeconds])).toEqual([
        ['a', 2],
        ['b', 2],
        ['c', 1],
        ['d', 1],
      ]);
      expect(read).toMatchObject({ language: 'de', end: { reason: 'hangup' } });
      // What an older version, to which a deployment goes back in mid-call, knows of a row is the fact that it begins with.
      const stored = storage.sql
        .exec<{ type: string; data: string }>('SELECT type, data FROM facts')
        .toArray();
      expect(stored.map(({ data }) => (JSON.parse(data) as { type: string }).type)).toEqual(
        stored.map(({ type }) => type),
      );
      expect(read?.end).not.toHaveProperty('with');
    });
  });

  it('is what was charged after the end, too: what the call cost is told next', async () => {
    await inObject(({ storage }) => {
      const clock = new FakeClock(call.startTime);
      const archive = archiveIn(storage, clock);
      new SqliteJournal(storage.sql).append({ type: 'started', call, resumeToken: 'token' });
      const hear = (event: CallEvent) => archive.hear(event, clock.now(), 'token');
      const charged = (provider: string) =>
        hear({ type: 'usage', usage: { provider, audioSeconds: 1 }, turn: 0 });
      charged('before');
      hear({ type: 'call.closed', reason: 'hangup', status: 'ended', endTime: clock.now() });
      charged('after');
      const read = new SqliteJournal(storage.sql).read();
      expect(read?.usage.map(({ provider }) => provider)).toEqual(['before', 'after']);
      expect(clock.pending, 'timers that outlive the call').toBe(0);
    });
  });

  it('is there for the next object: the language that was heard, what tools want done and is not done yet', async () => {
    await inObject(({ storage }) => {
      const desk = { act: 'transfer', to: '+493012345' } as const;
      // Nothing is delivered: the clock stands still.
      const archive = () => archiveIn(storage, new FakeClock(call.startTime));
      const first = archive();
      new SqliteJournal(storage.sql).append({ type: 'started', call, resumeToken: 'token' });
      expect(first.past()).toMatchObject({ language: null, acts: [] });
      for (const language of ['fr', 'de']) first.hear({ type: 'language.heard', language }, 0, 'token');
      first.hear({ type: 'agent.sentence', state: 'planned', text: 'I will connect you.' }, 0, 'token');
      first.hear({ type: 'agent.acts', acts: [desk] }, 0, 'token');
      expect(archive().past()).toMatchObject({
        language: 'de',
        acts: [desk],
        unheard: ['I will connect you.'],
      });
      first.hear({ type: 'agent.sentence', state: 'over' }, 0, 'token');
      first.hear({ type: 'agent.acts', acts: [] }, 0, 'token');
      expect(archive().past()).toMatchObject({ acts: [], unheard: [] });
    });
  });

  it('is a turn as it was in the end, where the caller went on with it', async () => {
    await inObject(({ storage }) => {
      migrate(storage.sql);
      const journal = new SqliteJournal(storage.sql);
      journal.append({ type: 'started', call, resumeToken: 'token' });
      const turn = { position: 0, startMs: 0, endMs: 900, interrupted: false, latency: null };
      journal.append({ type: 'turn', turn: { ...turn, role: 'caller', text: 'I have' } });
      journal.append({
        type: 'turn',
        turn: { ...turn, role: 'caller', text: 'I have a bike.', endMs: 2_000 },
      });
      journal.append({ type: 'turn', turn: { ...turn, position: 1, role: 'agent', text: 'All right.' } });
      const read = new SqliteJournal(storage.sql).read();
      expect(read?.turns.map(({ text }) => text)).toEqual(['I have a bike.', 'All right.']);
      expect(read?.history).toMatchObject([
        { turn: { position: 0, text: 'I have a bike.', endMs: 2_000 } },
        { turn: { position: 1, text: 'All right.' } },
      ]);
    });
  });

  it('is over with the transfer that somebody has answered, where the object dies before it has closed the call', async () => {
    await inObject(({ storage }) => {
      const archive = archiveIn(storage, new FakeClock(call.startTime));
      const journal = new SqliteJournal(storage.sql);
      journal.append({ type: 'started', call, resumeToken: 'token' });
      const pending = { to: '+493012345', at: call.startTime, ringingAt: null, until: call.startTime + 1 };
      archive.hear({ type: 'transfer', state: 'asked', transfer: pending }, 0, 'token');
      expect(archive.past().transfers).toEqual({ pending, untold: null, tried: 1 });
      const { until: _, ...asked } = pending;
      const transfer = { ...asked, endedAt: call.startTime + 1, cause: null, sipStatus: null };
      archive.hear(
        { type: 'transfer', state: 'over', transfer: { ...transfer, outcome: 'answered' } },
        0,
        'token',
      );
      archive.closeLost();
      expect(journal.read()?.end).toMatchObject({ reason: 'transferred', status: 'ended' });
      expect(journal.read()?.transfers).toMatchObject([{ outcome: 'answered' }]);
    });
  });

  it('is nothing where an object of an older version wrote down how far its agent had come', async () => {
    await inObject(({ storage }) => {
      storage.kv.put('progress', { heard: [], unheard: ['Hello.'], written: true, counts: null });
      expect(new CallProgress(storage.kv).read()).toMatchObject({ unheard: ['Hello.'], acts: [] });
    });
  });
});

describe('an ended call whose deliveries were cut off', () => {
  it('is taken up again by the next instance, also where no alarm was left', async () => {
    const callId = `undelivered-${crypto.randomUUID()}`;
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
    const startTime = Date.now() - 60_000;
    await runInDurableObject(stub, (_, { storage }) => {
      migrate(storage.sql);
      const journal = new SqliteJournal(storage.sql);
      journal.append({
        type: 'started',
        call: { ...call, callId, startTime, recording: false },
        resumeToken: 't',
      });
      journal.append({ type: 'ended', reason: 'hangup', status: 'ended', endTime: startTime + 5_000 });
      storage.sql.exec("INSERT INTO outbox (delivery, attempts, next_at) VALUES ('log ended', 3, 0)");
    });
    await evictDurableObject(stub);
    await runInDurableObject(stub, () => {});
    await vi.waitFor(
      async () => {
        const { data } = await database()
          .from('call_logs')
          .select('status')
          .eq('call_id', callId)
          .maybeSingle();
        expect(data?.status).toBe('ended');
      },
      { timeout: 10_000, interval: 100 },
    );
  });
});

describe('a call id that is given back and taken again at once', () => {
  it('is held: the deletion of what was left of it takes nothing of that', async () => {
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName('taken-again'));
    const until = Date.now() + 3_600_000;
    await runInDurableObject(stub, (object) => {
      object.claim('first', until);
      object.release('first');
      expect(object.claim('second', until)).toBe(true);
    });
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (object, { storage }) => {
      expect(object.claim('third', until)).toBe(false);
      expect(await storage.getAlarm()).toBe(until);
    });
  });
});

describe('a call id that is used again after its hold', () => {
  it('does not cost the second call its record: it is written under an id of its own', async () => {
    const callId = `again-${crypto.randomUUID()}`;
    const place = async (object: string, userId: string, startTime: number) => {
      const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(object));
      await runInDurableObject(stub, (_, { storage }) => {
        migrate(storage.sql);
        const journal = new SqliteJournal(storage.sql);
        const facts = { ...call, callId, userId, startTime, recording: false };
        journal.append({ type: 'started', call: facts, resumeToken: 't' });
        journal.append({ type: 'ended', reason: 'hangup', status: 'ended', endTime: startTime + 1_000 });
        storage.sql.exec(
          "INSERT INTO outbox (delivery, attempts, next_at) VALUES ('log started', 0, 0), ('log ended', 0, 0)",
        );
      });
      await evictDurableObject(stub);
      await runInDurableObject(stub, () => {});
    };
    const first = Date.now() - 200_000_000;
    const second = Date.now() - 60_000;
    await place(`${callId}-1`, 'user-1', first);
    const ended = () =>
      database()
        .from('call_logs')
        .select('call_id, user_id')
        .like('call_id', `${callId}%`)
        .eq('status', 'ended');
    await vi.waitFor(async () => expect((await ended()).data?.length).toBe(1), {
      timeout: 10_000,
      interval: 100,
    });
    await place(`${callId}-2`, 'user-2', second);
    await vi.waitFor(async () => expect((await ended()).data?.length).toBe(2), {
      timeout: 10_000,
      interval: 100,
    });
    expect((await ended().order('start_time')).data).toEqual([
      { call_id: callId, user_id: 'user-1' },
      { call_id: `${callId}.${second}`, user_id: 'user-2' },
    ]);
  });
});
