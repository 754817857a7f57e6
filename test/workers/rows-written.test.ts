import { runInDurableObject } from 'cloudflare:test';
import { expect, it, vi } from 'vitest';
import { measured } from '../../tools/cost/measured.ts';
import { bindings, database, scriptVendor, TestClient } from './support.ts';

/** Rows that objects write from now on, as the platform bills them: those of SQL statements, and one for each value and each alarm. */
async function countRows(): Promise<{ rows: number }> {
  const counted = { rows: 0 };
  await runInDurableObject(
    bindings.CALL_SESSION.get(bindings.CALL_SESSION.newUniqueId()),
    (_, { storage }) => {
      const sql = Object.getPrototypeOf(storage.sql) as SqlStorage;
      const { exec } = sql;
      vi.spyOn(sql, 'exec').mockImplementation(function (
        this: SqlStorage,
        ...args: Parameters<SqlStorage['exec']>
      ) {
        const cursor = exec.apply(this, args);
        counted.rows += cursor.rowsWritten;
        return cursor;
      } as SqlStorage['exec']);
      for (const [of, names] of [
        [Object.getPrototypeOf(storage.kv), ['put', 'delete']],
        [Object.getPrototypeOf(storage), ['setAlarm', 'put']],
      ] as [Record<string, (...args: unknown[]) => unknown>, string[]][]) {
        for (const name of names) {
          const own = of[name]!;
          vi.spyOn(of, name).mockImplementation(function (this: unknown, ...args: unknown[]) {
            counted.rows++;
            return own.apply(this, args);
          });
        }
      }
    },
  );
  return counted;
}

/** A call of so many turns, then so much silence; the rows that it wrote until everything was delivered. */
async function rowsOf(counted: { rows: number }, turns: number, silentMs: number) {
  const callId = `rows-${crypto.randomUUID()}`;
  const before = counted.rows;
  const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
  client.send({ type: 'start_call', callId, userId: 'user-1', metadata: {} });
  await client.untilStatus('Listening');
  for (let turn = 1; turn <= turns; turn++) {
    client.audio(800, true);
    client.audio(1_500, false);
    await client.until(
      (c) => c.messages.filter((m) => m.type === 'status' && m.message === 'Listening').length > turn,
      'the answer to its end',
    );
  }
  client.audio(silentMs, false);
  client.send({ type: 'end_call' });
  await client.until((c) => c.closed !== null, 'the close');
  await vi.waitFor(
    async () => {
      const { data } = await database().from('call_logs').select().eq('call_id', callId).single();
      expect(data?.cost_by_provider).not.toBeNull();
    },
    { timeout: 20_000, interval: 200 },
  );
  return counted.rows - before;
}

it('what a call writes into storage is about what `npm run cost` counts with', async () => {
  const answer = 'This is the answer to what you asked.';
  scriptVendor({ transcripts: ['One?', 'Two?'], answer });
  const counted = await countRows();
  // The first call of an isolate makes the tables of the objects that count.
  await rowsOf(counted, 0, 0);
  const rows = await rowsOf(counted, 2, 20_000);
  const { rowsACall, rowsATurn, spoolRowsAMinute } = measured;
  const expected = rowsACall + 2 * rowsATurn + spoolRowsAMinute / 3;
  // When deliveries meet, they share alarms: the figure varies by some rows from run to run.
  expect(rows).toBeGreaterThan(expected / 2);
  expect(rows).toBeLessThan(expected * 2);
});
