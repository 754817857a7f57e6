import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LoopLoad, type ProcessLoad } from './process-load.ts';
import type { Timings } from './provider-timings.ts';

/**
 * Vendors on loopback, in a process of their own: transcriptions, chat completions and speech as OpenAI's HTTP interface has them,
 * each as fast as it is told to be; every other request is the database's, which says that all is well.
 */
export interface VendorScript {
  timings: { [K in keyof Timings]: Timings[K] | null };
  /** What the caller is understood to say; `{code}` stands for a word of each transcript's own. */
  question: string;
  /** Length of the speech that holds all of it; 0: any does. Of less speech, less of it is understood. */
  questionMs: number;
  /** What the model answers. `{code}`: the word that it was asked about. */
  reply: string;
  /** Length of a spoken text; null: 15 characters a second. */
  speechMs: number | null;
}

/** Moments of one turn, by its code, in milliseconds of the machine's monotonic clock. */
export interface VendorMarks {
  transcript: number;
  modelAsked?: number;
  modelAnswered?: number;
  speechAsked?: number;
  speechAnswered?: number;
}

export type VendorMessage =
  | { type: 'listening'; port: number }
  | { type: 'marks'; marks: Record<string, VendorMarks>; load: ProcessLoad };

const PCM_BYTES_PER_MS = 48;
/** Length of the pieces in which speech comes. */
const PIECE_MS = 100;
/** Speech is what is loud, in frames of this length. */
const FRAME_MS = 20;
const LOUD = 500;

const script = JSON.parse(process.argv[2] ?? '') as VendorScript;
// JSON has no Infinity.
const timings = Object.fromEntries(
  Object.entries(script.timings).map(([name, value]) => [name, value ?? Number.POSITIVE_INFINITY]),
) as unknown as Timings;
const marks = new Map<string, VendorMarks>();
let codes = 0;
const load = new LoopLoad();
const now = () => Number(process.hrtime.bigint()) / 1e6;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const path = request.url ?? '';
    if (path === '/v1/audio/transcriptions') transcribe(body, response);
    else if (path === '/v1/chat/completions') complete(JSON.parse(body.toString()), response);
    else if (path === '/v1/audio/speech') speak(JSON.parse(body.toString()), response);
    else response.writeHead(200, { 'Content-Type': 'application/json' }).end('true');
  });
});
// A connection that a vendor closes just when it is used again would cost a retry.
server.keepAliveTimeout = 600_000;
await once(server.listen(0, '127.0.0.1'), 'listening');
tell({ type: 'listening', port: (server.address() as AddressInfo).port });

process.on('message', (message) => {
  if (message === 'begin') {
    marks.clear();
    load.begin();
  } else if (message === 'end') {
    tell({ type: 'marks', marks: Object.fromEntries(marks), load: load.end() });
  }
});
process.once('disconnect', () => process.exit(0));

function tell(message: VendorMessage): void {
  process.send?.(message);
}

function transcribe(body: Buffer, response: ServerResponse): void {
  const code = nextCode();
  const words = script.question.split(' ');
  const heard = script.questionMs === 0 ? 1 : speechMs(body) / script.questionMs;
  const text = words.slice(0, Math.max(1, Math.floor(heard * words.length))).join(' ');
  after(timings.speechToTextMs, () => {
    marks.set(code, { transcript: now() });
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ text: text.replace('{code}', code) }));
  });
}

interface Completion {
  stream?: boolean;
  messages: { role: string; content: string }[];
}

function complete({ stream, messages }: Completion, response: ServerResponse): void {
  const code = codeIn(messages.findLast(({ role }) => role === 'user')?.content ?? '');
  note(code, 'modelAsked');
  const reply = script.reply.replace('{code}', code);
  const tokens = tokensOf(reply);
  const tokenMs = 1000 / timings.tokensPerSecond;
  if (stream !== true) {
    after(timings.firstTokenMs + (tokens.length - 1) * tokenMs, () => {
      note(code, 'modelAnswered');
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(
        JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: reply } }] }),
      );
    });
    return;
  }
  const deltas = tokens.map((token) => sse([{ index: 0, delta: { content: token }, finish_reason: null }]));
  const ending =
    sse([{ index: 0, delta: {}, finish_reason: 'stop' }]) +
    sse([], { prompt_tokens: 100, completion_tokens: tokens.length, total_tokens: 100 + tokens.length }) +
    'data: [DONE]\n\n';
  inPieces(response, 'text/event-stream', timings.firstTokenMs, tokenMs, [...deltas, ending], () =>
    note(code, 'modelAnswered'),
  );
}

