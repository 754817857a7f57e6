import { describe, expect, it, vi } from 'vitest';
import {
  type CountedCall,
  callSlots,
  LEASE_MS,
  RENEW_MS,
  type UserCalls,
} from '../../../src/call/call-slots.ts';
import { CallLeases, type LeaseStore } from '../../../src/durable/call-leases.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seeded } from '../../support/random.ts';

/** An object's `storage.kv`; survives the object. */
function mapStore(): LeaseStore & { size(): number } {
  const values = new Map<string, number>();
  return {
    list: ({ prefix }) => [...values].filter(([key]) => key.startsWith(prefix)),
    put: (key, until) => values.set(key, until),
    delete: (key) => values.delete(key),
    size: () => values.size,
  };
}

describe('leases', () => {
  it('count a call once, however often it is taken', () => {
    const leases = new CallLeases(mapStore(), LEASE_MS);
    for (let i = 0; i < 5; i++) expect(leases.take('a', 2, i)).toBe(true);
    expect(leases.take('b', 2, 10)).toBe(true);
    expect(leases.take('c', 2, 11)).toBe(false);
    expect(leases.take('a', 2, 12), 'it is counted already').toBe(true);
    leases.release('a');
    leases.release('a');
    expect(leases.take('c', 2, 13)).toBe(true);
    expect(leases.count).toBe(2);
  });

  it('end by themselves, also across a restart of the object, and leave nothing in its storage', () => {
    const store = mapStore();
    new CallLeases(store, LEASE_MS).take('a', 1, 0);
    const leases = new CallLeases(store, LEASE_MS);
    expect(leases.take('b', 1, LEASE_MS - 1)).toBe(false);
    expect(leases.take('b', 1, LEASE_MS)).toBe(true);
    leases.expire(2 * LEASE_MS);
    expect(store.size()).toBe(0);
  });

  it('of a call that lives are renewed beyond the limit, where they had run out: no call is ended for it', () => {
    const leases = new CallLeases(mapStore(), LEASE_MS);
    leases.take('a', 1, 0);
    leases.take('b', 1, LEASE_MS);
    leases.renew('a', LEASE_MS + 1);
    expect(leases.count).toBe(2);
    expect(leases.take('c', 1, LEASE_MS + 2)).toBe(false);
  });
});

describe('leases of a user with thousands of calls', () => {
  const take = (leases: CallLeases, calls: number, now: number) => {
    for (let i = 0; i < calls; i++) leases.take(`call-${i}`, calls, now);
  };

  it('are longer, in proportion, so that they are renewed less often', () => {
    const leases = new CallLeases(mapStore(), LEASE_MS);
    take(leases, 4_000, 0);
    expect(leases.renew('call-0', 1)).toBe(LEASE_MS);
    take(leases, 20_000, 0);
    expect(leases.renew('call-0', 1)).toBe(5 * LEASE_MS);
    expect(leases.renew('call-1', 2)).toBe(5 * LEASE_MS);
    leases.expire(LEASE_MS);
    expect(leases.count, 'those that were not renewed').toBe(2);
    leases.expire(5 * LEASE_MS + 1);
    expect(leases.count).toBe(1);
    leases.expire(5 * LEASE_MS + 2);
    expect(leases.count).toBe(0);
  });

  it('are looked through when one may have run out, and not with each call that begins', () => {
    const store = mapStore();
    const leases = new CallLeases(store, LEASE_MS);
    take(leases, 1_000, 0);
    const entries = vi.spyOn(Map.prototype, Symbol.iterator);
    for (let now = 1; now < 100; now++) expect(leases.take('one more', 1_000, now)).toBe(false);
    expect(entries.mock.calls.length, 'while none can have').toBe(0);
    expect(leases.take('one more', 1_000, LEASE_MS)).toBe(true);
    expect(entries.mock.calls.length).toBe(1);
    entries.mockRestore();
    expect(leases.count).toBe(1);
  });

  it('run out in time after the object was restarted', () => {
    const store = mapStore();
    take(new CallLeases(store, LEASE_MS), 10, 0);
    const leases = new CallLeases(store, LEASE_MS);
    leases.expire(LEASE_MS - 1);
    expect(leases.count).toBe(10);
    leases.expire(LEASE_MS);
    expect(leases.count).toBe(0);
  });
});

