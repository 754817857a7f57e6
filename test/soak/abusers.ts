import { WebSocket } from 'ws';
import { closeCodes, errorCodes, nativeLimits } from '../../src/dialects/native-messages.ts';
import type { Call } from '../../tools/caller/call.ts';
import { type Message, malformed, tooLarge } from '../support/malformed-messages.ts';
import { seeded } from '../support/random.ts';
import { type Conversation, noCall, type Scene, urlOf } from './conversation.ts';
import type { Expected, Knock, Told } from './facts.ts';
import type { Abuse, CallPlan } from './plan.ts';

type AbuserPlan = Extract<CallPlan, { kind: 'abuser' }>;

/** Messages of each kind, and the pace at which those come that must not count as a flood. */
const MALFORMED = 30;
const BABBLE = 150;
const TOO_LARGE = 5;
const PACE_MS = 10;
/** A full bucket of messages, and as many again: see `src/call/message-rate.ts`. */
const FLOOD = 6_000;
/** Twice what may be ahead of real time (`MAX_AUDIO_AHEAD`), in frames of the longest that is allowed. */
const FAST_FRAMES = 60;
/** The service's answer to whatever was sent. */
const ANSWER_MS = 10_000;
/** `START_TIMEOUT`, and a busy machine. */
const HALF_OPEN_MS = 45_000;
const CALM_MS = 1_500;

const hungUp = { logged: true, reason: 'hangup', close: closeCodes.ended };
const notBegun = { logged: false, reason: '', close: closeCodes.ended };
const bad = ['BAD_MESSAGE', 'BAD_AUDIO', 'TOO_LARGE'];
/** What is on its way when a call is ended tells of the abuse as well. */
const expectations: Record<Abuse, Expected> = {
  malformed: { ...hungUp, errors: { must: ['BAD_MESSAGE'], may: [...bad, 'ALREADY_STARTED'] } },
  babble: {
    logged: true,
    reason: 'protocol',
    close: closeCodes.badMessages,
    errors: { must: ['BAD_MESSAGE'], may: [...bad, 'ALREADY_STARTED'] },
  },
  'too large': { ...hungUp, errors: { must: ['TOO_LARGE'], may: [] } },
  'too fast': {
    logged: true,
    reason: 'protocol',
    close: closeCodes.tooFast,
    errors: { must: ['TOO_FAST'], may: [] },
  },
  flood: {
    logged: true,
    reason: 'protocol',
    close: closeCodes.tooFast,
    errors: { must: ['TOO_FAST'], may: [] },
  },
  'wrong order': { ...notBegun, errors: { must: ['NOT_STARTED'], may: ['BAD_MESSAGE'] } },
  'half-open': { ...notBegun, close: closeCodes.timeout, errors: { must: ['TIMEOUT'], may: [] } },
  'second start': { ...hungUp, errors: { must: ['ALREADY_STARTED'], may: [] } },
  'stolen id': { ...hungUp, errors: { must: [], may: [] } },
  'other id': { ...notBegun, close: closeCodes.refused, errors: { must: ['CALL_ID_MISMATCH'], may: [] } },
};

/** How the contract has an abuse end. */
export function expectedOfAbuse(abuse: Abuse): Expected {
  return expectations[abuse];
}

