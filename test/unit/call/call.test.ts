import { describe, expect, it } from 'vitest';
import { type AgentConfig, defaultSilence } from '../../../src/call/agent-config.ts';
import { ProviderError } from '../../../src/providers/ports.ts';
import { createCall } from '../../support/call-harness.ts';

const outage = () =>
  new ProviderError('scripted/vendor', 'unavailable', 'The vendor is down', { status: 500 });

describe('the start of a call', () => {
  it('greets first, and listens when the greeting was heard', async () => {
    const call = createCall();
    await call.start();
    expect(call.leg.said[0]).toMatchObject({ at: 0, text: 'Hello there.' });
    expect(call.ofType('listening')).toEqual([]);
    await call.silence(1000);
    expect(call.transcript()).toEqual(['agent: Hello there.']);
    expect(call.ofType('listening').length).toBe(1);
  });

  it('waits for the caller where there is no greeting', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['Hi.'] } });
    await call.start();
    expect(call.ofType('listening').length).toBe(1);
    await call.speak(500);
    await call.silence(1500);
    expect(call.transcript()).toEqual(['caller: Hi.', 'agent: All right.']);
  });

  it('was when the first of the caller’s audio came, where that was before: the two sides stand aligned in the recording', async () => {
    const call = createCall({ agent: { greeting: '' } });
    await call.clock.advance(400);
    await call.start({ earlyMs: 400 });
    call.from.audio(new Int16Array(3_200).fill(7));
    await call.silence(200);
    expect(call.ofType('call.started')[0]?.call.startTime).toBe(call.clock.now() - 600);
    call.from.hangUp();
    await call.clock.advance(0);
    const caller = call.chunks.flatMap((chunk) => [...(chunk.caller ?? [])]);
    expect([caller.length, caller.lastIndexOf(7)]).toEqual([600 * 8, 400 * 8 - 1]);
  });

  it('is given up when start_call does not come in time', async () => {
    const call = createCall();
    await call.clock.advance(30_000);
    expect(call.leg.closed).toBe('idle');
    expect(call.ofType('leg.error').map((event) => event.code)).toEqual(['TIMEOUT']);
    expect(call.ofType('call.closed')).toEqual([]);
    expect(call.clock.pending).toBe(0);
  });

  it('refuses an id that is not the one in the URL', async () => {
    const call = createCall({ call: { callIdBound: true, callId: 'other' } });
    await call.start();
    expect(call.ofType('leg.error').map((event) => event.code)).toEqual(['CALL_ID_MISMATCH']);
    expect(call.leg.closed).toBe('refused');
    expect(call.clock.pending).toBe(0);
  });

  it('refuses an id that another call holds, and says nothing to the caller', async () => {
    const call = createCall({ call: { claimCallId: async () => false } });
    await call.start();
    expect(call.leg.closed).toBe('id in use');
    expect(call.leg.said).toEqual([]);
    expect(call.ofType('call.started')).toEqual([]);
    expect(call.clock.pending).toBe(0);
  });

  it('refuses a user whose account is blocked, whoever calls for them', async () => {
    const call = createCall({ call: { isBlocked: async () => true } });
    await call.start();
    expect(call.ofType('leg.error').map((event) => event.code)).toEqual(['UNAUTHORIZED']);
    expect(call.ofType('call.started')).toEqual([]);
    expect(call.clock.pending).toBe(0);
  });

  it('refuses a user that the principal may not call for', async () => {
    const principal = { kind: 'anonymous', id: 'x', users: ['someone else'], campaigns: '*' } as const;
    const call = createCall({ call: { principal } });
    await call.start();
    expect(call.ofType('leg.error').map((event) => event.code)).toEqual(['UNAUTHORIZED']);
  });

  it('fails the call when its agent cannot be found in time', async () => {
    const call = createCall({ call: { resolveAgent: () => new Promise(() => {}) } });
    await call.start();
    await call.silence(10_000);
    expect(call.leg.closed).toBe('error');
    expect(call.clock.pending).toBe(0);
  });

  it('gives the id back when the caller hangs up before the call has begun', async () => {
    const resolveAgent = () => new Promise<AgentConfig>(() => {});
    const call = createCall({ call: { resolveAgent } });
    await call.start();
    call.from.hangUp();
    await call.clock.advance(10_000);
    expect(call.released).toEqual(['call-1']);
    const begun = createCall();
    await begun.start();
    begun.from.hangUp();
    await begun.clock.advance(0);
    expect(begun.released).toEqual([]);
  });

  it('hears what the caller said while the call was being set up', async () => {
    let ready = () => {};
    const claimed = new Promise<boolean>((resolve) => {
      ready = () => resolve(true);
    });
    const call = createCall({
      agent: { greeting: '' },
      call: { claimCallId: () => claimed },
      script: { transcripts: ['Quick.'] },
    });
    await call.start();
    await call.speak(400);
    ready();
    await call.silence(1500);
    expect(call.transcript()).toEqual(['caller: Quick.', 'agent: All right.']);
  });
});

