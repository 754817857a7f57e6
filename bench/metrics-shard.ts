import { join } from 'node:path';
import { bundleWorker, serve, storages } from './workerd.ts';

export const help = `npm run bench -- metrics-shard

Reports a second that one object that counts (MetricsDO) takes, in plain workerd: calls of three minutes, four reports each. With it runs
what sends them, in the same process and on the same core. The more are on their way at once, the more are stored together.`;

const callsEach = 1_500;
const reportsPerCall = 4;

export async function run(): Promise<object> {
  const modules = bundleWorker(join(import.meta.dirname, 'workers', 'metrics-shard.mjs'));
  const rows = [];
  console.log('storage  on their way | reports a second, CPU of a report');
  for (const storage of storages) {
    const workerd = await serve(modules, { objects: { METRICS: 'MetricsDO' }, storage });
    try {
      for (const atOnce of [30, 100, 300]) {
        const [cpu, began] = [workerd.cpuUs(), performance.now()];
        const query = `calls=${callsEach}&at=${atOnce}&run=${storage}-${atOnce}`;
        const response = await fetch(`http://127.0.0.1:${workerd.port}/?${query}`);
        const seconds = (performance.now() - began) / 1_000;
        const { started = 0, ended = 0 } = (await response.json()) as { started?: number; ended?: number };
        if (started !== ended || started < callsEach) throw new Error(`${ended} of ${started} calls ended`);
        const reports = callsEach * reportsPerCall;
        const perSecond = Math.round(reports / seconds);
        const cpuUs = Math.round((workerd.cpuUs() - cpu) / reports);
        rows.push({ storage, atOnce, perSecond, cpuUs });
        console.log(
          `${storage.padEnd(7)}  ${`${atOnce}`.padStart(12)} | ${`${perSecond}`.padStart(16)}, ${cpuUs} µs`,
        );
      }
    } finally {
      await workerd.stop();
    }
  }
  return { bench: 'metrics-shard', callsEach, reportsPerCall, rows };
}
