import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadArguments } from './arguments.ts';
import { Clients } from './clients.ts';
import { type LoadReport, Measurements } from './report.ts';
import type { Clip } from './speech.ts';

/** Calls end one after the other within this time, as they began; after Ctrl-C within a second. */
const LONGEST_ENDING_MS = 10_000;
const HASTE_MS = 1_000;
/** A deployment that holds no call for so long is not called any more. */
const GIVE_UP_MS = 30_000;
const LOOK_MS = 1_000;

export interface LoadRun {
  options: LoadArguments;
  url: URL;
  clips: readonly Clip[];
  /** Fires when the calls are to end before their time. */
  stop: AbortSignal;
  /** Called every second. */
  progress(atSeconds: number, ofSeconds: number, so: Measurements): void;
}

/** Calls for as long as is asked for, and reports; whatever becomes of the deployment, there is a report. */
export async function runLoad({ options, url, clips, stop, progress }: LoadRun): Promise<LoadReport> {
  const expectedMs = (options.ramp + options.minutes * 60) * 1_000;
  const endingMs = Math.min(LONGEST_ENDING_MS, options.ramp * 1_000);
  const measurements = new Measurements(options.processes, expectedMs + endingMs);
  const clients = await Clients.start(options.processes, {
    second: (process, second) => measurements.second(process, second),
    lost: (process) => measurements.lost(process),
  });
  try {
    const startedAt = new Date();
    const began = performance.now();
    const run = `load-${startedAt.getTime().toString(36)}`;
    clients.begin((process) => ({
      run,
      url: url.href,
      headers: options.token === undefined ? {} : { Authorization: `Bearer ${options.token}` },
      dialect: options.dialect,
      transport: options.transport,
      sampleRate: options.rate,
      users: options.user,
      calls: options.calls,
      processes: options.processes,
      process,
      rampMs: options.ramp * 1_000,
      callMs: options['call-seconds'] * 1_000,
      talk: options.talk,
      clips,
      seed: options.seed,
    }));
    const end = await until(
      expectedMs,
      stop,
      (atMs) => progress(atMs / 1_000, expectedMs / 1_000, measurements),
      measurements,
    );
    await clients.end(end === 'complete' ? endingMs : Math.min(HASTE_MS, endingMs));
    return measurements.report(options, url, { startedAt, durationMs: performance.now() - began, end });
  } finally {
    clients.kill();
  }
}

async function until(
  expectedMs: number,
  stop: AbortSignal,
  look: (atMs: number) => void,
  measurements: Measurements,
): Promise<LoadReport['end']> {
  const began = performance.now();
  let stoodAt = 0;
  for (;;) {
    const atMs = performance.now() - began;
    if (stop.aborted) return 'interrupted';
    if (atMs >= expectedMs) return 'complete';
    if (measurements.open > 0) stoodAt = atMs;
    if (atMs - stoodAt > GIVE_UP_MS) return 'gave-up';
    look(atMs);
    await sleep(Math.min(LOOK_MS, expectedMs - atMs), undefined, { signal: stop }).catch(() => {});
  }
}