describe('a turn', () => {
  it('sends the first sentence to speech while the model still writes', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: {
        transcripts: ['Tell me.'],
        answer: () => ['The first sentence is here. ', 'And ', 'this ', 'is ', 'the ', 'second one.'],
        tokenMs: 500,
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(600);
    expect(call.asked.spoken).toEqual(['The first sentence is here.']);
    await call.silence(5000);
    expect(call.asked.spoken.slice(0, 2)).toEqual([
      'The first sentence is here.',
      'And this is the second one.',
    ]);
    expect(call.transcript()).toEqual([
      'caller: Tell me.',
      'agent: The first sentence is here. And this is the second one.',
    ]);
  });

  it('does not wait with the last sentence for the end of the model’s stream', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['Go.'], answer: () => ['Without a full stop'], endMs: 4_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(8_000);
    expect(call.ofType('latency')[0]?.totalMs).toBe(500);
    expect(call.transcript()[1]).toBe('agent: Without a full stop');
  });

  it('sends the whole conversation to the model, the prompt first', async () => {
    const call = createCall({ script: { transcripts: ['One?', 'Two?'] } });
    await call.start();
    await call.silence(2000);
    for (let i = 0; i < 2; i++) {
      await call.speak(600);
      await call.silence(2000);
    }
    expect(call.asked.messages.at(-1)).toEqual([
      { role: 'system', content: 'You are a test.' },
      { role: 'assistant', content: 'Hello there.' },
      { role: 'user', content: 'One?' },
      { role: 'assistant', content: 'All right.' },
      { role: 'user', content: 'Two?' },
    ]);
  });

  it('reports latency in three parts that add up to what the caller waited', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['Go.'], transcriptMs: 200, firstTokenMs: 300, firstAudioMs: 100 },
    });
    await call.start();
    await call.speak(600);
    const lastVoiced = call.elapsed();
    await call.silence(3000);
    const latency = call.ofType('latency')[0]!;
    expect(latency.endpointWaitMs).toBe(500);
    expect(latency.providerMs).toBe(600);
    expect(latency.processingMs).toBe(0);
    expect(latency.totalMs).toBe(1100);
    expect(call.leg.said[0]!.at - lastVoiced).toBe(1100);
  });

  it('is none where nothing was understood', async () => {
    const call = createCall({ agent: { greeting: '' } });
    await call.start();
    await call.speak(600);
    await call.silence(2000);
    expect(call.asked.messages).toEqual([]);
    expect(call.transcript()).toEqual([]);
    expect(call.ofType('listening').length).toBe(2);
  });

  it('is closed by the clock when the line goes silent by sending nothing', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['Hello?'] } });
    await call.start();
    await call.speak(600);
    await call.clock.advance(3000);
    expect(call.transcript()).toEqual(['caller: Hello?', 'agent: All right.']);
  });

  it('is one where a line sends frames of a whole second', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['A long sentence.', 'wrong'] },
    });
    await call.start();
    for (let second = 0; second < 5; second++) {
      await call.clock.advance(1_000);
      call.call.receive('', call.callLeg);
      call.from.audio(new Int16Array(8_000).fill(1_000));
    }
    await call.silence(2_000);
    expect(call.transcript()[0]).toBe('caller: A long sentence.');
    expect(call.asked.utteranceSamples.length).toBe(1);
  });

  it('sends silence to speech-to-text within an utterance only', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['A b.'] } });
    await call.start();
    await call.silence(3000);
    await call.speak(400);
    await call.silence(300);
    await call.speak(400);
    await call.silence(3000);
    // 1,100 ms of speech and pause, 300 ms before it (less what speech was detected in), 240 ms after it.
    expect(call.asked.utteranceSamples).toEqual([(1100 + 200 + 240) * 8]);
  });

  it('supersedes an answer that is being given: it stops, and only what was heard is kept', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: {
        transcripts: ['First?', 'Second?'],
        answer: (messages) =>
          messages.at(-1)?.content === 'First?'
            ? ['This is a rather long answer that the caller does not want to hear to its end.']
            : ['Short.'],
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(1000);
    await call.speak(600);
    await call.silence(3000);
    expect(call.leg.actions).toContain('clear');
    const [, cut, , answer] = call.transcript();
    expect('agent: This is a rather long answer that the caller does not want to hear to its end.').toContain(
      cut,
    );
    expect(cut!.length).toBeGreaterThan('agent: This'.length);
    expect(cut!.length).toBeLessThan(60);
    expect(answer).toBe('agent: Short.');
    expect(call.asked.messages.at(-1)?.map((message) => `${message.role}: ${message.content}`)).toContain(
      cut!.replace('agent', 'assistant'),
    );
  });
});

