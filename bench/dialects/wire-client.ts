import { once } from 'node:events';
import { WebSocket } from 'ws';
import { messagesOf, wires } from './wires.ts';

/** Keeps calls that speak one wire on the service, in a process of its own: each message when its audio has been spoken. */
export interface WireTask {
  port: number;
  /** Of the wire. */
  name: string;
  calls: number;
  /** Before it is measured: compiling, first tables, first rows. */
  warmUpSeconds: number;
  seconds: number;
}

export type WireMessage = { type: 'begin' } | { type: 'end'; frames: number; closed: number };

const FRAME_MS = 20;
/** Before a call that was taken has begun. */
const BEGUN_MS = 1_000;
const OPEN_MS = 15_000;

const task = JSON.parse(process.argv[2] ?? '') as WireTask;
const wire = wires.find(({ name }) => name === task.name)!;
const warmUp = (task.warmUpSeconds * 1_000) / wire.frameMs;
const messages = messagesOf(wire, 'quiet', warmUp + (task.seconds * 1_000) / wire.frameMs);
const tell = (message: WireMessage) => process.send?.(message);
let closed = 0;

process.once('disconnect', () => process.exit(0));

const sockets = await Promise.all(Array.from({ length: task.calls }, (_, i) => open(i)));
await new Promise((resolve) => setTimeout(resolve, BEGUN_MS));
const start = performance.now();
for (const [tick, message] of messages.entries()) {
  // Absolute deadlines: a late tick does not delay the ones after it.
  const wait = start + tick * wire.frameMs - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  if (tick === warmUp) tell({ type: 'begin' });
  for (const socket of sockets) socket.send(message);
}
// What was sent last is still to be taken.
await new Promise((resolve) => setTimeout(resolve, 500));
tell({ type: 'end', frames: (task.calls * task.seconds * 1_000) / FRAME_MS, closed });
// The parent has all there is, and ends this process.

async function open(number: number): Promise<WebSocket> {
  const callId = `bench-${number}`;
  const query = new URLSearchParams({ ...wire.query, callId, userId: 'bench' });
  const socket = new WebSocket(`ws://127.0.0.1:${task.port}/ws/${wire.path}?${query}`, {
    perMessageDeflate: false,
    handshakeTimeout: OPEN_MS,
  });
  socket.on('close', () => closed++);
  await once(socket, 'open');
  for (const message of wire.start(callId)) socket.send(message);
  return socket;
}
