import { describe, expect, it } from 'vitest';
import { defaultSilence } from '../../../src/call/agent-config.ts';
import { outcomeOf, type TransferReport } from '../../../src/call/transfer.ts';
import type { Message } from '../../../src/providers/ports.ts';
import { transferCall } from '../../../src/tools/built-in.ts';
import { createCallWithTools, spoken, toolCall } from '../../support/call-with-tools.ts';
import { anotherLeg, remains } from '../../support/lost-call.ts';

type TestCall = ReturnType<typeof createCallWithTools>;
type Options = NonNullable<Parameters<typeof createCallWithTools>[1]>;

const options = {
  destinations: [{ name: 'desk', to: '+493012345' }],
  prefixes: [],
  ringSeconds: 30,
  failedLine: '',
};
const desk = () => [transferCall(options)];
/** What the agent has of its own to say. */
const withLine = {
  builtIn: {
    hangUp: false,
    pressDigits: false,
    transfer: { ...options, failedLine: 'Nobody is at the desk.' },
  },
  http: [],
};

/** Connects whoever asks for the desk, and says what it is told of transfers. */
const script = {
  transcripts: ['The desk, please.', 'And now?', 'The desk again.', 'And again.'],
  answer: (messages: readonly Message[]) => {
    const last = messages.at(-1);
    if (last?.role === 'tool') return ['I will connect you now.'];
    if (last?.role === 'system') return [`Told: ${/: (.+?)\./.exec(String(last.content))?.[1]}.`];
    return /desk|again/i.test(String(last?.content))
      ? [toolCall('transfer_call', { to: 'desk' }, `id-${messages.length}`)]
      : ['Now we talk on.'];
  },
};

const quiet = { ...defaultSilence, promptMs: 600_000, holdLine: '' };

/** A call whose caller hears ringing. */
async function ringing(tools = desk, more: Options = {}): Promise<TestCall> {
  const call = createCallWithTools(tools, { script, ...more, agent: { silence: quiet, ...more.agent } });
  await call.start();
  await call.speak(600);
  await call.silence(3_000);
  expect(call.leg.actions.filter((action) => action.startsWith('transfer'))).toEqual(['transfer +493012345']);
  call.from.transfer({ state: 'ringing' });
  return call;
}

const outcomesOf = (call: TestCall) =>
  call.ofType('transfer').flatMap((event) => (event.state === 'over' ? [event.transfer] : []));
const busy: TransferReport = { state: 'failed', cause: 'USER_BUSY', sipStatus: 486 };

/** Loudest sample of a side of the recording between two times of the call. */
function loudest(call: TestCall, side: 'caller' | 'agent', fromMs: number, toMs: number): number {
  let most = 0;
  for (const chunk of call.chunks) {
    const samples = chunk[side];
    for (let i = 0; samples !== null && i < samples.length; i++) {
      const ms = (chunk.index * 8 * 1_600 + i) / 8;
      if (ms >= fromMs && ms < toMs) most = Math.max(most, Math.abs(samples[i]!));
    }
  }
  return most;
}

describe('a transfer that is answered', () => {
  it('ends the call for us: the node keeps the caller, and is not told to hang up', async () => {
    const call = await ringing();
    await call.silence(4_000);
    call.from.transfer({ state: 'answered' });
    await call.clock.advance(0);
    expect(call.leg.closed).toBe('transferred');
    expect(call.leg.actions).not.toContain('hang up');
    expect(call.ofType('call.closed')).toMatchObject([{ reason: 'transferred', status: 'ended' }]);
    const [transfer] = outcomesOf(call);
    expect(transfer).toMatchObject({ to: '+493012345', outcome: 'answered', cause: null, sipStatus: null });
    expect(transfer!.endedAt - transfer!.ringingAt!).toBe(4_000);
    expect(spoken(call)).toEqual(['I will connect you now.']);
    expect(call.clock.pending).toBe(0);
  });
});