describe('a provider that fails', () => {
  it('is told and recorded, the caller hears the apology, and the next turn works', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['One?', 'Two?'], answer: () => [outage()] },
    });
    await call.start();
    await call.speak(600);
    await call.silence(3000);
    expect(call.ofType('failure')).toEqual([
      {
        type: 'failure',
        code: 'PROVIDER_UNAVAILABLE',
        provider: 'scripted/vendor',
        message: 'The vendor is down',
      },
    ]);
    expect(call.transcript()).toEqual(['caller: One?', 'agent: Sorry about that.']);
    call.plan.answer = () => ['Fine now.'];
    await call.speak(600);
    await call.silence(3000);
    expect(call.transcript().slice(2)).toEqual(['caller: Two?', 'agent: Fine now.']);
  });

  it('in the middle of an answer does not take back what was said', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['One?'], answer: () => ['A good beginning. But th', outage()] },
    });
    await call.start();
    await call.speak(600);
    await call.silence(6000);
    expect(call.transcript()[1]).toBe('agent: A good beginning. But th Sorry about that.');
  });

  it('counts its wait as the provider’s, not as our own', async () => {
    const call = createCall({
      agent: { greeting: '', silence: { ...defaultSilence, holdLine: '' } },
      script: { transcripts: ['One?'], answer: () => [outage()], firstTokenMs: 9_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(12_000);
    expect(call.ofType('latency')[0]).toMatchObject({ providerMs: 9_000, processingMs: 0 });
  });

  it('does not stop the call where speech itself fails', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['One?'], speech: () => outage(), answer: () => ['First one. ', 'Second one.'] },
    });
    await call.start();
    await call.speak(600);
    await call.silence(3000);
    expect(call.asked.spoken[0]).toBe('First one.');
    expect(call.asked.spoken).not.toContain('Second one.');
    expect(call.ofType('listening').length).toBe(2);
    expect(call.asked.open).toBe(1);
  });

  it('at transcription costs the turn, and says so', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: [outage()] } });
    await call.start();
    await call.speak(600);
    await call.silence(3000);
    expect(call.ofType('failure').length).toBe(1);
    expect(call.transcript()).toEqual(['agent: Sorry about that.']);
  });
});

describe('the path of a frame', () => {
  it('#10 audio lags above two calls a process: sets no timer, stores nothing, tells nobody', async () => {
    const call = createCall({ agent: { greeting: '' } });
    await call.start();
    let timers = 0;
    const { after } = call.clock;
    call.clock.after = (delayMs, task) => {
      timers++;
      return after.call(call.clock, delayMs, task);
    };
    const [events, chunks] = [call.events.length, call.chunks.length];
    for (let i = 0; i < 50; i++) {
      call.call.receive('', call.callLeg);
      call.from.audio(new Int16Array(160));
    }
    expect({ timers, events: call.events.length - events, chunks: call.chunks.length - chunks }).toEqual({
      timers: 0,
      events: 0,
      chunks: 0,
    });
  });
});

