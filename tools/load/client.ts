import { monotonicClock } from '../caller/clock.ts';
import { Callers, type CallersTask } from './callers.ts';
import type { FromClient, ToClient } from './client-messages.ts';

/** A process that calls; `clients.ts` starts it, and tells it when to begin and to end. */

const REPORT_MS = 1_000;

// A terminal's Ctrl-C reaches every process; when the calls end is the parent's to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit(1));

let callers: Callers | null = null;
process.on('message', (message: ToClient) => {
  if (message.type === 'begin') callers = begin(message.task);
  else if (callers !== null) void callers.end(message.spreadMs).then(finish);
});
tell({ type: 'ready' });

let report = () => {};

function begin(task: CallersTask): Callers {
  const running = new Callers(task, monotonicClock);
  const startedAt = performance.now();
  let since = startedAt;
  let cpu = process.cpuUsage();
  report = () => {
    const now = performance.now();
    const { user, system } = process.cpuUsage(cpu);
    tell({
      type: 'second',
      atMs: now - startedAt,
      open: running.open,
      tally: running.takeTally(),
      cpuShare: (user + system) / 1000 / Math.max(1, now - since),
      memoryBytes: process.memoryUsage.rss(),
    });
    since = now;
    cpu = process.cpuUsage();
  };
  setInterval(report, REPORT_MS);
  return running;
}

function finish(): void {
  report();
  process.send?.({ type: 'ended' } satisfies FromClient, () => process.exit(0));
}

function tell(message: FromClient): void {
  process.send?.(message);
}