export async function abuse(scene: Scene, plan: AbuserPlan, conversation: Conversation): Promise<Told> {
  const random = seeded(plan.seed);
  const { callId } = conversation;
  const start = startOf(callId, plan);
  const own = `${urlOf(scene)}?callId=${callId}`;
  const placed = (script: (call: Call) => Promise<void>) =>
    conversation.place(async (call) => {
      await call.waitForGreeting();
      await script(call);
    });
  switch (plan.abuse) {
    case 'malformed':
      return placed((call) => send(call, MALFORMED, () => malformed(random)));
    case 'babble':
      return placed(async (call) => {
        await send(call, BABBLE, () => malformed(random));
        await call.waitUntil(() => call.over, ANSWER_MS);
      });
    case 'too large':
      return placed(async (call) => {
        await send(call, TOO_LARGE, () => tooLarge(random));
        await call.pause(CALM_MS);
      });
    case 'too fast':
      return placed(async (call) => {
        const frame = longestFrame(plan);
        await send(call, FAST_FRAMES, () => frame);
        await call.waitUntil(() => call.over, ANSWER_MS);
      });
    case 'flood':
      return placed(async (call) => {
        for (let i = 0; i < FLOOD; i++) call.sendRaw('{"type":"mark","name":"flood"}');
        await call.waitUntil(() => call.over, ANSWER_MS);
      });
    case 'second start':
      return placed(async (call) => {
        call.sendRaw(start);
        await call.pause(CALM_MS);
      });
    case 'stolen id':
      return placed(async (call) => {
        const thief = (resumeToken?: string) =>
          knock(own, [startOf(callId, { ...plan, user: 'thief' }, resumeToken)], ANSWER_MS);
        const expected = { error: 'CALL_ID_IN_USE', close: closeCodes.callIdInUse };
        for (const token of [undefined, 'a token of my own'])
          conversation.knocks.push({ expected, ...(await thief(token)) });
        await call.pause(CALM_MS);
      });
    case 'wrong order': {
      const garbage = Uint8Array.from({ length: 320 }, () => random.whole(256));
      const audio = JSON.stringify({ type: 'audio', data: 'AAAA' });
      const key = JSON.stringify({ type: 'dtmf', digit: '5' });
      const messages = [audio, key, garbage, 'no JSON', JSON.stringify({ type: 'end_call' })];
      return strange(callId, () => knock(own, messages, ANSWER_MS));
    }
    case 'half-open':
      return strange(callId, () => knock(own, [], HALF_OPEN_MS));
    case 'other id':
      return strange(callId, () => knock(own, [startOf(`${callId}-other`, plan)], ANSWER_MS));
  }
}

/** A socket that brings no call. */
async function strange(callId: string, open: () => Promise<Omit<Knock, 'expected'>>): Promise<Told> {
  const beganAt = performance.now();
  const { errors, close } = await open();
  return { ...noCall(callId), errors, close, failure: null, beganAt, endedAt: performance.now(), knocks: [] };
}

async function send(call: Call, count: number, message: () => Message): Promise<void> {
  for (let i = 0; i < count && !call.over; i++) {
    call.sendRaw(message());
    await call.waitUntil(() => call.over, PACE_MS);
  }
}

/** Silence, as long as one message may hold, in the call's own form. */
function longestFrame({ wire }: AbuserPlan): Message {
  const bytesOfSample = wire.encoding === 'l16' ? 2 : 1;
  const bytes = new Uint8Array((wire.sampleRate * nativeLimits.frameMs * bytesOfSample) / 1000);
  // Of μ-law and A-law; of L16 it is no silence, and nobody minds.
  bytes.fill(0xff);
  if (wire.transport === 'binary') return bytes;
  return JSON.stringify({ type: 'audio', data: Buffer.from(bytes).toString('base64') });
}

function startOf(
  callId: string,
  { user, wire }: Pick<AbuserPlan, 'user' | 'wire'>,
  resumeToken?: string,
): string {
  const { transport, encoding, sampleRate } = wire;
  const audio = { transport, encoding, sampleRate };
  return JSON.stringify({
    type: 'start_call',
    callId,
    userId: user,
    audio,
    ...(resumeToken === undefined ? {} : { resumeToken }),
  });
}

/** Opens a socket, says something, and waits until it is closed. */
function knock(
  url: string,
  messages: readonly Message[],
  withinMs: number,
): Promise<Omit<Knock, 'expected'>> {
  return new Promise((resolve) => {
    const errors: string[] = [];
    const socket = new WebSocket(url, { handshakeTimeout: ANSWER_MS, perMessageDeflate: false });
    const finish = (close: number | null) => {
      clearTimeout(timer);
      resolve({ errors, close });
      socket.terminate();
    };
    const timer = setTimeout(() => finish(null), withinMs);
    socket.on('open', () => {
      for (const message of messages) socket.send(message);
    });
    socket.on('message', (data, binary) => {
      const code = binary
        ? undefined
        : errorCodes.find((known) => String(data).includes(`"code":"${known}"`));
      if (code !== undefined) errors.push(code);
    });
    socket.on('error', () => {});
    socket.on('close', (code) => finish(code));
  });
}