describe('while it rings', () => {
  it('nobody hears the caller: nothing is transcribed, the recording has silence, keys are ignored', async () => {
    const call = await ringing();
    const [from, asked] = [call.elapsed(), call.asked.messages.length];
    await call.speak(5_000);
    call.from.dtmf('5', 100);
    call.from.interrupt();
    await call.speak(1_000);
    const to = call.elapsed();
    call.from.transfer(busy);
    await call.silence(3_000);
    expect(call.ofType('transcript').filter(({ role }) => role === 'caller')).toHaveLength(1);
    expect(call.ofType('dtmf')).toEqual([]);
    expect(call.ofType('overlap')).toEqual([]);
    expect(call.asked.messages).toHaveLength(asked + 1);
    call.from.hangUp();
    await call.clock.advance(0);
    expect(loudest(call, 'caller', from, to)).toBe(0);
    expect(loudest(call, 'caller', 0, from)).toBe(1_000);
  });

  it('the agent says nothing, neither of the silence nor because an answer is late', async () => {
    const call = await ringing(desk, {
      agent: { silence: { ...defaultSilence, promptMs: 2_000, hangUpMs: 2_000 } },
    });
    const said = call.leg.said.length;
    await call.silence(20_000);
    expect(call.leg.said).toHaveLength(said);
    expect(call.leg.closed).toBeNull();
  });

  it('a leg that sends nothing is not idle', async () => {
    const call = await ringing();
    await call.clock.advance(38_000);
    expect(call.leg.closed).toBeNull();
  });

  it('a machine that had answered is told nothing of one that failed: it has the message', async () => {
    const machineDetection = { onMachine: 'leave message' as const, message: 'Please call us back.' };
    const call = createCallWithTools(desk, { script, agent: { silence: quiet, machineDetection } });
    await call.start({ metadata: { direction: 'outbound' } });
    await call.speak(600);
    await call.silence(3_000);
    expect(call.leg.actions).toEqual(['transfer +493012345']);
    call.from.answeredBy('machine', 1);
    await call.silence(3_000);
    call.from.transfer(busy);
    await call.silence(8_000);
    expect(spoken(call)).toEqual(['I will connect you now.', 'Please call us back.']);
    expect(call.leg.closed).toBe('answering machine');
  });

  it('is made, too, for the person whom the service has taken for a machine', async () => {
    const machineDetection = { onMachine: 'leave message' as const, message: 'Please call us back.' };
    const transcripts = ['The desk please since I have been waiting for my bicycle all week.'];
    const agent = { silence: quiet, machineDetection };
    const call = createCallWithTools(desk, { script: { ...script, transcripts }, agent });
    await call.start({ metadata: { direction: 'outbound' } });
    await call.speak(3_000);
    await call.silence(1_000);
    expect(call.ofType('answer.judged')).toMatchObject([{ verdict: 'machine' }]);
    call.from.answeredBy('human', 0.9);
    await call.silence(5_000);
    expect(call.leg.actions).toEqual(['transfer +493012345']);
  });

  it('the caller may hang up', async () => {
    const call = await ringing();
    call.from.hangUp();
    await call.clock.advance(0);
    expect(call.leg.closed).toBe('hangup');
    expect(call.leg.actions).toContain('hang up');
    expect(outcomesOf(call)).toMatchObject([{ outcome: 'abandoned' }]);
    const order = call.events.map(({ type }) => type);
    expect(order.lastIndexOf('transfer')).toBeLessThan(order.indexOf('call.ended'));
    expect(call.clock.pending).toBe(0);
  });

  it('the longest call ends all the same', async () => {
    const limits = { callMs: 12_000, startMs: 30_000, idleMs: 30_000, aheadMs: 30_000, graceMs: 30_000 };
    const call = await ringing(desk, { call: { limits: { ...limits, messagesPerSecond: 200 } } });
    await call.clock.advance(12_000);
    expect(call.leg.closed).toBe('time limit');
    expect(call.leg.actions).toContain('hang up');
    expect(outcomesOf(call)).toMatchObject([{ outcome: 'abandoned' }]);
  });
});

