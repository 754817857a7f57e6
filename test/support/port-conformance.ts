import { afterEach, expect, it } from 'vitest';
import { ProviderError, type ProviderFailure } from '../../src/providers/ports.ts';

/**
 * The contract of the ports (src/providers/ports.ts) as tests, for every implementation over its vendor's double: `describeSpeechToText`,
 * `describeLanguageModel`, `describeTextToSpeech`. They run on the real clock, since sockets do; so a double's vendor must be quick,
 * and the deadlines of its implementation short where it is to be silent.
 */

/** What is wrong with the vendor, for every request and connection. */
export type VendorFault =
  /** 401. */
  | 'keyRefused'
  /** 429 without `Retry-After`. */
  | 'rateLimited'
  /** 503. */
  | 'down'
  /** Takes requests, or connections, and sends nothing. */
  | 'silent'
  /** Sends what means nothing. */
  | 'malformed';

/** What every fault is to the call. */
export const failureOf: Record<VendorFault, ProviderFailure> = {
  keyRefused: 'unauthorized',
  rateLimited: 'rate_limited',
  down: 'unavailable',
  silent: 'timeout',
  malformed: 'malformed',
};

export const vendorFaults = Object.keys(failureOf) as VendorFault[];

/** An implementation, made for one call, and the double behind it. */
export interface Subject {
  /** Requests that wait for their answer, and connections that are open, at the vendor. */
  open(): number;
  /** Requests and connections that there have been. */
  made(): number;
  /** Ends the double. */
  close(): Promise<void>;
}

/** Starts subjects, and ends them after each test. */
export function subjects<S extends Subject, Kind>(start: (kind: Kind) => Promise<S>) {
  let running: S[] = [];
  afterEach(async () => {
    for (const subject of running) await subject.close();
    running = [];
  });
  return async (kind: Kind): Promise<S> => {
    const subject = await start(kind);
    running.push(subject);
    return subject;
  };
}

/** Lets the event loop go round until it holds; the test's own time-out bounds it. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** Lets everything arrive that is on its way over loopback. */
export async function arrivals(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Collects in the background. */
export function collect<Event>(events: AsyncIterable<Event>) {
  const result = { seen: [] as Event[], error: null as unknown, over: false, done: Promise.resolve() };
  result.done = (async () => {
    try {
      for await (const event of events) result.seen.push(event);
    } catch (error) {
      result.error = error;
    }
    result.over = true;
  })();
  return result;
}

export function expectFailure(error: unknown, failure: ProviderFailure): void {
  expect(error).toBeInstanceOf(ProviderError);
  expect(error).toMatchObject({ failure });
  expect((error as ProviderError).provider).toMatch(/^[a-z0-9-]+\/\S/);
}

/** Counts what is open among connections that tell when they are closed. */
export function openAmong<C extends object>(
  connections: () => readonly C[],
  closed: (connection: C) => Promise<unknown>,
): () => number {
  const known = new Map<C, boolean>();
  return () => {
    for (const connection of connections()) {
      if (known.has(connection)) continue;
      known.set(connection, true);
      void closed(connection).then(() => known.set(connection, false));
    }
    return [...known.values()].filter((open) => open).length;
  };
}

/**
 * Declares a test only where it applies: `when(can(behaviour))(name, test)`. A test that can never run on this
 * subject does not exist, so that "skipped" stays a word for something that went wrong.
 */
export function when(applies: boolean): (name: string, test: () => Promise<void>) => void {
  return (name, test) => {
    if (applies) it(name, test);
  };
}
