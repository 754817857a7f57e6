import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CallError } from '../../../tools/caller/errors.ts';
import { CallFailedError, placeCall } from '../../../tools/caller/place-call.ts';
import { runScript } from '../../../tools/caller/script.ts';
import type { CallOptions, CallReport } from '../../../tools/caller/types.ts';
import { freePort } from '../../support/ports.ts';
import { AgentDouble, type DoubleLeg } from './agent-double.ts';

let agent: AgentDouble;
beforeEach(async () => {
  agent = await AgentDouble.start();
});
afterEach(() => agent.close());

const ready = { type: 'status', status: 'ready', message: '' } as const;
const processing = { type: 'status', status: 'processing', message: '' } as const;
const parts = {
  endpointWaitMs: 60,
  processingMs: 5,
  providerMs: 35,
  totalMs: 100,
  providers: [],
  moments: { decided: 60, firstSent: 100 },
};

const speech = (ms: number) => new Int16Array(ms * 8).fill(8000);
const isVoiced = (samples: Int16Array) => samples.some((sample) => Math.abs(sample) > 1000);

function call(options: Partial<CallOptions> & Pick<CallOptions, 'script'>): Promise<CallReport> {
  return placeCall({ url: agent.url, timeoutMs: 3000, settleMs: 100, ...options });
}

async function failureOf(promise: Promise<unknown>): Promise<CallError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CallError);
  return error as CallError;
}

/** Greets, and answers after `silentFrames` without voice, as the real service does. */
function conversing(answer: (leg: DoubleLeg, turn: number) => void): void {
  const silentFrames = 3;
  let turn = 0;
  let silence = Number.NEGATIVE_INFINITY;
  agent.script = {
    onStart(leg) {
      leg.send({ ...ready, callId: leg.start.callId });
      leg.say('Hello.', 200);
      leg.send(ready);
    },
    onFrame(leg, samples) {
      if (isVoiced(samples)) silence = 0;
      else if (++silence === silentFrames) {
        turn += 1;
        leg.send(processing);
        leg.send({ type: 'transcript', role: 'caller', text: `question ${turn}`, final: true });
        leg.send({ type: 'latency', turn, ...parts });
        answer(leg, turn);
        leg.send(ready);
      }
    },
  };
}

describe.each(['json', 'binary'] as const)('#22 testing wanted: a scripted call over %s', (transport) => {
  test('hears the greeting out, asks, hears the answer out and hangs up', async () => {
    conversing((leg, turn) => {
      leg.say(`Answer ${turn}.`, 300);
      leg.say('Anything else?', 200);
    });
    const report = await call({
      transport,
      async script(standing) {
        await standing.waitForGreeting();
        for (const label of ['first', 'second']) {
          await standing.say(speech(200), label);
          await standing.waitForReply();
        }
      },
    });
    expect(report.callId).toBe(new URL(agent.requests[0]!.url!, agent.url).searchParams.get('callId'));
    expect(report.drops).toEqual([]);
    expect(report.resumeToken).toBe('token');
    expect(report.close).toEqual({ code: 1000, reason: 'hangup' });
    expect(report.greeting).toMatchObject({ text: 'Hello.', latencyMs: null, cutShort: false });
    expect(report.utterances.map(({ label, heardAs, reply }) => [label, heardAs, reply?.text])).toEqual([
      ['first', 'question 1', 'Answer 1. Anything else?'],
      ['second', 'question 2', 'Answer 2. Anything else?'],
    ]);
    for (const { reply, voicedEndMs, startMs } of report.utterances) {
      expect(reply?.service).toEqual(parts);
      // Three frames of silence, less what a busy machine was late with the frame before them.
      expect(reply!.latencyMs).toBeGreaterThan(0);
      expect(reply!.latencyMs).toBeLessThan(500);
      expect(reply!.endMs - reply!.startMs).toBeCloseTo(500, 0);
      expect(reply!.startMs).toBeGreaterThan(voicedEndMs);
      expect(startMs).toBeGreaterThanOrEqual(report.greeting!.endMs);
    }
    const [leg] = agent.legs;
    expect(leg!.start).toMatchObject({
      userId: 'caller',
      audio: { transport, encoding: 'mulaw', sampleRate: 8000 },
      features: ['clear', 'mark', 'transcript', 'latency', 'dtmf'],
    });
    expect(leg!.messages).toEqual([{ type: 'end_call' }]);
  });

  test('what was heard and said lies where it happened', async () => {
    conversing((leg) => leg.say('Yes.', 300, 6000));
    const report = await call({
      transport,
      async script(standing) {
        await standing.waitForGreeting();
        await standing.say(speech(200), 'q');
        await standing.waitForReply();
      },
    });
    const at = (samples: Int16Array, ms: number) => Math.abs(samples[Math.round(ms * 8)] ?? 0);
    const [utterance] = report.utterances;
    const reply = utterance!.reply!;
    expect(at(report.heard, reply.startMs - 5)).toBe(0);
    expect(at(report.heard, reply.startMs + 5)).toBeGreaterThan(5000);
    expect(at(report.heard, reply.endMs - 5)).toBeGreaterThan(5000);
    expect(report.heard.length).toBe(Math.round(reply.endMs * 8));
    expect(at(report.sent, utterance!.startMs + 5)).toBe(8000);
    expect(at(report.sent, utterance!.endMs - 5)).toBe(8000);
    expect(at(report.sent, utterance!.endMs + 5)).toBe(0);
  });
});

