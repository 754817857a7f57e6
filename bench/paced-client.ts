import { readFileSync } from 'node:fs';
import { WebSocket } from 'ws';
import { encodeMulaw } from '../src/audio/g711.ts';
import { kennedy } from '../test/support/human-clips.ts';
import { wavToSamples } from '../tools/caller/audio.ts';
import { quiet } from './caller-voice.ts';
import { LoopLoad, type ProcessLoad } from './process-load.ts';
import { pingWaits, quantile } from './statistics.ts';

/**
 * Keeps calls on a system's sockets, in a process of its own: 50 frames of 20 ms a second and call, at absolute deadlines, and a ping
 * a second and call, whose pong tells how long what was sent before it waited. Its parent says how many calls there are to be, and when
 * to measure.
 */
export interface PacedTask {
  url: string;
  wire: Wire;
  line: Line;
}

/** `native`: the service; `voice`: `agents/voice`; `plain`: nothing but frames. */
export type Wire = 'plain' | 'native' | 'voice';
/** Nobody speaks, or everybody half of the time: the 11 s of a recorded sentence, with its pauses, and as much silence. */
export type Line = 'quiet' | 'talking';

/** From the parent. */
export type PacedCommand =
  | { type: 'calls'; calls: number }
  | { type: 'begin' }
  | { type: 'end' }
  /** All calls are ended in order, or, with `abrupt`, by breaking their sockets. */
  | { type: 'hang up'; abrupt?: boolean };

/** To the parent. */
export type PacedMessage =
  | { type: 'ready'; calls: number }
  | ({ type: 'measured' } & PacedMeasurement)
  | { type: 'gone' }
  /** Not all calls that there were to be were taken: why not. Those that were taken stay. */
  | { type: 'refused'; reason: string }
  | { type: 'failed'; message: string };

export interface PacedMeasurement {
  frames: number;
  /** Frames and other messages that came back. */
  received: number;
  /** Milliseconds from each ping to its pong, or to the end where none has come and it is late already. */
  roundTrips: number[];
  /** Sockets that were closed or broken. */
  lost: number;
  /** Close codes and errors of those, the first few. */
  reasons: string[];
  load: ProcessLoad;
  /** How late the client itself sent its frames: 99 of 100 were less so. In milliseconds. */
  sendDelayP99Ms: number;
  seconds: number;
}

const FRAME_MS = 20;
/** Calls are out of step within a frame, in so many steps: the client does not do all its work at one moment. */
const STEP_MS = 2;
const STEPS = FRAME_MS / STEP_MS;
const PING_FRAMES = 50;
const PING_MS = PING_FRAMES * FRAME_MS;
/** One caller is so far in the sentence when the next one is at its beginning. */
const APART_FRAMES = 37;
/** Sockets that are opened at once. */
const OPENING = 25;
const OPEN_TIMEOUT_MS = 15_000;
/** What a socket that takes nothing more may hold; then it counts as lost. */
const MOST_BUFFERED = 1_000_000;
const REASONS = 5;

const task = JSON.parse(process.argv[2] ?? '') as PacedTask;
const now = () => performance.now();

const speech = framesOf(wavToSamples(readFileSync(kennedy().path), 8_000));
const silence = framesOf(quiet(8_000, speech.length * FRAME_MS));

class PacedCall {
  readonly #socket: WebSocket;
  readonly #number: number;
  #frame = 0;
  #pingAt: number | null = null;
  lost: string | null = null;

