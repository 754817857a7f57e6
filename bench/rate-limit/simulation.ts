import type { Clock } from '../../src/call/clock.ts';
import { RateLimiter } from '../../src/http/rate-limit.ts';
import { SharedRates } from '../../src/http/shared-rates.ts';
import { seeded } from '../../test/support/random.ts';
import { EventualKv } from './eventual-kv.ts';

export interface RateScene {
  /** Cloudflare locations that the client reaches, and isolates in each. */
  locations: number;
  isolatesPerLocation: number;
  /** Requests a minute that the client sends, at random isolates of random locations. */
  requestsPerMinute: number;
  minutes: number;
  limit: number;
  /** The longest way of a write from one location to another. */
  propagationMs: number;
  /** Whether the locations count too: exactly, by the minute of the clock. */
  binding: boolean;
  /** Whether there is KV. */
  kv: boolean;
  seed: number;
}

export interface RateOutcome {
  /** Requests that passed in the worst 60 s of the first two minutes, and of all later ones. */
  worstAtFirst: number;
  worstLater: number;
  /** Requests a minute that passed, from the third minute on. */
  meanLater: number;
  puts: number;
  lists: number;
  mostWritesPerKeyAndSecond: number;
}

const SETTLED_MS = 120_000;
const WINDOW_MS = 60_000;

/** One address, and many isolates that have to agree on it: what passes. Deterministic by its seed. */
export async function simulateRateLimit(scene: RateScene): Promise<RateOutcome> {
  const random = seeded(scene.seed);
  const start = 1_700_000_000_000;
  let now = start;
  // Nothing hangs here, so no time-out is ever due.
  const clock: Clock = { now: () => now, after: () => ({ cancel() {} }) };
  const kv = new EventualKv({ now: () => now, random, ...scene });
  const isolates = Array.from({ length: scene.locations * scene.isolatesPerLocation }, (_, index) => {
    const limiter = new RateLimiter();
    const location = index % scene.locations;
    const rates = new SharedRates({
      clock,
      limiter,
      isolate: `isolate-${index}`,
      pseudonym: async (address) => address,
      onFailure: (error) => {
        throw error;
      },
    });
    return { limiter, rates, location, store: kv.at(location) };
  });
  const counters = Array.from({ length: scene.locations }, () => ({ minute: 0, count: 0 }));
  const passed: number[] = [];
  const until = start + scene.minutes * 60_000;
  while (now < until) {
    // A Poisson stream.
    now += (-Math.log(1 - random.fraction()) * 60_000) / scene.requestsPerMinute;
    const { limiter, rates, location, store } = random.of(isolates);
    const verdict = limiter.take('192.0.2.1', scene.limit, now);
    const exchange = scene.kv ? rates.exchange(store, '192.0.2.1', scene.limit) : null;
    if (exchange !== null) await exchange;
    if (!verdict.allowed) continue;
    if (scene.binding && !countAt(counters[location]!, scene.limit, now)) continue;
    passed.push(now - start);
  }
  const later = passed.filter((at) => at >= SETTLED_MS);
  return {
    worstAtFirst: mostInWindow(passed.filter((at) => at < SETTLED_MS)),
    worstLater: mostInWindow(later),
    meanLater: Math.round(later.length / Math.max(1, scene.minutes - SETTLED_MS / 60_000)),
    puts: kv.puts,
    lists: kv.lists,
    mostWritesPerKeyAndSecond: kv.mostWritesPerKeyAndSecond,
  };
}

function countAt(counter: { minute: number; count: number }, limit: number, now: number): boolean {
  const minute = Math.floor(now / 60_000);
  if (counter.minute !== minute) Object.assign(counter, { minute, count: 0 });
  return counter.count++ < limit;
}

/** The most in any 60 s. `times` ascend. */
function mostInWindow(times: readonly number[]): number {
  let most = 0;
  let first = 0;
  for (const [last, at] of times.entries()) {
    while (at - times[first]! >= WINDOW_MS) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