test('frames come at a telephone’s pace, silence between the utterances, none of it missing', async () => {
  const report = await call({
    async script(standing) {
      await standing.pause(400);
      await standing.say(speech(200), '');
      await standing.pause(400);
    },
  });
  const [leg] = agent.legs;
  const frames = leg!.frames;
  expect(frames.length).toBe(report.frames.sent);
  const lasted = frames.at(-1)!.at - frames[0]!.at;
  // As many as fit into the time, whatever this machine was busy with; a stall beyond half a second would skip some.
  expect(frames.length).toBeGreaterThanOrEqual(45);
  expect(Math.abs((frames.length - 1) * 20 + report.frames.slippedMs - lasted)).toBeLessThan(300);
  expect(frames.every(({ samples }) => samples.length === 160)).toBe(true);
  expect(frames.filter(({ samples }) => isVoiced(samples))).toHaveLength(10);
});

test('an interrupted agent is not heard after clear, and the answer to the interruption is told from its rest', async () => {
  let interrupted = false;
  agent.script = {
    onStart(leg) {
      leg.send(ready);
      leg.say('A very long greeting.', 5000, 3000);
      leg.send({ type: 'mark', name: 'greeting' });
    },
    onFrame(leg, samples) {
      if (interrupted || !isVoiced(samples)) return;
      interrupted = true;
      leg.send({ type: 'clear' });
      leg.send(processing);
      leg.say('Sorry?', 200, 6000);
      leg.send({ type: 'mark', name: 'sorry' });
      leg.send(ready);
    },
  };
  const report = await call({
    async script(standing) {
      await standing.waitForSpeech();
      await standing.pause(300);
      await standing.say(speech(100), 'stop');
      const reply = await standing.waitForReply();
      expect(reply.text).toBe('Sorry?');
      await standing.waitUntil(() => agent.legs[0]!.messages.length > 0);
    },
  });
  expect(report.playout.clears).toBe(1);
  const greetingMs = report.heard.filter((sample) => sample > 2000 && sample < 4000).length / 8;
  expect(greetingMs).toBeGreaterThan(200);
  expect(greetingMs).toBeLessThan(1500);
  expect(agent.legs[0]!.messages).toEqual([{ type: 'mark', name: 'sorry' }, { type: 'end_call' }]);
});

