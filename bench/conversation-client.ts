import { WebSocket } from 'ws';
import { encodeMulaw } from '../src/audio/g711.ts';
import { quiet, voice } from './caller-voice.ts';
import { LoopLoad, type ProcessLoad } from './process-load.ts';

/**
 * Holds conversations on many sockets, in a process of its own: sends paced audio, the same speech in every turn, and notes when the
 * first audio of each answer comes.
 */
export interface Conversations {
  url: string;
  /** `native`: the service; `voice`: `agents/voice`; `plain`: μ-law both ways, and nothing else. */
  wire: 'native' | 'voice' | 'plain';
  /** Length of a message of audio, in milliseconds. */
  frameMs: number;
  calls: number;
  /** From one caller's first word to the next caller's; 0: all speak at once. */
  apartMs: number;
  turns: number;
  speechMs: number;
  /** From one turn of a caller's to the next. */
  cycleMs: number;
  /** Turns of each call, and calls, at the start that are not measured. */
  warmUpTurns: number;
  warmUpCalls: number;
  /** An answer counts from the moment its question was understood: the code in the transcript tells which it is. */
  coded: boolean;
}

/** One measured turn, in milliseconds of the machine's monotonic clock; null: there was no answer. */
export interface ClientTurn {
  code: string | null;
  lastVoicedAt: number;
  firstAudioAt: number | null;
}

export type ClientMessage =
  | { type: 'begin' }
  | { type: 'end'; turns: ClientTurn[]; load: ProcessLoad; sendDelayP99Ms: number };

/** Callers are out of step within this time, in so many steps: the client does not do all its work at one moment. */
const STEP_MS = 2;
const STEPS = 10;
/** Silence before the first word. */
const LEAD_MS = 1_000;

const task = JSON.parse(process.argv[2] ?? '') as Conversations;
const now = () => Number(process.hrtime.bigint()) / 1e6;
const encode =
  task.wire === 'voice'
    ? (samples: Int16Array) => new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
    : encodeMulaw;
const sampleRate = task.wire === 'voice' ? 16_000 : 8_000;
const speech = voice(sampleRate, task.speechMs);
const frameSamples = (sampleRate / 1000) * task.frameMs;
const spoken = Array.from({ length: task.speechMs / task.frameMs }, (_, i) =>
  encode(speech.slice(i * frameSamples, (i + 1) * frameSamples)),
);
const silence = encode(quiet(sampleRate, task.frameMs));

class Caller {
  readonly turns: ClientTurn[] = [];
  readonly #socket: WebSocket;
  readonly #firstWordMs: number;
  readonly #measured: boolean;
  #turn: ClientTurn | null = null;

  constructor(socket: WebSocket, number: number) {
    this.#socket = socket;
    const apart = Math.round((number * task.apartMs) / task.frameMs) * task.frameMs;
    this.#firstWordMs = LEAD_MS + apart;
    this.#measured = number >= task.warmUpCalls;
    socket.on('message', (data, binary) => {
      const turn = this.#turn;
      if (turn === null) return;
      if (!binary) turn.code ??= codeOf(String(data));
      else if (!task.coded || turn.code !== null) turn.firstAudioAt ??= now();
    });
  }

  /** Sends the frame at this position of the line, in milliseconds. */
  send(atMs: number): void {
    const since = atMs - this.#firstWordMs;
    const turn = Math.floor(since / task.cycleMs);
    const inside = since - turn * task.cycleMs;
    const frame = turn >= 0 && turn < task.turns ? spoken[inside / task.frameMs] : undefined;
    this.#socket.send(frame ?? silence);
    if (frame === undefined || inside + task.frameMs < task.speechMs) return;
    // A frame is sent when its last sample has been spoken.
    this.#turn = { code: null, lastVoicedAt: now(), firstAudioAt: null };
    if (this.#measured && turn >= task.warmUpTurns) this.turns.push(this.#turn);
  }

  close(): void {
    this.#socket.terminate();
  }
}

const callers = await Promise.all(Array.from({ length: task.calls }, (_, i) => open(i)));
const load = new LoopLoad();
const late: number[] = [];
const lastWordMs = LEAD_MS + (task.calls - 1) * task.apartMs + task.turns * task.cycleMs;
const warmMs = LEAD_MS + task.warmUpTurns * task.cycleMs;
const start = now();
let begun = false;
for (let step = 0; step * STEP_MS < lastWordMs; step++) {
  // Absolute deadlines: a late step does not delay the ones after it.
  const wait = start + step * STEP_MS - now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  if (!begun && step * STEP_MS >= warmMs) {
    begun = true;
    load.begin();
    tell({ type: 'begin' });
  }
  if (begun) late.push(now() - start - step * STEP_MS);
  for (let i = step % STEPS; i < callers.length; i += STEPS) {
    const at = (step - (step % STEPS)) * STEP_MS;
    if (at % task.frameMs === 0) callers[i]!.send(at);
  }
}
tell({
  type: 'end',
  turns: callers.flatMap((caller) => caller.turns),
  load: load.end(),
  sendDelayP99Ms: late.sort((a, b) => a - b)[Math.floor(late.length * 0.99)] ?? 0,
});
process.once('message', () => {
  for (const caller of callers) caller.close();
  process.exit(0);
});

function tell(message: ClientMessage): void {
  process.send?.(message);
}

/** A transcript's word of its own: `Is the … wheel ready?` */
function codeOf(message: string): string | null {
  if (!/"type":"transcript"/.test(message) || /"final":false|"role":"a/.test(message)) return null;
  return /Is the (\p{L}+)/u.exec(message)?.[1] ?? null;
}

async function open(number: number): Promise<Caller> {
  const name = `bench-${process.pid}-${number}`;
  const socket = new WebSocket(task.wire === 'voice' ? `${task.url}/${name}` : task.url);
  const listening = new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the service hung up')));
    socket.on('message', (data, binary) => {
      if (!binary && /"listening"|"Listening"/.test(String(data))) resolve();
    });
  });
  socket.once('open', () => {
    if (task.wire === 'native') socket.send(startOf(name));
    if (task.wire === 'voice') socket.send(JSON.stringify({ type: 'start_call', preferred_format: 'pcm16' }));
  });
  await listening;
  return new Caller(socket, number);
}

function startOf(callId: string): string {
  return JSON.stringify({
    type: 'start_call',
    callId,
    userId: 'bench',
    audio: { transport: 'binary', encoding: 'mulaw', sampleRate: 8000 },
    features: ['transcript'],
  });
}
