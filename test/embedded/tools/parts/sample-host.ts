import { spawn } from 'node:child_process';
import { hostPart } from '../../../../tools/service/part-host.ts';

/** A part for the tests of `Part`: it starts a child of its own, as the Worker's part does, and misbehaves on demand. */
let child: ReturnType<typeof spawn> | null = null;
let mood = '';

hostPart({
  async start(params, progress) {
    mood = String(params);
    progress('starting');
    if (mood === 'fails') {
      console.error('the reason on standard error');
      throw new Error('it cannot be');
    }
    if (mood === 'hangs') await new Promise(() => setInterval(() => {}, 1000));
    // Lives until somebody kills it: nothing it holds ever ends.
    child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    return { pid: process.pid, childPid: child.pid };
  },
  async die() {
    console.log('the last words');
    process.exit(3);
  },
  async close() {
    if (mood === 'stays') await new Promise(() => setInterval(() => {}, 1000));
    if (mood !== 'forgets') child?.kill();
  },
});