test('an agent that answers and hangs up has answered', async () => {
  agent.script = {
    onFrame(leg, samples, index) {
      if (index !== 20 || isVoiced(samples)) return;
      leg.send(processing);
      leg.say('Goodbye.', 100);
      leg.close(1000, 'agent hung up');
    },
  };
  const report = await call({
    async script(standing) {
      await standing.say(speech(200), 'bye');
      await standing.waitForReply();
    },
  });
  expect(report.utterances[0]!.reply).toMatchObject({ text: 'Goodbye.', cutShort: true });
  expect(report.close).toEqual({ code: 1000, reason: 'agent hung up' });
});

describe('a call fails with a reason', () => {
  const idle = async () => {};

  test('when nobody listens', async () => {
    const port = await freePort();
    const error = await failureOf(call({ url: `ws://127.0.0.1:${port}/ws/call-session`, script: idle }));
    expect(error.failure).toBe('connect');
    expect(error.message).toContain(String(port));
  });

  test('when the URL is none', async () => {
    expect((await failureOf(call({ url: 'not a url', script: idle }))).failure).toBe('connect');
  });

  test('when the upgrade is refused', async () => {
    agent.script = { refuse: 503 };
    expect(await failureOf(call({ script: idle }))).toMatchObject({ failure: 'refused', code: 503 });
  });

  test('when start_call is refused', async () => {
    agent.script = {
      onStart(leg) {
        leg.send({ type: 'error', code: 'CALL_ID_IN_USE', message: 'taken' });
        leg.close(4409, 'taken');
      },
    };
    expect(await failureOf(call({ script: idle }))).toMatchObject({
      failure: 'refused',
      code: 'CALL_ID_IN_USE',
    });
  });

  test('when the service never gets ready', async () => {
    agent.script = { onOpen: () => {} };
    expect(await failureOf(call({ timeoutMs: 200, script: idle }))).toMatchObject({ failure: 'timeout' });
  });

  test('when no answer comes, and what there was is reported', async () => {
    const error = await failureOf(
      call({
        timeoutMs: 400,
        async script(standing) {
          await standing.say(speech(100), 'anybody?');
          await standing.waitForReply();
        },
      }),
    );
    expect(error).toBeInstanceOf(CallFailedError);
    expect(error.failure).toBe('timeout');
    expect((error as CallFailedError).report.utterances).toMatchObject([{ label: 'anybody?', reply: null }]);
  });

  test('when the network breaks in the middle of an utterance', async () => {
    agent.script = {
      onFrame(leg, _, index) {
        if (index === 10) leg.terminate();
      },
    };
    const error = await failureOf(
      call({ resumeMs: 0, script: async (standing) => void (await standing.say(speech(2000), 'long')) }),
    );
    expect(error).toMatchObject({ failure: 'closed', code: 1006 });
    expect(agent.requests).toHaveLength(1);
  });

  test.each([
    ['no JSON', 'hello'],
    ['a message without a type', '{"status":"ready"}'],
    ['a known message of the wrong shape', '{"type":"status","status":"asleep","message":""}'],
    ['audio that is not base64', '{"type":"audio_response","audio":"***","text":""}'],
  ])('when the service sends %s', async (_, message) => {
    agent.script = {
      onFrame(leg, __, index) {
        if (index === 5) leg.sendRaw(message);
      },
    };
    const error = await failureOf(call({ script: (standing) => standing.pause(2000) }));
    expect(error.failure).toBe('protocol');
  });

  test('when it is cancelled, at once', async () => {
    const abort = new AbortController();
    agent.script = { onFrame: (_, __, index) => index === 5 && abort.abort(new Error('enough')) };
    const error = await failureOf(
      call({ signal: abort.signal, script: (standing) => standing.pause(60_000) }),
    );
    expect(error.failure).toBe('aborted');
  });

  test('when it lasts too long, even if its script waits for something else', async () => {
    const error = await failureOf(call({ maxCallMs: 200, script: () => new Promise<void>(() => {}) }));
    expect(error.failure).toBe('timeout');
  });

  test('when the service does not hang up', async () => {
    agent.script = { onMessage: () => {} };
    const error = await failureOf(call({ timeoutMs: 300, script: idle }));
    expect(error).toMatchObject({ failure: 'timeout' });
  });
});