function speak({ input }: { input: string }, response: ServerResponse): void {
  const code = codeIn(input);
  note(code, 'speechAsked');
  const ms = script.speechMs ?? (input.length * 1000) / 15;
  const piece = tone(PIECE_MS);
  const pieces = Array.from({ length: Math.ceil(ms / PIECE_MS) }, () => piece);
  inPieces(response, 'audio/pcm', timings.firstAudioMs, PIECE_MS / timings.timesRealTime, pieces, () =>
    note(code, 'speechAnswered'),
  );
}

/** Sends pieces against absolute deadlines, or all together; `onFirst` is called with the first. */
function inPieces(
  response: ServerResponse,
  type: string,
  firstMs: number,
  gapMs: number,
  pieces: readonly (string | Uint8Array)[],
  onFirst: () => void,
): void {
  const start = now();
  let sent = 0;
  const send = () => {
    if (response.destroyed) return;
    if (sent === 0) {
      onFirst();
      response.writeHead(200, { 'Content-Type': type });
    }
    do response.write(pieces[sent++]!);
    while (sent < pieces.length && start + firstMs + sent * gapMs <= now());
    if (sent === pieces.length) response.end();
    else after(start + firstMs + sent * gapMs - now(), send);
  };
  after(firstMs, send);
}

function after(ms: number, act: () => void): void {
  if (ms <= 0) act();
  else setTimeout(act, ms);
}

function sse(choices: unknown[], usage: object | null = null): string {
  const base = { id: 'bench', object: 'chat.completion.chunk', created: 0, model: 'bench' };
  return `data: ${JSON.stringify({ ...base, choices, usage })}\n\n`;
}

/** Words with the space before them, and punctuation: some one token each. */
function tokensOf(text: string): string[] {
  return text.match(/\s?[\p{L}\p{N}'-]+|[^\s\p{L}\p{N}]/gu) ?? [text];
}

/** Length of the speech in the WAV file of a multipart body. */
function speechMs(body: Buffer): number {
  const start = body.indexOf('RIFF');
  if (start < 0) throw new Error('a transcription was asked for without a WAV file');
  const frameBytes = (body.readUInt32LE(start + 28) * FRAME_MS) / 1000;
  const end = start + 44 + body.readUInt32LE(start + 40);
  let frames = 0;
  for (let at = start + 44; at + frameBytes <= end; at += frameBytes) {
    for (let i = at; i < at + frameBytes; i += 2) {
      if (Math.abs(body.readInt16LE(i)) < LOUD) continue;
      frames++;
      break;
    }
  }
  return frames * FRAME_MS;
}

/** A word that no other transcript has, of syllables that mean nothing. */
function nextCode(): string {
  const syllables = 70;
  let rest = codes++ * 7_919;
  let word = '';
  for (let i = 0; i < 3; i++) {
    const syllable = rest % syllables;
    rest = Math.floor(rest / syllables);
    word += 'bdfgklmnprstvz'.charAt(Math.floor(syllable / 5)) + 'aeiou'.charAt(syllable % 5);
  }
  return word;
}

function codeIn(text: string): string {
  return text.match(/\p{L}+/gu)?.find((word) => marks.has(word)) ?? '';
}

function note(code: string, mark: keyof VendorMarks): void {
  const found = marks.get(code);
  if (found !== undefined) found[mark] ??= now();
}

function tone(ms: number): Buffer {
  const samples = Int16Array.from(
    { length: 24 * ms },
    (_, i) => 6_000 * Math.sin((2 * Math.PI * 200 * i) / 24_000),
  );
  const bytes = Buffer.from(samples.buffer);
  if (bytes.length !== ms * PCM_BYTES_PER_MS) throw new Error('the tone has the wrong length');
  return bytes;
}
