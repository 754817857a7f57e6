import { once } from 'node:events';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { encodeMulaw } from '../../src/audio/g711.ts';
import { quiet, voice } from '../caller-voice.ts';
import { startVendors } from '../conversations.ts';
import { printTable } from '../statistics.ts';
import { bundleWorker, serve } from '../workerd.ts';

const CALLS = 4;
/** Longer than the intervals in which a call tells of itself: 45 s and 60 s. */
const SECONDS = 65;
const FRAME_MS = 20;
/** A question of two seconds each thirteen: five in a call. */
const TURN_MS = 13_000;
const SPEECH_MS = 2_000;
/** Until what is left of a call has been delivered. */
const DELIVERED_MS = 4_000;

const OPEN_MS = 15_000;
/** After the call's length. */
const CLOSED_MS = 30_000;

/** Incoming messages that are billed as one request: https://developers.cloudflare.com/durable-objects/platform/pricing/ */
const MESSAGES_A_REQUEST = 20;

/** Runs a few conversations against the service in workerd, and counts what is asked of objects, stores, database and vendors for a call. */
export async function measureCallBill(): Promise<object> {
  const vendors = await startVendors({
    timings: {
      speechToTextMs: 100,
      firstTokenMs: 100,
      tokensPerSecond: 100,
      firstAudioMs: 100,
      timesRealTime: 4,
    },
    question: 'Is the {code} wheel ready?',
    questionMs: 0,
    reply: 'The {code} wheel is ready. You can come for it until six.',
    speechMs: null,
  });
  const modules = bundleWorker(join(import.meta.dirname, '..', 'workers', 'counted.mjs'));
  const workerd = await serve(modules, {
    objects: {
      CALL_SESSION: 'CallSessionDO',
      METRICS: 'MetricsDO',
      USER_CALLS: 'UserCallsDO',
      PERMITS: 'PermitsDO',
    },
    text: {
      OPENAI_API_KEY: 'bench',
      OPENAI_BASE_URL: `${vendors.address}/v1`,
      SUPABASE_URL: vendors.address,
      SUPABASE_SERVICE_ROLE_KEY: 'bench',
      AUTH: 'none',
    },
  });
  try {
    const sent = await Promise.all(Array.from({ length: CALLS }, (_, i) => hold(workerd.port, i)));
    await new Promise((resolve) => setTimeout(resolve, DELIVERED_MS));
    const response = await fetch(`http://127.0.0.1:${workerd.port}/bench/counts`);
    const counts = (await response.json()) as Record<string, number>;
    const perCall = Object.entries(counts)
      .map(([what, times]) => [what, times / CALLS] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const of = (messages: 'messagesIn' | 'messagesOut') =>
      sent.reduce((sum, call) => sum + call[messages], 0) / CALLS;
    const billed = of('messagesIn') / MESSAGES_A_REQUEST;
    printTable([
      [`of a call of ${SECONDS} s, a turn each ${TURN_MS / 1_000} s`, 'times'],
      ['messages in', of('messagesIn').toFixed(1)],
      [`– billed as requests, ${MESSAGES_A_REQUEST} to one`, billed.toFixed(1)],
      ['messages out', of('messagesOut').toFixed(1)],
      ...perCall.map(([what, times]) => [what, times.toFixed(2)]),
    ]);
    return {
      ...{ calls: CALLS, seconds: SECONDS },
      ...{ messagesIn: of('messagesIn'), billedAsRequests: billed, messagesOut: of('messagesOut') },
      perCall: Object.fromEntries(perCall),
    };
  } finally {
    await workerd.stop();
    vendors.stop();
  }
}

async function hold(port: number, number: number): Promise<{ messagesIn: number; messagesOut: number }> {
  const seen = { messagesIn: 0, messagesOut: 0 };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/call-session?callId=bill-${number}`, {
    perMessageDeflate: false,
    handshakeTimeout: OPEN_MS,
  });
  const closed = once(socket, 'close', { signal: AbortSignal.timeout(SECONDS * 1_000 + CLOSED_MS) });
  // It is waited for at the end; what goes wrong before is heard of then.
  closed.catch(() => {});
  socket.on('message', () => seen.messagesOut++);
  await once(socket, 'open');
  const send = (message: string | Uint8Array) => {
    seen.messagesIn++;
    socket.send(message);
  };
  const audio = { transport: 'binary', encoding: 'mulaw', sampleRate: 8000 };
  send(JSON.stringify({ type: 'start_call', callId: `bill-${number}`, userId: 'bench', audio }));
  const spoken = encodeMulaw(voice(8_000, SPEECH_MS));
  const silence = encodeMulaw(quiet(8_000, FRAME_MS));
  const began = performance.now();
  for (let at = 0; at < SECONDS * 1_000; at += FRAME_MS) {
    const wait = began + at - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    // The greeting comes first.
    const inside = (at % TURN_MS) - (TURN_MS - SPEECH_MS - 6_000);
    const speaks = inside >= 0 && inside < SPEECH_MS;
    send(speaks ? spoken.subarray(8 * inside, 8 * (inside + FRAME_MS)) : silence);
  }
  send(JSON.stringify({ type: 'end_call' }));
  await closed;
  return seen;
}
