import { WebSocket } from 'ws';
import { encodeMulaw } from '../src/audio/g711.ts';

/** Sends paced frames on many sockets, and tells its parent when the first and the last measured one went out. */
interface Task {
  port: number;
  calls: number;
  seconds: number;
  perSecond: number;
  line: 'quiet' | 'talking';
}

const task = JSON.parse(process.argv[2] ?? '') as Task;
/** Frames at the start that are not measured: compiling, first tables, first rows. */
const WARM_UP_SECONDS = 4;

const sockets = await Promise.all(Array.from({ length: task.calls }, (_, i) => open(i)));
const frames = { quiet: encodeMulaw(noise(40)), voice: encodeMulaw(buzz()) };
const interval = 1000 / task.perSecond;
const total = (WARM_UP_SECONDS + task.seconds) * task.perSecond;
const start = performance.now();
let measured = 0;
for (let tick = 0; tick < total; tick++) {
  // Absolute deadlines: a late tick does not delay the ones after it.
  const wait = start + tick * interval - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  if (tick === WARM_UP_SECONDS * task.perSecond) process.send?.({ type: 'begin' });
  // 2 s of speech, 2 s of silence, callers out of step with each other.
  sockets.forEach((socket, i) => {
    const speaks = task.line === 'talking' && ((tick + i * 10) / task.perSecond) % 4 < 2;
    socket.send(speaks ? frames.voice : frames.quiet);
    if (tick >= WARM_UP_SECONDS * task.perSecond) measured++;
  });
}
// What was sent last is still to be taken.
await new Promise((resolve) => setTimeout(resolve, 500));
process.send?.({ type: 'end', frames: measured });
process.once('message', () => {
  for (const socket of sockets) socket.terminate();
  process.exit(0);
});

async function open(i: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${task.port}/ws/call-session`);
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  const listening = new Promise<void>((resolve) => {
    socket.on('message', (data, binary) => {
      if (!binary && String(data).includes('"Listening"')) resolve();
    });
  });
  socket.send(
    JSON.stringify({
      type: 'start_call',
      callId: `bench-${process.pid}-${i}`,
      userId: 'bench',
      audio: { transport: 'binary', encoding: 'mulaw', sampleRate: 8000 },
    }),
  );
  await listening;
  return socket;
}

function noise(amplitude: number): Int16Array {
  return Int16Array.from({ length: 160 }, (_, i) => Math.round(amplitude * Math.sin(i * i)));
}

/** Harmonics of 150 Hz, which the detector takes for voice; whole periods, so that frames join without clicks. */
function buzz(): Int16Array {
  return Int16Array.from({ length: 160 }, (_, i) => {
    let value = 0;
    for (let h = 1; h < 20; h++)
      value += Math.sin((2 * Math.PI * 150 * h * i) / 8000) / (1 + Math.abs(h * 150 - 700) / 400);
    return Math.round(value * 2_500);
  });
}