describe('a caller who is back', () => {
  it.each([
    ['busy', busy, 'the line is busy'],
    ['no answer', { state: 'failed', cause: 'NO_ANSWER' }, 'nobody answered'],
    ['declined', { state: 'failed', cause: 'CALL_REJECTED', sipStatus: 603 }, 'they declined the call'],
    ['unreachable', { state: 'failed', sipStatus: 503 }, 'they cannot be reached at the moment'],
    ['failed', { state: 'failed' }, 'it is not known why'],
  ] as const)(
    'is told why, before he says anything, and the call goes on: %s',
    async (outcome, report, why) => {
      const call = await ringing();
      await call.silence(3_000);
      call.from.transfer(report);
      await call.silence(3_000);
      expect(spoken(call)).toEqual(['I will connect you now.', `Told: ${why}.`]);
      expect(outcomesOf(call)).toMatchObject([{ outcome }]);
      // The model does not know the number, so that it does not say it.
      expect(JSON.stringify(call.asked.messages.at(-1)?.at(-1))).not.toContain('12345');
      await call.speak(600);
      await call.silence(3_000);
      expect(spoken(call).at(-1)).toBe('Now we talk on.');
      expect(call.transcript()).toEqual([
        'caller: The desk, please.',
        'agent: I will connect you now.',
        `agent: Told: ${why}.`,
        'caller: And now?',
        'agent: Now we talk on.',
      ]);
    },
  );

  it('hears the line that the operator has for it, and the model knows why', async () => {
    const call = await ringing(desk, { agent: { tools: withLine } });
    call.from.transfer(busy);
    await call.silence(3_000);
    expect(spoken(call)).toEqual(['I will connect you now.', 'Nobody is at the desk.']);
    await call.speak(600);
    await call.silence(3_000);
    expect(JSON.stringify(call.asked.messages.at(-1))).toContain('the line is busy');
    expect(spoken(call).at(-1)).toBe('Now we talk on.');
  });

  it('has not been forgotten where the leg tells nothing: it rings no longer than it may', async () => {
    const call = await ringing();
    await call.silence(37_000);
    expect(call.leg.actions).not.toContain('cancel transfer');
    await call.silence(6_000);
    expect(call.leg.actions).toContain('cancel transfer');
    expect(spoken(call).at(-1)).toBe('Told: nobody answered.');
    expect(outcomesOf(call)).toMatchObject([{ outcome: 'no answer', cause: null }]);
    expect(call.leg.closed).toBeNull();
  });

  it('may be connected again, but not for ever', async () => {
    const call = await ringing(desk, {
      script: { ...script, transcripts: Array<string>(8).fill('The desk, please.') },
    });
    for (let i = 0; i < 7; i++) {
      call.from.transfer(busy);
      await call.silence(3_000);
      await call.speak(600);
      await call.silence(4_000);
    }
    expect(call.leg.actions.filter((action) => action.startsWith('transfer'))).toHaveLength(5);
    expect(outcomesOf(call)).toHaveLength(5);
    expect(JSON.stringify(call.asked.messages.at(-1))).toContain('could not be transferred');
    expect(call.leg.closed).toBeNull();
  });
});

describe('what a leg tells that nobody has asked for', () => {
  it.each(['ringing', 'answered', 'failed'] as const)('is an error that harms nothing: %s', async (state) => {
    const call = createCallWithTools(desk, { script });
    await call.start();
    call.from.transfer({ state });
    expect(call.ofType('leg.error')).toMatchObject([{ code: 'BAD_MESSAGE' }]);
    expect(call.ofType('transfer')).toEqual([]);
    // Whoever it connects is not to have the caller.
    expect(call.leg.actions.includes('cancel transfer')).toBe(state !== 'failed');
    await call.speak(600);
    await call.silence(1_500);
    expect(spoken(call)).toEqual(['I will connect you now.']);
  });

  it('also where it comes twice, or late', async () => {
    const call = await ringing();
    call.from.transfer({ state: 'ringing' });
    call.from.transfer(busy);
    call.from.transfer(busy);
    call.from.transfer({ state: 'answered' });
    expect(call.ofType('leg.error')).toHaveLength(3);
    expect(outcomesOf(call)).toMatchObject([{ outcome: 'busy' }]);
    await call.silence(3_000);
    expect(spoken(call)).toEqual(['I will connect you now.', 'Told: the line is busy.']);
    expect(call.leg.closed).toBeNull();
  });

  it('before the call has started', () => {
    const call = createCallWithTools(desk, { script });
    call.from.transfer({ state: 'answered' });
    expect(call.ofType('leg.error')).toHaveLength(1);
    expect(call.leg.closed).toBeNull();
  });
});

describe('a socket that is lost while it rings', () => {
  it('and comes back: it still rings, and may be answered', async () => {
    const call = await ringing();
    call.call.disconnected(call.callLeg);
    await call.clock.advance(5_000);
    const leg = anotherLeg(call);
    call.call.attach(leg);
    await call.clock.advance(5_000);
    expect(leg.said).toEqual([]);
    call.from.transfer({ state: 'answered' });
    expect(leg.closed).toBe('transferred');
    expect(outcomesOf(call)).toMatchObject([{ outcome: 'answered' }]);
  });

  it.each([
    ['what has happened meanwhile', { state: 'failed', cause: 'NO_ANSWER' }],
    ['nothing', null],
  ] as const)(
    'longer than it may ring, comes back and tells %s: the caller is told then',
    async (_, report) => {
      const call = await ringing(desk, {
        call: {
          limits: {
            callMs: 300_000,
            startMs: 30_000,
            idleMs: 30_000,
            aheadMs: 30_000,
            graceMs: 60_000,
            messagesPerSecond: 200,
          },
        },
      });
      call.call.disconnected(call.callLeg);
      // Somebody may have answered: it is not known.
      await call.clock.advance(45_000);
      expect(outcomesOf(call)).toEqual([]);
      const leg = anotherLeg(call);
      call.call.attach(leg);
      await call.clock.advance(0);
      if (report !== null) call.from.transfer(report);
      await call.clock.advance(6_000);
      expect(outcomesOf(call)).toMatchObject([{ outcome: 'no answer' }]);
      expect(leg.said.filter((text) => text !== null)).toEqual(['Told: nobody answered.']);
      expect(call.leg.actions.includes('cancel transfer')).toBe(report === null);
    },
  );

  it('longer than it may ring, and answered meanwhile: nobody is cut off', async () => {
    const call = await ringing();
    await call.silence(25_000);
    call.call.disconnected(call.callLeg);
    await call.clock.advance(25_000);
    const leg = anotherLeg(call);
    call.call.attach(leg);
    await call.clock.advance(500);
    call.from.transfer({ state: 'answered' });
    expect(leg.closed).toBe('transferred');
    expect(call.leg.actions).not.toContain('cancel transfer');
  });

  it('for good: nobody knows how it came out', async () => {
    const call = await ringing();
    call.call.disconnected(call.callLeg);
    await call.clock.advance(31_000);
    expect(call.ofType('call.closed')).toMatchObject([{ reason: 'disconnected' }]);
    expect(outcomesOf(call)).toMatchObject([{ outcome: 'unknown' }]);
  });
});

