/**
 * Everything in the call that depends on the outside world's time or chance goes through this port, so
 * that tests run on a fake clock and a seeded random.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. In a Worker it advances only after I/O. */
  now(): number;
  /** Runs `task` once, `delayMs` from now at the earliest. Never throws; a task that was cancelled never runs. */
  after(delayMs: number, task: () => void): Timer;
}

/** A pending task of a {@link Clock}. */
export interface Timer {
  /** Idempotent; without effect once the task has run. */
  cancel(): void;
}

/** Identifiers and randomness, passed in for the same reason as {@link Clock}. */
export interface Random {
  /** A new identifier: 1 to 128 characters of `A–Z a–z 0–9 . _ -`, unguessable in production. */
  id(): string;
  /** Uniform in [0, 1). */
  fraction(): number;
}

/** The runtime's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, task) {
    const handle = setTimeout(task, Math.max(0, delayMs));
    return { cancel: () => clearTimeout(handle) };
  },
};

/** The runtime's own randomness: `crypto.randomUUID` and `Math.random` (used for jitter only). */
export const systemRandom: Random = {
  id: () => crypto.randomUUID(),
  fraction: () => Math.random(),
};