describe('a call’s slot', () => {
  const call: CountedCall = { callId: 'c', userId: 'u', startTime: 1 };
  function slots(calls: Partial<UserCalls>) {
    const clock = new FakeClock();
    const background: Promise<unknown>[] = [];
    const none = async () => undefined;
    return {
      clock,
      background,
      slots: callSlots({
        calls: { take: async () => 'taken', renew: none, release: none, ...calls },
        clock,
        background: (work) => background.push(work.catch((error: Error) => error.message)),
      }),
    };
  }

  it('is refused where its user has as many as allowed', async () => {
    const { slots: full } = slots({ take: async () => 'full' });
    expect(await full.take(call)).toMatchObject({
      granted: false,
      refusal: { code: 'TOO_MANY_CALLS', closing: 'refused' },
    });
  });

  it('is not waited for for more than two seconds: then the call begins, and the failure is told', async () => {
    const { clock, slots: mute } = slots({ take: () => new Promise(() => {}) });
    const answer = mute.take(call);
    await clock.advance(1_999);
    expect(await Promise.race([answer, 'waiting'])).toBe('waiting');
    await clock.advance(1);
    expect(await answer).toEqual({ granted: true, failure: 'not counted: no answer within 2000 ms' });
    const { slots: down } = slots({ take: () => Promise.reject(new Error('reset')) });
    expect(await down.take(call)).toEqual({ granted: true, failure: 'not counted: reset' });
  });

  it('holds nothing up where renewal or release hang', async () => {
    const never = () => new Promise<never>(() => {});
    const { clock, background, slots: mute } = slots({ renew: never, release: never });
    mute.renew(call);
    mute.release(call);
    await clock.advance(2_000);
    expect(await Promise.all(background)).toEqual(Array(2).fill('no answer within 2000 ms'));
    expect(clock.pending).toBe(0);
  });

  it('is renewed less often where its lease is longer, and as often as ever by an object that says nothing', async () => {
    for (const [leaseMs, renewals] of [
      [LEASE_MS, 8],
      [4 * LEASE_MS, 2],
      [undefined, 8],
    ] as const) {
      const asked: number[] = [];
      const { clock, slots: busy } = slots({
        renew: async () => {
          asked.push(clock.now());
          return leaseMs;
        },
      });
      await busy.take(call);
      for (let i = 0; i < 8; i++) {
        // Timers are early and late.
        await clock.advance(RENEW_MS + (i % 2 === 0 ? 400 : -400));
        busy.renew(call);
      }
      expect(asked, `leases of ${leaseMs} ms`).toHaveLength(renewals);
    }
  });

  it('that could not be renewed is renewed at the next time', async () => {
    const answers = [4 * LEASE_MS, Promise.reject(new Error('reset')), 4 * LEASE_MS];
    const asked: number[] = [];
    const { clock, slots: busy } = slots({
      renew: async () => {
        asked.push(clock.now());
        return await answers[asked.length - 1];
      },
    });
    const began = clock.now();
    for (let i = 0; i < 6; i++) {
      busy.renew(call);
      await clock.advance(RENEW_MS);
    }
    expect(asked.map((at) => (at - began) / RENEW_MS)).toEqual([0, 4, 5]);
  });

  it('is renewed often enough that two renewals may get lost', () => {
    expect(LEASE_MS).toBeGreaterThan(3 * RENEW_MS);
  });
});

/**
 * One user's calls, with everything that can go wrong between them and the object that counts: requests that get lost or are repeated, calls
 * whose object crashes, and comes back or does not, an object that is restarted.
 */
describe('calls of one user, in random interleavings', () => {
  const LIMIT = 5;

  it.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'seed %d: never more than the limit, and no lease outlives its call by more than its time',
    (seed) => {
      const random = seeded(seed);
      const store = mapStore();
      let leases = new CallLeases(store, LEASE_MS);
      let now = 1_000_000;
      /** Calls that live: when each renews next, and how many renewals have got lost one after the other. */
      const live = new Map<string, { next: number; lost: number }>();
      /** When those that do not live any more were last heard of. */
      const gone = new Map<string, number>();
      let started = 0;
      let refused = 0;
      const begin = () => {
        const id = `call-${started++}.`;
        const repeats = 1 + random.whole(3);
        let granted = false;
        for (let i = 0; i < repeats; i++) granted = leases.take(id, LIMIT, now);
        if (!granted) {
          refused++;
          // Refused only where so many are counted, each of them alive or not longer dead than a lease.
          expect(leases.count).toBe(LIMIT);
          return;
        }
        // The answer may get lost: then no call comes of it.
        if (random.whole(8) === 0) gone.set(id, now);
        else live.set(id, { next: now + RENEW_MS, lost: 0 });
      };
      const end = (id: string) => {
        live.delete(id);
        const lost = random.whole(5) === 0;
        if (lost) gone.set(id, now);
        else for (let i = 0; i <= random.whole(2); i++) leases.release(id);
      };
      for (let step = 0; step < 600; step++) {
        now += random.whole(20_000);
        for (const [id, call] of live) {
          for (; call.next <= now; call.next += RENEW_MS) {
            call.lost = call.lost < 2 && random.whole(4) === 0 ? call.lost + 1 : 0;
            if (call.lost === 0) leases.renew(id, call.next);
          }
        }
        const ids = [...live.keys()];
        const chance = random.whole(10);
        if (chance < 6) begin();
        else if (ids.length > 0) {
          const id = random.of(ids);
          if (chance < 8) end(id);
          // Its object crashed: it comes back, and renews, or is heard of no more.
          else if (chance === 8 && random.whole(2) === 0) {
            leases.renew(id, now);
            live.set(id, { next: now + RENEW_MS, lost: 0 });
          } else if (chance === 8) {
            live.delete(id);
            gone.set(id, now);
          } else leases = new CallLeases(store, LEASE_MS);
        }
        expect(live.size).toBeLessThanOrEqual(LIMIT);
        leases.expire(now);
        for (const [id, at] of gone) {
          if (now - at < LEASE_MS) continue;
          gone.delete(id);
          expect(store.list({ prefix: `lease/${id}` }), `${id} is counted though it is gone`).toEqual([]);
        }
        expect(leases.count).toBeLessThanOrEqual(live.size + gone.size);
        expect(leases.count, 'every call that lives is counted').toBeGreaterThanOrEqual(live.size);
      }
      expect(started).toBeGreaterThan(200);
      expect(refused).toBeGreaterThan(0);
      now += LEASE_MS;
      leases.expire(now);
      expect(store.size()).toBe(0);
    },
  );
});
