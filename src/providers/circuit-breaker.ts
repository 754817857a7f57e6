import { type Clock, type Random, systemClock, systemRandom } from '../call/clock.ts';
import { ProviderError } from './ports.ts';

export interface CircuitSettings {
  /** Opens after so many failures without a success between them, each within `windowMs` of the one before. Default 3. */
  failuresInARow?: number;
  /** Opens when such a part of the requests of the last `windowMs` has failed, if there were `fewestRequests`. Default 0.5. */
  failureShare?: number;
  /** Default 10. */
  fewestRequests?: number;
  /** Default 30,000. */
  windowMs?: number;
  /** How long it stays open at first; doubled each time that it opens again, a quarter more or less by chance. Default 5,000. */
  openMs?: number;
  /** The longest that it stays open, whatever a vendor asks for. Default 120,000. */
  longestOpenMs?: number;
  /** How long it stays open after a key was refused: keys are mended by people. Default 60,000. */
  unauthorizedMs?: number;
  /** A probe without an outcome for so long no longer keeps others out. Default 30,000. */
  probeMs?: number;
}

const defaults: Required<CircuitSettings> = {
  failuresInARow: 3,
  failureShare: 0.5,
  fewestRequests: 10,
  windowMs: 30_000,
  openMs: 5_000,
  longestOpenMs: 120_000,
  unauthorizedMs: 60_000,
  probeMs: 30_000,
};

/** What failed together must not come back together. */
const JITTER = 0.25;
/** The window slides by this part of it. */
const BUCKETS = 10;

/** One request to the provider. The first of the three that is called counts. */
export interface CircuitAttempt {
  /** It answered to the end, or until nobody wanted more. */
  succeeded(): void;
  /** `rejected` says nothing of the provider's health: that request was wrong. */
  failed(error: ProviderError): void;
  /** It was given up before it could show anything. */
  released(): void;
}

/**
 * Whether a provider is worth asking, by how it did lately. *Closed*: it is asked. *Open*: it is not, for a time. *Half open*: that
 * time is over, and exactly one request may probe it; its success closes the circuit, its failure opens it again, for longer.
 *
 * Failures that count are `timeout`, `rate_limited`, `unavailable` and `malformed`; `unauthorized` opens at once, and so does
 * a failure whose vendor has told how long it is to be left alone, for that time. Holds no timer, and memory of a fixed size.
 */
export class CircuitBreaker {
  readonly #settings: Required<CircuitSettings>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #random: Pick<Random, 'fraction'>;
  readonly #buckets = Array.from({ length: BUCKETS }, () => ({ slot: -1, good: 0, bad: 0 }));
  #inARow = 0;
  #lastFailureAt = Number.NEGATIVE_INFINITY;
  /** 0: closed. */
  #openUntil = 0;
  #closedAt = Number.NEGATIVE_INFINITY;
  /** How often it has opened without having been well for long. */
  #openings = 0;
  #probe: { attempt: object; since: number } | null = null;
  #error: ProviderError | null = null;
  /** Counts openings and closings: what began before the last of them is no news of the time after it. */
  #era = 0;

  constructor(
    settings: CircuitSettings = {},
    clock: Pick<Clock, 'now'> = systemClock,
    random: Pick<Random, 'fraction'> = systemRandom,
  ) {
    this.#settings = { ...defaults, ...settings };
    this.#clock = clock;
    this.#random = random;
  }