  constructor(socket: WebSocket, number: number) {
    this.#socket = socket;
    this.#number = number;
    socket.on('pong', () => {
      seen.roundTrips.push(...this.waits(now()));
      this.#pingAt = null;
    });
    socket.on('message', () => seen.received++);
    socket.on('error', (error) => this.#lose(error.message));
    socket.on('close', (code, reason) => this.#lose(`${code} ${String(reason)}`));
  }

  /**
   * How long the ping that is awaited has waited, and how long each that was due meanwhile would have: who asks less often the slower the
   * answers are would not see most of the slow ones.
   */
  waits(until: number): number[] {
    return this.#pingAt === null ? [] : pingWaits(this.#pingAt, until, PING_MS);
  }

  send(): void {
    if (this.lost !== null) return;
    const frame = this.#frame++;
    const at = frame + this.#number * APART_FRAMES;
    const speaks = task.line === 'talking' && Math.floor(at / speech.length) % 2 === 0;
    this.#socket.send((speaks ? speech : silence)[at % speech.length]!);
    seen.frames++;
    if ((frame + this.#number) % PING_FRAMES !== 0) return;
    if (this.#socket.bufferedAmount > MOST_BUFFERED) {
      this.#lose('it takes no more');
      return;
    }
    if (this.#pingAt !== null) return;
    this.#pingAt = now();
    this.#socket.ping();
  }

  hangUp(abrupt: boolean): Promise<void> {
    if (this.lost !== null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve());
      if (abrupt) this.#socket.terminate();
      else if (task.wire === 'native') this.#socket.send(JSON.stringify({ type: 'end_call' }));
      else this.#socket.close(1000);
      setTimeout(() => this.#socket.terminate(), OPEN_TIMEOUT_MS).unref();
    });
  }

  #lose(reason: string): void {
    if (this.lost !== null) return;
    this.lost = reason;
    this.#socket.terminate();
  }
}

const calls: PacedCall[] = [];
const seen = { frames: 0, received: 0, roundTrips: [] as number[] };
const load = new LoopLoad();
let late: number[] = [];
let since = now();
let named = 0;

process.on('message', (command: PacedCommand) => {
  obey(command).catch((error: unknown) => tell({ type: 'failed', message: String(error) }));
});
process.once('disconnect', () => process.exit(0));
void pace();

async function obey(command: PacedCommand): Promise<void> {
  if (command.type === 'calls') {
    while (calls.length < command.calls) {
      const missing = Math.min(OPENING, command.calls - calls.length);
      const opened = await Promise.allSettled(Array.from({ length: missing }, () => open(named++)));
      for (const result of opened) if (result.status === 'fulfilled') calls.push(result.value);
      const refused = opened.find((result) => result.status === 'rejected');
      if (refused !== undefined) {
        tell({ type: 'refused', reason: (refused.reason as Error).message });
        return;
      }
    }
    tell({ type: 'ready', calls: calls.length });
  } else if (command.type === 'begin') {
    Object.assign(seen, { frames: 0, received: 0, roundTrips: [] });
    late = [];
    since = now();
    load.begin();
  } else if (command.type === 'end') {
    tell({ type: 'measured', ...measured() });
  } else {
    const ending = calls.splice(0);
    await Promise.all(ending.map((call) => call.hangUp(command.abrupt === true)));
    tell({ type: 'gone' });
  }
}

function measured(): PacedMeasurement {
  const lost = calls.filter((call) => call.lost !== null);
  const until = now();
  // Of what is still on its way only what is late already is known to be.
  const waiting = calls.flatMap((call) => call.waits(until)).filter((ms) => ms > FRAME_MS);
  return {
    frames: seen.frames,
    received: seen.received,
    roundTrips: [...seen.roundTrips, ...waiting],
    lost: lost.length,
    reasons: [...new Set(lost.map(({ lost: reason }) => reason ?? ''))].slice(0, REASONS),
    load: load.end(),
    sendDelayP99Ms: quantile(late, 0.99),
    seconds: (now() - since) / 1_000,
  };
}

async function pace(): Promise<void> {
  const start = now();
  for (let step = 0; ; step++) {
    // Absolute deadlines: a late step does not delay the ones after it.
    const wait = start + step * STEP_MS - now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    late.push(Math.max(0, now() - start - step * STEP_MS));
    for (let i = step % STEPS; i < calls.length; i += STEPS) calls[i]!.send();
  }
}

function open(number: number): Promise<PacedCall> {
  const name = `bench-${process.pid}-${number}`;
  // Telephone servers do not offer compression, and small frames gain nothing by it.
  const socket = new WebSocket(task.wire === 'voice' ? `${task.url}/${name}` : task.url, {
    perMessageDeflate: false,
  });
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      socket.terminate();
      reject(new Error(`call ${number}: ${why}`));
    };
    const timer = setTimeout(() => fail('it was not taken in time'), OPEN_TIMEOUT_MS);
    socket.once('error', (error) => fail(error.message));
    socket.once('close', (code, reason) => fail(`closed with ${code} ${String(reason)}`));
    socket.on('message', function onMessage(data, binary) {
      if (binary || !/"listening"|"Listening"/.test(String(data))) return;
      clearTimeout(timer);
      socket.removeAllListeners();
      resolve(new PacedCall(socket, number));
    });
    socket.once('open', () => {
      if (task.wire === 'native') socket.send(startOf(name));
      if (task.wire === 'voice')
        socket.send(JSON.stringify({ type: 'start_call', preferred_format: 'pcm16' }));
    });
  });
}

function startOf(callId: string): string {
  return JSON.stringify({
    type: 'start_call',
    callId,
    userId: 'bench',
    audio: { transport: 'binary', encoding: 'mulaw', sampleRate: 8000 },
  });
}

function framesOf(samples: Int16Array): Uint8Array[] {
  const length = (8_000 * FRAME_MS) / 1_000;
  const count = Math.floor(samples.length / length);
  return Array.from({ length: count }, (_, i) => encodeMulaw(samples.slice(i * length, (i + 1) * length)));
}

function tell(message: PacedMessage): void {
  process.send?.(message);
}