describe('an object that is killed while it rings', () => {
  const next = async (first: TestCall, attach = true) => {
    const call = createCallWithTools(desk, {
      script: { ...script, transcripts: ['And now?'] },
      agent: { silence: quiet },
      startsAt: first.clock.now() + 1_000,
      call: { past: remains(first) },
    });
    await call.clock.advance(0);
    if (attach) call.call.attach(call.callLeg);
    await call.clock.advance(0);
    return call;
  };

  it('goes on with it: deaf and silent, until it is answered', async () => {
    const second = await next(await ringing());
    await second.speak(3_000);
    expect(second.leg.said).toEqual([]);
    expect(second.asked.messages).toEqual([]);
    second.from.transfer({ state: 'answered' });
    await second.clock.advance(0);
    expect(second.leg.closed).toBe('transferred');
    expect(outcomesOf(second)).toMatchObject([{ to: '+493012345', outcome: 'answered' }]);
  });

  it('goes on with it, until it fails: the caller is told', async () => {
    const second = await next(await ringing());
    await second.silence(3_000);
    second.from.transfer(busy);
    await second.silence(3_000);
    expect(spoken(second)).toEqual(['Told: the line is busy.']);
    await second.speak(600);
    await second.silence(3_000);
    expect(spoken(second).at(-1)).toBe('Now we talk on.');
  });

  it('after somebody has answered: the caller stays with them, and nobody says that it failed', async () => {
    const first = await ringing();
    first.from.transfer({ state: 'answered' });
    const second = await next(first);
    second.from.transfer({ state: 'answered' });
    await second.clock.advance(60_000);
    expect(second.leg.closed).toBe('transferred');
    expect(second.leg.actions).toEqual([]);
    expect(spoken(second)).toEqual([]);
    expect(second.ofType('call.closed')).toMatchObject([{ reason: 'transferred', status: 'ended' }]);
  });

  it('rings no longer in all than one that was not', async () => {
    const first = await ringing();
    await first.silence(20_000);
    const second = await next(first);
    await second.silence(15_000);
    expect(second.leg.actions).toEqual([]);
    await second.silence(6_000);
    expect(second.leg.actions).toContain('cancel transfer');
    expect(spoken(second)).toEqual(['Told: nobody answered.']);
  });

  it('killed after it failed and before a word of it was said, says it once', async () => {
    const first = await ringing();
    first.from.transfer(busy);
    const second = await next(first);
    await second.silence(3_000);
    expect(spoken(second)).toEqual(['Told: the line is busy.']);
    expect(outcomesOf(second)).toEqual([]);
    expect(second.leg.actions.filter((action) => action.startsWith('transfer'))).toEqual([]);
  });

  it('killed while it is said, does not say it anew', async () => {
    const first = await ringing();
    first.from.transfer(busy);
    await first.silence(400);
    const second = await next(first);
    await second.silence(3_000);
    expect(spoken(second)).toEqual(['Told: the line is busy.']);
    expect(second.asked.messages).toEqual([]);
  });
});

it.each([
  [undefined, 486, 'busy'],
  ['NORMAL_TEMPORARY_FAILURE', 603, 'declined'],
  ['CALL_REJECTED', 403, 'unreachable'],
  ['USER_BUSY', undefined, 'busy'],
  ['NO_USER_RESPONSE', 480, 'no answer'],
  ['constructor', undefined, 'unreachable'],
  ['RECOVERY_ON_TIMER_EXPIRE', 504, 'unreachable'],
  [undefined, undefined, 'failed'],
])('cause %s with SIP status %s is %s', (cause, status, outcome) => {
  expect(outcomeOf(cause, status)).toBe(outcome);
});