  get state(): 'closed' | 'open' | 'halfOpen' {
    if (this.#openUntil === 0) return 'closed';
    return this.#clock.now() < this.#openUntil ? 'open' : 'halfOpen';
  }

  /** Whether `begin` would let a request through. */
  get available(): boolean {
    const { state } = this;
    return state === 'closed' || (state === 'halfOpen' && !this.#isProbed);
  }

  /** When it is to be tried again, in milliseconds since the epoch; 0: at any time. */
  get openUntil(): number {
    return this.#openUntil;
  }

  /** What it was opened for; null while it is closed. */
  get error(): ProviderError | null {
    return this.#error;
  }

  /** Null: the provider is not to be asked now. */
  begin(): CircuitAttempt | null {
    if (!this.available) return null;
    const isProbe = this.state === 'halfOpen';
    const attempt = this.force();
    if (isProbe) this.#probe = { attempt, since: this.#clock.now() };
    return attempt;
  }

  /** A request although the provider is not to be asked: there is no other. Its failure does not keep the circuit open for longer. */
  force(): CircuitAttempt {
    const era = this.#era;
    let settled = false;
    const settle = (outcome: () => void): void => {
      if (settled) return;
      settled = true;
      const isProbe = this.#probe?.attempt === attempt;
      if (isProbe) this.#probe = null;
      if (era !== this.#era) return;
      if (this.state === 'closed' || isProbe || outcome === succeed) outcome();
    };
    const succeed = (): void => this.#succeed();
    const attempt: CircuitAttempt = {
      succeeded: () => settle(succeed),
      failed: (error) => settle(() => this.#fail(error)),
      released: () => settle(() => {}),
    };
    return attempt;
  }

  get #isProbed(): boolean {
    return this.#probe !== null && this.#clock.now() - this.#probe.since < this.#settings.probeMs;
  }

  #succeed(): void {
    if (this.#openUntil > 0) this.#close();
    this.#inARow = 0;
    this.#bucket().good++;
  }

  #fail(error: ProviderError): void {
    if (error.failure === 'rejected') return;
    const { failuresInARow, windowMs, unauthorizedMs } = this.#settings;
    const now = this.#clock.now();
    if (error.failure === 'unauthorized') {
      this.#open(error, unauthorizedMs);
    } else if (error.retryAfterMs !== undefined && error.retryAfterMs > 0) {
      this.#open(error, error.retryAfterMs);
    } else if (this.#openUntil > 0) {
      this.#open(error, this.#nextOpenMs());
    } else {
      this.#inARow = now - this.#lastFailureAt > windowMs ? 1 : this.#inARow + 1;
      this.#lastFailureAt = now;
      this.#bucket().bad++;
      if (this.#inARow >= failuresInARow || this.#isShareReached()) this.#open(error, this.#nextOpenMs());
    }
  }

  #isShareReached(): boolean {
    const { fewestRequests, failureShare } = this.#settings;
    const oldest = this.#slot() - BUCKETS;
    let good = 0;
    let bad = 0;
    for (const bucket of this.#buckets) {
      if (bucket.slot <= oldest) continue;
      good += bucket.good;
      bad += bucket.bad;
    }
    return good + bad >= fewestRequests && bad >= (good + bad) * failureShare;
  }

  /** Each time longer, until it has been well for as long as it may be shut out. */
  #nextOpenMs(): number {
    const { openMs, longestOpenMs } = this.#settings;
    if (this.#openUntil === 0 && this.#clock.now() - this.#closedAt >= longestOpenMs) this.#openings = 0;
    const jitter = 1 + JITTER * (2 * this.#random.fraction() - 1);
    return openMs * 2 ** Math.min(this.#openings++, 30) * jitter;
  }

  #open(error: ProviderError, forMs: number): void {
    this.#openUntil = this.#clock.now() + Math.min(forMs, this.#settings.longestOpenMs);
    this.#error = withoutCause(error);
    this.#probe = null;
    this.#era++;
  }

  #close(): void {
    this.#openUntil = 0;
    this.#closedAt = this.#clock.now();
    this.#error = null;
    this.#probe = null;
    this.#lastFailureAt = Number.NEGATIVE_INFINITY;
    for (const bucket of this.#buckets) bucket.slot = -1;
    this.#era++;
  }

  #slot(): number {
    return Math.floor((this.#clock.now() * BUCKETS) / this.#settings.windowMs);
  }

  #bucket(): { slot: number; good: number; bad: number } {
    const slot = this.#slot();
    const bucket = this.#buckets[slot % BUCKETS]!;
    if (bucket.slot !== slot) Object.assign(bucket, { slot, good: 0, bad: 0 });
    return bucket;
  }
}

/** What it was caused by belongs to one call: in a Worker, its request's objects must not be touched by another's. */
function withoutCause({ provider, failure, message, status, retryAfterMs }: ProviderError): ProviderError {
  return new ProviderError(provider, failure, message, {
    ...(status === undefined ? {} : { status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Circuits that are remembered: beyond it, the one that was not asked for the longest is forgotten. */
const MOST_CIRCUITS = 500;

/** The circuits of many calls, by the identity of what is asked. */
export class Circuits {
  readonly #circuits = new Map<string, CircuitBreaker>();
  readonly #make: () => CircuitBreaker;

  constructor(
    settings: CircuitSettings = {},
    clock: Pick<Clock, 'now'> = systemClock,
    random: Pick<Random, 'fraction'> = systemRandom,
  ) {
    this.#make = () => new CircuitBreaker(settings, clock, random);
  }

  get size(): number {
    return this.#circuits.size;
  }

  /** @param identity what can fail by itself: port, vendor, model, address, and whose key. Never the key. */
  of(identity: string): CircuitBreaker {
    const circuit = this.#circuits.get(identity) ?? this.#make();
    // Moves it behind the others.
    this.#circuits.delete(identity);
    this.#circuits.set(identity, circuit);
    if (this.#circuits.size > MOST_CIRCUITS) this.#circuits.delete(this.#circuits.keys().next().value!);
    return circuit;
  }
}

/** Those of this isolate: what one call has learnt of a provider, the others need not find out. */
export const sharedCircuits = new Circuits();
