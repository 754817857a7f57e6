import { evictDurableObject, reset, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { systemRandom } from '../../src/call/clock.ts';
import type { CallEvent, StartedCallFacts } from '../../src/call/events.ts';
import { loadConfig } from '../../src/config.ts';
import { Alarms } from '../../src/durable/alarms.ts';
import { CallArchive } from '../../src/durable/call-archive.ts';
import { writeThrough } from '../../src/durable/kept-writes.ts';
import type { Env } from '../../src/env.ts';
import { type CallReport, REPORT_LEASE_MS, REPORT_MS } from '../../src/metrics/call-report.ts';
import { type Sums, sumAt } from '../../src/metrics/sums.ts';
import { addTotals, noTotals } from '../../src/metrics/totals.ts';
import { recordingDataset } from '../support/analytics-double.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seeded } from '../support/random.ts';
import { bindings, fetchWorker, TestClient } from './support.ts';

let shards = 0;
const newShard = () =>
  bindings.METRICS.get(bindings.METRICS.idFromName(`metrics-test-${++shards}-${crypto.randomUUID()}`));

const now = Date.now();
const report = (call: string, more: Partial<CallReport> = {}): CallReport => ({
  call,
  startedAt: now,
  at: now,
  aliveUntil: now + REPORT_LEASE_MS,
  end: null,
  sums: {},
  ...more,
});
const ended = (call: string, more: Partial<CallReport> = {}) =>
  report(call, { end: { at: now + 5_000, reason: 'hangup', failed: false }, ...more });

const refused = ['/metrics/none', '/ws/none', '/ws/call-session?callId=a%2Fb'];
beforeAll(async () => {
  await reset();
  // The isolate tells of them later: the last test asks.
  for (const path of refused) await fetchWorker(path, { headers: { Upgrade: 'websocket' } });
  const client = await TestClient.connect('/ws/call-session?callId=mine');
  client.send({ type: 'start_call', callId: 'yours', userId: 'user-1', metadata: {} });
  await client.until(({ closed }) => closed !== null, 'the refusal');
});

describe('a shard of the counts', () => {
  it('counts calls from their start to their end, once each, whatever is repeated or comes late', async () => {
    const shard = newShard();
    await shard.report(report('a'));
    await shard.report(report('a'));
    await shard.report(report('lost', { aliveUntil: now + 1_000 }));
    expect((await shard.read(now)).totals).toMatchObject({ active: 2, sums: { calls: { started: 2 } } });
    for (let i = 0; i < 2; i++) await shard.report(ended('a'));
    // It was on its way for long.
    await shard.report(report('a', { aliveUntil: now + 10 * REPORT_LEASE_MS }));
    // Its start never arrived.
    await shard.report(ended('b', { end: { at: now + 5_000, reason: 'error', failed: true } }));
    expect((await shard.read(now + 5_000)).totals).toMatchObject({
      active: 0,
      sums: {
        calls: { started: 3, ended: 2, failed: 1, durationMs: 10_000 },
        ends: { hangup: 1, error: 1 },
        failedEnds: { error: 1 },
      },
      recent: { fiveMinutes: { calls: { ended: 2, failed: 1 } } },
    });
    const later = (await shard.read(now + 400_000)).totals;
    expect([later.recent.fiveMinutes, sumAt(later.sums, 'calls', 'ended')]).toEqual([{}, 2]);
  });

  it('has no call as active that says nothing any more, and has one again that was taken up', async () => {
    const shard = newShard();
    const active = async (at: number) => (await shard.read(at)).totals.active;
    for (let minutes = 0; minutes < 8; minutes++) {
      const at = now + minutes * REPORT_MS;
      await shard.report(report('long', { at, aliveUntil: at + REPORT_LEASE_MS }));
    }
    const last = now + 7 * REPORT_MS;
    expect(await active(last + REPORT_LEASE_MS - 1)).toBe(1);
    expect(await active(last + REPORT_LEASE_MS)).toBe(0);
    const resumed = last + 2 * REPORT_LEASE_MS;
    await shard.report(report('long', { at: resumed, aliveUntil: resumed + REPORT_LEASE_MS }));
    expect(await active(resumed)).toBe(1);
    expect(sumAt((await shard.read(resumed)).totals.sums, 'calls', 'started')).toBe(1);
  });

  it('is as it was after a restart', async () => {
    const shard = newShard();
    const sums = { turns: { caller: 3 }, failures: { 'a timeout': 1 } };
    await shard.report(report('a', { sums }));
    await shard.report(ended('b', { end: { at: now, reason: 'error', failed: true } }));
    await shard.waiting('b', ['log ended'], now + 60_000);
    await shard.refused('isolate', 1, { refusals: { 'call RATE_LIMIT': 2 } });
    const before = await shard.read(now);
    await evictDurableObject(shard);
    expect(await shard.read(now)).toEqual(before);
    // What has arrived is known, what is new counts.
    await shard.refused('isolate', 1, { refusals: { 'call RATE_LIMIT': 2 } });
    await shard.report(report('a', { sums: { turns: { caller: 4 } } }));
    await shard.report(ended('b', { end: { at: now, reason: 'error', failed: true } }));
    expect((await shard.read(now)).totals).toEqual({
      ...before.totals,
      sums: { ...before.totals.sums, turns: { caller: 4 } },
    });
  });

  it('stores what comes at once in one go, and answers nobody before', async () => {
    const shard = newShard();
    await runInDurableObject(shard, async (object, { storage }) => {
      const transactions = vi.spyOn(storage, 'transactionSync');
      const reports = Array.from({ length: 200 }, (_, i) => object.report(report(`call-${i}`)));
      expect(sumAt(object.read(now).totals.sums, 'calls', 'started')).toBe(0);
      await Promise.all(reports);
      expect(object.read(now).totals).toMatchObject({ active: 200, sums: { calls: { started: 200 } } });
      expect(transactions).toHaveBeenCalledTimes(1);
      transactions.mockRestore();
    });
  });

  it('refuses a report that is too long to be a call’s, and takes those that come with it', async () => {
    await runInDurableObject(newShard(), async (object) => {
      const sums: Sums = { answers: { ['x'.repeat(70_000)]: 1 } };
      const good = object.report(report('good'));
      expect(() => object.report(report('bad', { sums }))).toThrow('too long');
      await good;
      expect(object.read(now).totals.active).toBe(1);
    });
  });

  it('knows which deliveries wait, until all have arrived, or nothing is heard of them', async () => {
    const shard = newShard();
    const waiting = async (at: number) => (await shard.read(at)).totals.waiting;
    await shard.waiting('a', ['log ended', 'recording'], now + 60_000);
    await shard.waiting('b', ['log ended'], now + 90_000);
    expect(await waiting(now)).toEqual({ 'log ended': 2, recording: 1 });
    expect(await waiting(now + 60_000)).toEqual({ 'log ended': 1 });
    await shard.waiting('b', [], now + 90_000);
    expect(await waiting(now)).toEqual({ 'log ended': 1, recording: 1 });
  });

  it('forgets what is old, and keeps what it added up to', async () => {
    await runInDurableObject(newShard(), async (object, { storage: { sql } }) => {
      const days = 24 * 3_600_000;
      await object.report(report('old', { startedAt: now - 8 * days, aliveUntil: now - 7.5 * days }));
      await object.report(ended('older', { startedAt: now - 9 * days }));
      await object.report(report('new'));
      vi.useFakeTimers({ toFake: ['Date'], now: now + 2 * 3_600_000 });
      await object.report(report('newer'));
      vi.useRealTimers();
      const rows = sql.exec<{ call: string }>('SELECT call FROM active UNION ALL SELECT call FROM ended');
      expect(rows.toArray().map(({ call }) => call)).toEqual(['new', 'newer']);
      expect(sumAt(object.read(now).totals.sums, 'calls', 'started')).toBe(4);
    });
  });
});

describe('the shards together', () => {
  it('have what the calls have, however reports are repeated, overtaken and cut off by restarts', async () => {
    const random = seeded(20261121);
    const stubs = [newShard(), newShard(), newShard()];
    const model: Sums = { calls: {}, ends: {}, failedEnds: {}, turns: {} };
    const count = (family: string, label: string, by: number) => {
      model[family]![label] = (model[family]![label] ?? 0) + by;
    };
    let active = 0;
    const arriving: [number, CallReport][] = [];
    for (let i = 0; i < 150; i++) {
      const shard = random.whole(stubs.length);
      const turns = { caller: 0, agent: 0 };
      const reports: CallReport[] = [report(`call-${i}`)];
      for (let more = random.whole(4); more > 0; more--) {
        turns.caller += random.whole(3);
        turns.agent += random.whole(3);
        reports.push(report(`call-${i}`, { sums: { turns: { ...turns } } }));
      }
      count('calls', 'started', 1);
      count('turns', 'caller', turns.caller);
      count('turns', 'agent', turns.agent);
      if (random.fraction() < 0.7) {
        const failed = random.fraction() < 0.3;
        const reason = random.of(failed ? ['error', 'disconnected'] : ['hangup', 'idle']);
        const durationMs = random.whole(100_000);
        reports.push(
          report(`call-${i}`, {
            sums: { turns: { ...turns } },
            end: { at: now + durationMs, reason, failed },
          }),
        );
        count('calls', 'ended', 1);
        count('calls', 'durationMs', durationMs);
        count('ends', reason, 1);
        if (failed) {
          count('calls', 'failed', 1);
          count('failedEnds', reason, 1);
        }
      } else active++;
      const last = reports.at(-1)!;
      // Some never arrive, but the last one does; and then some come again.
      const repeats = Array.from({ length: random.whole(3) }, () => random.of(reports));
      const early = reports.filter((each) => each !== last && random.fraction() < 0.7);
      for (const each of [...early, last, ...repeats]) arriving.push([shard, each]);
    }
    // Calls are interleaved; of one call the order is mixed up only among what is not its end.
    const queues = Map.groupBy(arriving, ([, { call }]) => call);
    const lines = [...queues.values()];
    while (lines.length > 0) {
      const batch: Promise<void>[] = [];
      for (let i = 1 + random.whole(40); i > 0 && lines.length > 0; i--) {
        const line = random.of(lines);
        const [shard, each] = line.shift()!;
        if (line.length === 0) lines.splice(lines.indexOf(line), 1);
        batch.push(stubs[shard]!.report(each));
      }
      await Promise.all(batch);
      if (random.fraction() < 0.2) await evictDurableObject(random.of(stubs));
    }
    const totals = (await Promise.all(stubs.map((stub) => stub.read(now))))
      .map((share) => share.totals)
      .reduce(addTotals, noTotals);
    const { duration, ...sums } = totals.sums;
    const filled = Object.fromEntries(
      Object.entries(model).map(([family, labels]) => [
        family,
        Object.fromEntries(Object.entries(labels).filter(([, value]) => value > 0)),
      ]),
    );
    expect(sums).toEqual(filled);
    expect(totals.active).toBe(active);
    const durations = Object.entries(duration!).filter(([label]) => label !== 'sum');
    expect(durations.reduce((sum, [, value]) => sum + value, 0)).toBe(model.calls!.ended);
  });
});

describe('a call in progress', () => {
  const call: StartedCallFacts = {
    callId: 'reported',
    userId: 'user-1',
    campaignId: null,
    phoneNumber: null,
    startTime: now,
    metadata: {},
    sampleRate: 8000,
    recording: false,
    chunkSamples: 16_000,
  };
  const turn = {
    role: 'caller' as const,
    text: 'Hello?',
    startMs: 0,
    endMs: 900,
    interrupted: false,
    latency: null,
  };

  /** The durable half of a call, and the reports that an object that counts has taken. */
  function archiveIn(
    storage: DurableObjectStorage,
    take: (report: CallReport) => Promise<void>,
    ANALYTICS?: AnalyticsEngineDataset,
  ) {
    const clock = new FakeClock(now);
    const counting = { report: take, waiting: async () => {} };
    const METRICS = { idFromName: String, get: () => counting } as unknown as Env['METRICS'];
    const archive = new CallArchive({
      storage,
      writes: writeThrough,
      alarms: new Alarms({ kv: storage.kv, setAlarm: async () => {}, deleteAlarm: async () => {} }),
      // Nobody listens there: its records wait, which is nothing to its counts.
      config: loadConfig({ ...bindings, SUPABASE_URL: 'http://127.0.0.1:9' }),
      env: { ...bindings, METRICS, ANALYTICS: ANALYTICS as AnalyticsEngineDataset },
      jurisdiction: () => null,
      clock,
      random: systemRandom,
    });
    return { clock, archive, hear: (event: CallEvent) => archive.hear(event, clock.now(), 'token') };
  }

  it('reports at its start, every minute, and at its end, each time all that it has counted', async () => {
    await runInDurableObject(
      bindings.CALL_SESSION.get(bindings.CALL_SESSION.newUniqueId()),
      async (_, { storage }) => {
        const reports: CallReport[] = [];
        const { clock, archive, hear } = archiveIn(storage, async (each) => void reports.push(each));
        const arrived = (count: number) => vi.waitFor(() => expect(reports).toHaveLength(count));
        hear({ type: 'call.started', call });
        await arrived(1);
        hear({ type: 'turn.recorded', turn: { ...turn, position: 0 } });
        hear({ type: 'usage', usage: { provider: 'a/b', characters: 4 }, turn: 1 });
        hear({ type: 'usage', usage: { provider: 'a/b', characters: 4 }, turn: 1 });
        hear({ type: 'leg.lost' });
        await clock.advance(REPORT_MS);
        await arrived(2);
        await clock.advance(REPORT_MS - 1);
        hear({ type: 'turn.recorded', turn: { ...turn, position: 1 } });
        hear({ type: 'call.closed', reason: 'hangup', status: 'ended', endTime: now + 100_000 });
        void archive.deliver();
        await arrived(3);
        // It reports no more.
        await clock.advance(10 * REPORT_MS);
        expect(reports).toHaveLength(3);
        expect(
          reports.map(({ at, aliveUntil, end, sums }) => [at - now, aliveUntil - at, end, sums]),
        ).toEqual([
          [0, REPORT_LEASE_MS, null, {}],
          [
            REPORT_MS,
            REPORT_LEASE_MS,
            null,
            { turns: { caller: 1 }, answers: { 'a/b': 2 }, counts: { drops: 1 } },
          ],
          [
            2 * REPORT_MS - 1,
            REPORT_LEASE_MS,
            { at: now + 100_000, reason: 'hangup', failed: false },
            { turns: { caller: 2 }, answers: { 'a/b': 2 }, counts: { drops: 1 } },
          ],
        ]);
      },
    );
  });

  it('writes its data points as it goes on, and each of them once, also where its object is another one', async () => {
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.newUniqueId());
    await runInDurableObject(stub, async (_, { storage }) => {
      const dataset = recordingDataset();
      const kinds = () => dataset.points.map(({ blobs }) => blobs[0]);
      const first = archiveIn(storage, async () => {}, dataset);
      first.hear({ type: 'call.started', call });
      await vi.waitFor(() => expect(kinds()).toEqual(['start']));
      for (let position = 0; position < 3; position++) {
        first.hear({ type: 'turn.recorded', turn: { ...turn, position } });
      }
      await first.clock.advance(REPORT_MS);
      await vi.waitFor(() => expect(kinds()).toEqual(['start', 'turn', 'turn']));
      dataset.nextInvocation();
      // What is left of it is closed by the next object.
      const second = archiveIn(storage, async () => {}, dataset);
      second.archive.closeLost();
      void second.archive.deliver();
      const rest = ['turn', 'call', 'user'];
      await vi.waitFor(() => expect(kinds()).toEqual(['start', 'turn', 'turn', ...rest]));
      const [point] = dataset.points.slice(-1);
      expect(point!.blobs).toEqual(['user', expect.stringMatching(/^[0-9a-f]{32}$/), '', 'failed']);
    });
  });

  it('does without a data set that takes no point', async () => {
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.newUniqueId());
    await runInDurableObject(stub, async (_, { storage }) => {
      let tried = 0;
      const broken = {
        writeDataPoint: () => {
          tried++;
          throw new TypeError('no');
        },
      };
      const { hear, archive } = archiveIn(storage, async () => {}, broken);
      hear({ type: 'call.started', call });
      await vi.waitFor(() => expect(tried).toBe(1));
      void archive.deliver();
      const left = () => storage.sql.exec('SELECT delivery FROM outbox').toArray();
      await vi.waitFor(() => expect(left()).toEqual([{ delivery: 'log started' }]));
    });
  });
});

describe('what was refused', () => {
  it('is counted by its code, calls apart from other requests', async () => {
    await vi.waitFor(
      async () => {
        // Another file's refusals may have gone with who was to tell of them: the next one brings all along.
        await fetchWorker('/metrics/none');
        const metrics = await (await fetchWorker('/metrics')).json<{
          refusals: { at: string; code: string; count: number }[];
        }>();
        const counts = metrics.refusals.map(({ at, code, count }) => [at, code, count]);
        expect(counts).toContainEqual(['request', 'NOT_FOUND', expect.any(Number)]);
        expect(counts).toContainEqual(['call', 'NOT_FOUND', expect.any(Number)]);
        expect(counts).toContainEqual(['call', 'BAD_MESSAGE', expect.any(Number)]);
        expect(counts).toContainEqual(['call', 'CALL_ID_MISMATCH', expect.any(Number)]);
      },
      { timeout: 25_000, interval: 200 },
    );
  });
});
