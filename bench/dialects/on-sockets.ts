import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { startBackEnds } from '../back-ends.ts';
import { service } from '../systems.ts';
import { buildWorker } from '../workerd.ts';
import type { WireMessage, WireTask } from './wire-client.ts';
import type { Wire } from './wires.ts';

export interface OnSockets {
  name: string;
  /** CPU of the service for 20 ms of a caller's audio, in microseconds. */
  usPerFrame: number;
}

/** What 20 ms of a caller's audio costs the whole service in each wire: calls on quiet lines in plain workerd, recording on. */
export async function measureOnSockets(
  wires: readonly Wire[],
  load: Pick<WireTask, 'calls' | 'seconds' | 'warmUpSeconds'>,
): Promise<OnSockets[]> {
  const modules = buildWorker();
  const rows: OnSockets[] = [];
  for (const { name } of wires) rows.push({ name, usPerFrame: await measure(modules, { ...load, name }) });
  return rows;
}

async function measure(modules: string, task: Omit<WireTask, 'port'>): Promise<number> {
  const backEnds = await startBackEnds();
  const workerd = await service(modules).start(backEnds);
  const client = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'wire-client.ts'),
      JSON.stringify({ ...task, port: workerd.port } satisfies WireTask),
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  try {
    let before = 0;
    return await new Promise<number>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${task.name}: ${why}`));
      void workerd.gone.then(() => fail('workerd has died'));
      client.once('exit', (code, signal) => fail(`the client has died (${code ?? signal})`));
      client.on('message', (message: WireMessage) => {
        if (message.type === 'begin') before = workerd.cpuUs();
        else if (message.closed > 0) fail(`${message.closed} calls were closed`);
        else resolve((workerd.cpuUs() - before) / message.frames);
      });
    });
  } finally {
    client.kill();
    await workerd.stop();
    backEnds.stop();
  }
}