describe('a line that is lost', () => {
  test.each([
    ['breaks', (leg: DoubleLeg) => leg.terminate(), 1006],
    ['is closed with an update of the service', (leg: DoubleLeg) => leg.close(1012, 'update'), 1012],
  ])('and %s is opened again, and the call goes on on it', async (_, lose, code) => {
    const resumed: number[] = [];
    agent.script = {
      onFrame(leg, __, index) {
        if (agent.legs.length > 1) return;
        if (index === 20) {
          leg.say('What was sent is heard.', 1000, 3000);
          leg.send({ type: 'mark', name: 'before' });
        }
        if (index === 25) lose(leg);
      },
      onStart(leg) {
        leg.send({ ...ready, message: 'The call goes on' });
        if (agent.legs.length === 1) return;
        leg.say('And so is the rest.', 200, 6000);
        leg.send({ type: 'mark', name: 'after' });
        leg.send(ready);
      },
    };
    const report = await call({
      callId: 'mine-2',
      userId: 'me',
      onEvent: (event) => event.type === 'resumed' && resumed.push(event.attempts),
      async script(standing) {
        const saying = standing.say(speech(3000), 'goes on talking');
        await standing.waitUntil(() => agent.legs[1]?.messages.length === 2);
        await saying;
      },
    });
    expect(report.close).toEqual({ code: 1000, reason: 'hangup' });
    expect(resumed).toEqual([1]);
    expect(report.drops).toMatchObject([{ code }]);
    const { atMs, lastedMs } = report.drops[0]!;
    expect(atMs).toBeGreaterThanOrEqual(400);
    expect(lastedMs).toBeGreaterThanOrEqual(100);
    // Its client is known by the same id, user, audio and the token.
    const [first, second] = agent.legs;
    const { resumeToken, ...start } = second!.start;
    expect(resumeToken).toBe('token');
    expect(start).toEqual(first!.start);
    expect(agent.requests.map(({ url }) => url)).toEqual(Array(2).fill('/ws/call-session?callId=mine-2'));
    // The playout was not cleared.
    expect(second!.messages).toEqual([
      { type: 'mark', name: 'before' },
      { type: 'mark', name: 'after' },
      { type: 'end_call' },
    ]);
    expect(report.heard.filter((sample) => sample > 2000 && sample < 4000).length).toBe(1000 * 8);
    expect(report.heard.filter((sample) => sample > 5000).length).toBe(200 * 8);
    // Frames went on in real time: those of the dead line are lost.
    const arrived = first!.frames.length + second!.frames.length;
    const lostMs = (report.frames.sent - arrived) * 20;
    expect(lostMs).toBeGreaterThan(0);
    expect(Math.abs(lostMs - lastedMs!)).toBeLessThan(150);
  });

  test('is opened again and again, later each time, while the service is away', async () => {
    agent.script = {
      onFrame(leg, _, index) {
        if (index !== 5 || agent.legs.length > 1) return;
        agent.script.refuse = 503;
        leg.terminate();
      },
    };
    const away = setInterval(() => {
      if (agent.requests.length === 4) delete agent.script.refuse;
    }, 1);
    const report = await call({
      resumeMs: 10_000,
      script: async (standing) => void (await standing.waitUntil(() => agent.legs.length === 2, 8000)),
    });
    clearInterval(away);
    expect(agent.requests.length).toBe(5);
    expect(report.drops).toHaveLength(1);
    // 200 + 400 + 800 + 1,600 ms, each at least half of it.
    expect(report.drops[0]!.lastedMs).toBeGreaterThanOrEqual(1500);
  });

  test('and does not come back in its time, ends the call with what there was of it', async () => {
    agent.script = {
      onFrame(leg, _, index) {
        if (index !== 5) return;
        agent.script.refuse = 503;
        leg.terminate();
      },
    };
    const error = await failureOf(call({ resumeMs: 700, script: (standing) => standing.pause(10_000) }));
    expect(error).toMatchObject({ failure: 'closed', code: 1006 });
    expect((error as CallFailedError).report.drops).toMatchObject([{ code: 1006, lastedMs: null }]);
  });

  test.each([
    ['refuses the one who comes back', (leg: DoubleLeg) => leg.close(4409, 'in use'), 4409],
    ['ended the call meanwhile', (leg: DoubleLeg) => leg.close(1000, 'over'), 1000],
  ])('is given up where the service %s', async (_, close, code) => {
    agent.script = {
      onFrame: (leg, __, index) => index === 5 && leg.terminate(),
      onStart: (leg) => (agent.legs.length === 1 ? leg.send(ready) : close(leg)),
    };
    const error = await failureOf(call({ script: (standing) => standing.pause(10_000) }));
    expect(error).toMatchObject({ failure: 'closed', code });
    expect(agent.legs).toHaveLength(2);
  });

  test('and brings a new call, is not taken for the old one', async () => {
    let opened = 0;
    agent.script = {
      onOpen: (send) => send({ ...ready, callId: 'c', resumeToken: `token ${++opened}` }),
      onFrame: (leg, __, index) => index === 5 && leg.terminate(),
    };
    const error = await failureOf(call({ script: (standing) => standing.pause(10_000) }));
    expect(error.failure).toBe('closed');
    expect(error.message).toContain('does not know the call');
    expect(agent.legs).toHaveLength(1);
  });

  test('is waited for by a caller who hangs up meanwhile, so that the service is told', async () => {
    agent.script = { onFrame: (leg, _, index) => index === 5 && agent.legs.length === 1 && leg.terminate() };
    const report = await call({
      script: async (standing) => void (await standing.waitUntil(() => standing.lineDown)),
    });
    expect(report.close).toEqual({ code: 1000, reason: 'hangup' });
    expect(agent.legs[1]!.messages).toEqual([{ type: 'end_call' }]);
  });
});

