import { describe, expect, it, vi } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { DialDeliveries } from '../../../src/durable/dial-deliveries.ts';
import { DialQueue } from '../../../src/durable/dial-queue.ts';
import { migrateDials } from '../../../src/durable/dial-tables.ts';
import { RecordsError } from '../../../src/records/call-records.ts';
import type { EndedDial } from '../../../src/records/dials.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { memorySql } from '../../support/sqlite.ts';

/** A queue with dials that node1 has begun, and a database that does what `ended` says. */
function delivering(
  calls: readonly string[],
  ended: (dials: readonly EndedDial[]) => Promise<string[]>,
  settings: Record<string, string> = {},
) {
  const clock = new FakeClock();
  const sql = memorySql();
  migrateDials(sql);
  let ids = 0;
  const queue = new DialQueue(sql, () => `claim-${++ids}`);
  const dial = { digest: '', userId: 'anna', campaignId: null, to: '+4930901820', callerId: '+493012345' };
  const more = {
    trunk: null,
    metadata: '{"orderId":"A-17"}',
    ringMs: 30_000,
    expiresAt: clock.now() + 60_000,
  };
  for (const callId of calls) queue.add({ ...dial, ...more, callId }, 100, 100, clock.now());
  const node = { name: 'node1', users: '*', campaigns: '*' } as const;
  const claims = queue.claim(node, 100, { perSecond: 100, atOnce: 100 }, clock.now());
  for (const { callId, claim } of claims) queue.begin('node1', callId, claim, clock.now());
  const end = (callId: string, progress: Parameters<DialQueue['progress']>[3]) => {
    const { claim } = claims.find((each) => each.callId === callId)!;
    queue.progress('node1', callId, claim, progress, clock.now());
  };
  const told = vi.fn(ended);
  const deliveries = new DialDeliveries({
    queue,
    records: () => ({ ended: told }),
    config: loadConfig(settings),
    clock,
    random: { id: () => '', fraction: () => 0.5 },
  });
  return { clock, queue, end, told, deliveries };
}

const given = (told: { mock: { calls: [readonly EndedDial[]][] } }) =>
  told.mock.calls.map(([dials]) => dials.map(({ callId, end }) => `${callId}: ${end?.reason ?? 'answered'}`));

describe('what the database is told of dials', () => {
  it('is told again while an answered call has no row, and after ten minutes that it had no stream', async () => {
    const { clock, queue, end, told, deliveries } = delivering(['a'], async (dials) =>
      dials.filter((dial) => dial.end === null).map(({ callId }) => callId),
    );
    end('a', { state: 'answered' });
    const answeredAt = clock.now();
    while (queue.untold(1, Number.MAX_SAFE_INTEGER).length > 0) {
      await deliveries.run();
      await clock.advance(30_000);
    }
    const all = given(told).flat();
    expect(all.slice(0, -1).every((entry) => entry === 'a: answered')).toBe(true);
    expect(all.at(-1)).toBe('a: no stream');
    expect(clock.now() - answeredAt).toBeGreaterThan(10 * 60_000);
    expect(clock.now() - answeredAt).toBeLessThan(16 * 60_000);
  });

  it('is told of the others where the database refuses one for good', async () => {
    const { queue, end, told, deliveries } = delivering(['a', 'b'], async (dials) => {
      if (dials.some(({ callId }) => callId === 'a')) {
        throw new RecordsError('dials_ended: 23514', { retryable: false, code: '23514' });
      }
      return [];
    });
    for (const callId of ['a', 'b']) end(callId, { state: 'failed', sipStatus: 486 });
    await deliveries.run();
    expect(given(told)).toEqual([['a: busy', 'b: busy'], ['a: busy'], ['b: busy']]);
    expect(queue.untold(9, Number.MAX_SAFE_INTEGER).map(({ dial }) => dial.callId)).toEqual(['a']);
  });

  it('is one request for all, repeated later where nobody answered', async () => {
    let down = true;
    const { clock, queue, end, told, deliveries } = delivering(['a', 'b'], async () => {
      if (down) throw new RecordsError('no connection', { retryable: true, code: null });
      return [];
    });
    for (const callId of ['a', 'b']) end(callId, { state: 'failed', sipStatus: 603 });
    await deliveries.run();
    await deliveries.run();
    expect(told).toHaveBeenCalledTimes(1);
    down = false;
    await clock.advance(1_000);
    await deliveries.run();
    expect(given(told)).toEqual(Array(2).fill(['a: declined', 'b: declined']));
    expect(queue.untold(9, Number.MAX_SAFE_INTEGER)).toEqual([]);
  });

  it('has the number only as it may be stored', async () => {
    const masked = { STORED_PHONE_NUMBERS: 'masked' };
    const { end, told, deliveries } = delivering(['a'], async () => [], masked);
    end('a', { state: 'failed' });
    await deliveries.run();
    const [[record]] = told.mock.calls[0] as [readonly EndedDial[]];
    expect(record!.metadata).toMatchObject({ orderId: 'A-17', direction: 'outbound' });
    expect(JSON.stringify(record)).not.toContain('30901820');
  });
});
