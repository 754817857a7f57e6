import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { expect, vi } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import type { ClientMessage } from '../../src/dialects/native-messages.ts';
import { hasTables } from '../../src/durable/storage.ts';
import { metricsShard } from '../../src/metrics/read.ts';
import type { FaultOrder } from '../support/fault-control.ts';
import { bindings, database, TestClient } from './support.ts';

export const question = 'When do you close?';
export const greeting = 'Hello, how can I help you?';

/** What the database does from now on with requests whose path ends with `suffix`. Resolves to how often it did so before. */
export async function databaseIs(fault: FaultOrder['fault'], suffix = ''): Promise<number> {
  const body = JSON.stringify({ suffix, fault });
  const response = await fetch(bindings.FAULT_CONTROL_URL, { method: 'POST', body });
  return (await response.json<{ hits: number }>()).hits;
}

let calls = 0;
export const nextId = () => `outage-${++calls}-${crypto.randomUUID()}`;

export const objectOf = (callId: string) =>
  bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));

/** A client of which the object knows, and no call yet. */
export async function connected(callId: string): Promise<TestClient> {
  const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
  await client.untilStatus('Connected: send start_call');
  return client;
}

/** The call begins, and its greeting is heard. */
export async function begin(client: TestClient, callId: string): Promise<void> {
  const features = ['transcript'];
  client.send({ type: 'start_call', callId, userId: 'user-1', metadata: {}, features } as ClientMessage);
  await client.untilStatus('Listening');
}

const answers = (client: TestClient) =>
  client.ofType('transcript').filter((m) => m.role === 'agent' && m.final && m.text !== greeting).length;

/** The caller asks, and hears the answer. */
export async function ask(client: TestClient): Promise<void> {
  const before = answers(client);
  client.audio(800, true);
  client.audio(700, false);
  await client.until((c) => answers(c) > before, 'the answer');
}

export async function hangUp(client: TestClient): Promise<void> {
  client.send({ type: 'end_call' });
  await client.until((c) => c.closed !== null, 'the close');
  expect(client.closed).toEqual({ code: 1000, reason: 'hangup' });
}

/** The object's alarm rings, so many milliseconds from now. */
export async function ringAfter(callId: string, ms: number): Promise<void> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms });
  try {
    await runDurableObjectAlarm(objectOf(callId));
  } finally {
    vi.useRealTimers();
  }
}

/** What the object still has to deliver, and how often it has tried. */
export const outboxOf = (callId: string) =>
  runInDurableObject(objectOf(callId), (_, { storage }) =>
    hasTables(storage.sql)
      ? storage.sql
          .exec<{ delivery: string; attempts: number }>(
            'SELECT delivery, attempts FROM outbox ORDER BY delivery',
          )
          .toArray()
      : [],
  );

/** Everything was tried, and is still there. */
export async function untilTried(callId: string, deliveries: readonly string[]): Promise<void> {
  await vi.waitFor(
    async () => {
      const waiting = await outboxOf(callId);
      expect(waiting.map(({ delivery }) => delivery)).toEqual(deliveries);
      expect(waiting.every(({ attempts }) => attempts > 0)).toBe(true);
    },
    { timeout: 10_000, interval: 50 },
  );
}

/** The object's alarm rings every few hours, until nothing of the call is left in the object. */
export async function untilDelivered(callId: string): Promise<void> {
  let hours = 0;
  await vi.waitFor(
    async () => {
      hours += 6;
      await ringAfter(callId, hours * 3_600_000);
      const left = await runInDurableObject(objectOf(callId), (_, { storage }) => hasTables(storage.sql));
      expect(left).toBe(false);
    },
    { timeout: 10_000, interval: 50 },
  );
}

/** All that there is of the call in the database. */
export async function recordOf(callId: string) {
  const of = (table: string) => database().from(table).select('*').like('call_id', `${callId}%`);
  const [logs, turns, failures] = await Promise.all([
    of('call_logs'),
    of('call_turns').order('position'),
    of('call_failures').order('position'),
  ]);
  expect(logs.data).toHaveLength(1);
  const row = logs.data![0] as Record<string, unknown> & {
    transcript: { text: string }[];
    recording: string;
  };
  return { row, turns: turns.data!, failures: failures.data!, recording: row.recording };
}

/** One row, every turn once and in order, its end, its recording, its counts. */
export async function expectDeliveredOnce(callId: string, texts: readonly string[]): Promise<void> {
  await untilDelivered(callId);
  const { row, turns, recording } = await recordOf(callId);
  expect(row).toMatchObject({ call_id: callId, status: 'ended', end_reason: 'hangup' });
  expect(row.transcript.map(({ text }) => text)).toEqual(texts);
  expect(turns.map(({ position, text }) => `${position} ${text}`)).toEqual(texts.map((t, i) => `${i} ${t}`));
  expect(recording).toMatch(new RegExp(`^recordings/\\d{4}/\\d{2}/\\d{2}/${callId}\\.wav$`));
  expect((await bindings.RECORDINGS.head(recording))?.size).toBeGreaterThan(16_000);
  await expectCountedOnce(Date.parse(String(row.start_time)));
  // When its id may be used again, the object is as if it had never been.
  await ringAfter(callId, 1_000 * 3_600_000);
  await runInDurableObject(objectOf(callId), async (_, { storage }) => {
    expect([...storage.kv.list()]).toEqual([]);
    expect(await storage.getAlarm()).toBeNull();
  });
}

async function expectCountedOnce(startedAt: number): Promise<void> {
  const { METRICS_SHARDS: shards } = loadConfig(bindings);
  let counted = 0;
  for (let shard = 0; shard < shards; shard++) {
    await runInDurableObject(metricsShard(bindings, shard, shards), (object, { storage: { sql } }) => {
      const rows = (from: string) => Number(sql.exec(`SELECT count(*) AS count FROM ${from}`).one().count);
      counted += rows(`ended WHERE started_at = ${startedAt}`);
      // A call that was counted twice would be in the sums and not in the list.
      const { started = 0, ended = 0 } = object.read(Date.now()).totals.sums.calls ?? {};
      expect({ started, ended }).toEqual({ started: rows('active') + rows('ended'), ended: rows('ended') });
    });
  }
  expect(counted).toBe(1);
}