test('without resuming, the id is the one that the service announces', async () => {
  const report = await call({ resumeMs: 0, script: async () => {} });
  expect(report.callId).toBe('minted');
  expect(agent.requests[0]!.url).toBe('/ws/call-session');
});

test('a message of a newer service is passed over', async () => {
  agent.script = {
    onFrame(leg, _, index) {
      if (index === 5) leg.sendRaw('{"type":"sentiment","score":1}');
    },
  };
  const report = await call({ script: (standing) => standing.pause(300) });
  expect(report.close?.code).toBe(1000);
});

test('the id of the call goes into the URL and into start_call', async () => {
  await call({ callId: 'mine-1', script: async () => {} });
  expect(agent.requests[0]!.url).toBe('/ws/call-session?callId=mine-1');
  expect(agent.legs[0]!.start.callId).toBe('mine-1');
});

test('a script presses keys, and is stopped by an answer that it does not expect', async () => {
  conversing((leg) => leg.say('We open at nine.', 100));
  const script = (expect: string) => (standing: Parameters<CallOptions['script']>[0]) =>
    runScript(
      standing,
      [{ dtmf: '1#' }, { say: 'When do you open?', wait: true }, { expect }],
      async () => speech(100),
      2000,
    );
  await call({ script: script('NINE') });
  expect(agent.legs[0]!.messages).toEqual([
    { type: 'dtmf', digit: '1', durationMs: 160 },
    { type: 'dtmf', digit: '#', durationMs: 160 },
    { type: 'end_call' },
  ]);
  const error = await failureOf(call({ script: script('ten') }));
  expect(error.failure).toBe('unexpected');
  expect(error.message).toContain('We open at nine.');
});