describe('the end of a call', () => {
  const ends: [string, string, (call: ReturnType<typeof createCall>) => void | Promise<void>][] = [
    ['end_call', 'hangup', (call) => call.from.hangUp()],
    [
      'a dropped socket whose client does not come back',
      'disconnected',
      async (call) => {
        call.call.disconnected(call.callLeg);
        await call.clock.advance(30_000);
      },
    ],
    ['the longest time', 'time limit', (call) => call.silence(300_000)],
    ['a socket that falls silent', 'idle', (call) => call.clock.advance(40_000)],
    ['a failure of the service', 'error', (call) => call.call.failed()],
  ];
  it.each(ends)('by %s is in order: recorded, closed, nothing left running', async (_, reason, end) => {
    // A caller who is silent for so long would be asked whether he is there.
    const silence = { ...defaultSilence, promptMs: 3_600_000 };
    const call = createCall({ agent: { silence }, script: { transcripts: ['Hello.'] } });
    await call.start();
    await call.silence(1000);
    await call.speak(600);
    await call.silence(2000);
    await end(call);
    await call.clock.advance(0);
    expect(call.ofType('call.ended').map((event) => event.reason)).toEqual([reason]);
    expect(call.ofType('call.closed').map((event) => event.reason)).toEqual([reason]);
    expect(call.leg.closed).toBe(reason);
    expect(call.transcript()).toEqual(['agent: Hello there.', 'caller: Hello.', 'agent: All right.']);
    const recordedMs = call.chunks.reduce((sum, chunk) => sum + chunk.length, 0) / 8;
    const call0 = call.ofType('call.started')[0]!.call.startTime;
    expect(recordedMs).toBe(call.ofType('call.closed')[0]!.endTime - call0);
    expect({ timers: call.clock.pending, requests: call.asked.open, detectors: call.detectors.open }).toEqual(
      {
        timers: 0,
        requests: 0,
        detectors: 0,
      },
    );
  });

  it('in the middle of a word keeps the word: a transcript that comes late is recorded', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['Last words.'], transcriptMs: 800 },
    });
    await call.start();
    await call.speak(600);
    call.from.hangUp();
    expect(call.ofType('call.closed')).toEqual([]);
    await call.clock.advance(800);
    expect(call.transcript()).toEqual(['caller: Last words.']);
    expect(call.ofType('call.closed').length).toBe(1);
    expect(call.asked.messages).toEqual([]);
    expect(call.clock.pending).toBe(0);
  });

  it('is told also where storage fails at the end', async () => {
    const call = createCall({
      call: {
        storeAudio: () => {
          throw new Error('the storage is full');
        },
      },
    });
    await call.start();
    await call.silence(1_000);
    call.from.hangUp();
    await call.clock.advance(0);
    expect(call.ofType('call.closed').length).toBe(1);
    expect(call.ofType('failure').map((event) => event.message)).toEqual(['the storage is full']);
  });

  it('does not wait for ever for a transcript', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['Never.'], transcriptMs: 3_600_000 },
    });
    await call.start();
    await call.speak(600);
    call.from.hangUp();
    await call.clock.advance(30_000);
    expect(call.ofType('call.closed').length).toBe(1);
  });

  it('in the middle of an answer records what was heard of it', async () => {
    const call = createCall({ agent: { greeting: 'One two three four five six seven eight nine ten.' } });
    await call.start();
    await call.silence(1000);
    call.from.hangUp();
    await call.clock.advance(0);
    expect(call.transcript()).toEqual(['agent: One two three four']);
    expect(call.ofType('turn.recorded')[0]?.turn.interrupted).toBe(true);
    expect(call.clock.pending).toBe(0);
  });

  it('comes after too many errors of the leg', async () => {
    const call = createCall();
    await call.start();
    for (let i = 0; i < 100; i++) call.from.protocolError('BAD_AUDIO', 'bad');
    expect(call.leg.closed).toBe('protocol');
  });

  it('comes when audio runs ahead of real time beyond the bound', async () => {
    const call = createCall();
    await call.start();
    for (let i = 0; i < 31; i++) call.from.audio(new Int16Array(8000));
    expect(call.leg.closed).toBe('too fast');
    expect(call.ofType('leg.error').at(-1)?.code).toBe('TOO_FAST');
  });
});

describe('a recording', () => {
  it('is not kept where the agent does not record', async () => {
    const call = createCall({ agent: { recording: false } });
    await call.start();
    await call.silence(6000);
    call.from.hangUp();
    await call.clock.advance(0);
    expect(call.chunks).toEqual([]);
    expect(call.ofType('call.started')[0]?.call.recording).toBe(false);
  });

  it('is whole at the seams of its chunks, also where the caller’s audio runs a little ahead', async () => {
    const call = createCall({ agent: { greeting: 'x'.repeat(390) } });
    await call.start();
    // Two frames in advance, as of a client whose clock is a little fast.
    call.from.audio(new Int16Array(320).fill(1));
    await call.silence(21_000);
    call.from.hangUp();
    await call.clock.advance(0);
    const agent = call.chunks.flatMap((chunk) => [...(chunk.agent ?? new Int16Array(chunk.length))]);
    // 390 characters at 50 ms.
    expect(agent.indexOf(9)).toBe(0);
    expect(agent.lastIndexOf(9)).toBe(19_500 * 8 - 1);
    expect(agent.slice(0, 19_500 * 8).filter((sample) => sample !== 9)).toEqual([]);
  });

  it('has the agent where it was heard', async () => {
    const call = createCall({ agent: { greeting: 'Hello there.' } });
    await call.start();
    await call.silence(5000);
    call.from.hangUp();
    await call.clock.advance(0);
    const agent = call.chunks.flatMap((chunk) => [...(chunk.agent ?? new Int16Array(chunk.length))]);
    expect(agent.length).toBe(5000 * 8);
    // 12 characters at 50 ms.
    expect(agent.lastIndexOf(9)).toBe(600 * 8 - 1);
    expect(agent.indexOf(9)).toBe(0);
  });
});
