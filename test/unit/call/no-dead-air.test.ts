import { describe, expect, it } from 'vitest';
import { defaultInterruption, defaultSilence } from '../../../src/call/agent-config.ts';
import { ProviderError } from '../../../src/providers/ports.ts';
import { createCall, readyAudio } from '../../support/call-harness.ts';
import { fallbackLanguageModel } from '../../support/unnamed-chain.ts';

describe('no dead air', () => {
  it('asks a silent caller once, then says goodbye, is heard to the end and hangs up', async () => {
    const call = createCall();
    await call.start();
    await call.silence(45_000);
    expect(call.transcript()).toEqual([
      'agent: Hello there.',
      'agent: Are you still there?',
      'agent: I cannot hear anybody, so I will hang up now. Goodbye.',
    ]);
    expect(call.leg.closed).toBe('caller silent');
    expect(call.clock.pending).toBe(0);
  });

  it('does not hang up on a caller who answers the question', async () => {
    const call = createCall({ script: { transcripts: ['Yes, I am here.'] } });
    await call.start();
    await call.silence(13_000);
    await call.speak(600);
    await call.silence(12_000);
    expect(call.leg.closed).toBeNull();
    // A new silence, and so the question again.
    expect(call.transcript().at(-1)).toBe('agent: Are you still there?');
  });

  it('says a hold line, once, when an answer is late; it counts for no latency', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['Look it up.'], answer: () => ['Here it is.'], firstTokenMs: 6_000 },
    });
    await call.start();
    await call.speak(600);
    const lastVoiced = call.elapsed();
    await call.silence(9_000);
    expect(
      call.leg.said.flatMap(({ text, at }) => (text === null ? [] : [`${text} ${at - lastVoiced}`])),
    ).toEqual(['One moment, please. 3000', 'Here it is. 6500']);
    expect(call.ofType('latency').map((event) => event.totalMs)).toEqual([6_500]);
    expect(call.transcript()[1]).toBe('agent: One moment, please. Here it is.');
    expect(call.ofType('turn.recorded')[1]?.turn.interrupted).toBe(false);
  });

  it('puts the hold line before a sentence whose speech is late', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: {
        transcripts: ['Say it.'],
        answer: () => ['Late speech.'],
        firstAudioMs: (text) => (text === 'Late speech.' ? 4_000 : 100),
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(8_000);
    expect(call.leg.said.flatMap((piece) => piece.text ?? [])).toEqual([
      'One moment, please.',
      'Late speech.',
    ]);
    expect(call.transcript()[1]).toBe('agent: One moment, please. Late speech.');
  });

  it('does not hold up a ready answer by a hold line that is itself late', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: {
        transcripts: ['Look it up.'],
        answer: () => ['Here it is.'],
        firstTokenMs: 3_000,
        firstAudioMs: (text) => (text === 'One moment, please.' ? 9_000 : 100),
      },
    });
    await call.start();
    await call.speak(600);
    const lastVoiced = call.elapsed();
    await call.silence(12_000);
    expect(call.leg.said[0]).toMatchObject({ text: 'Here it is.' });
    expect(call.leg.said[0]!.at - lastVoiced).toBe(3_600);
  });

  it('says the hold line also where it is the transcript that is late', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['Slow.'], transcriptMs: 8_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(12_000);
    expect(call.leg.said.flatMap((piece) => piece.text ?? [])).toEqual(['One moment, please.', 'All right.']);
  });

  it('answers a "yes" whose transcript comes while the hold line is said: it was said before it', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['Yes.'], transcriptMs: 3_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(6_000);
    expect(call.leg.said[0]?.text).toBe('One moment, please.');
    expect(call.transcript().slice(-2)).toEqual(['caller: Yes.', 'agent: All right.']);
  });

  it('asks a caller from whom only noise comes, and hangs up: noise is no word', async () => {
    const call = createCall({ agent: { greeting: '' } });
    await call.start();
    for (let i = 0; i < 8; i++) {
      await call.silence(7_000);
      await call.speak(300);
    }
    expect(call.transcript()).toContain('agent: Are you still there?');
    expect(call.leg.closed).toBe('caller silent');
  });

  it.each(['Yes, I see.', 'Okay.'])(
    'does not hang up on a caller who says %j to the goodbye',
    async (words) => {
      const call = createCall({ agent: { greeting: '' }, script: { transcripts: [words] } });
      await call.start();
      await call.silence(10_000 + 1_000 + 20_000 + 1_000);
      expect(call.leg.said.at(-1)).toBeDefined();
      await call.speak(500);
      await call.silence(4_000);
      expect(call.leg.closed).toBeNull();
      expect(call.transcript()).toContain(`caller: ${words}`);
    },
  );

  it('does not hang up on a caller who speaks as the goodbye ends, on a leg that plays it in any case', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['Wait, I am here.'] } });
    call.dialect.canClear = false;
    await call.start();
    while (!call.leg.said.some((piece) => piece.text === 'Goodbye.')) await call.silence(20);
    await call.silence(400);
    await call.speak(900);
    await call.silence(3_000);
    expect(call.leg.closed).toBeNull();
    expect(call.transcript().slice(-2)).toEqual(['caller: Wait, I am here.', 'agent: All right.']);
  });

  it('returns a call to listening whose reply is stuck for good', async () => {
    const call = createCall({
      agent: { greeting: '', silence: { ...defaultSilence, holdLine: '' } },
      script: { transcripts: ['Hang.', 'And now?'], firstTokenMs: 3_600_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(50_000);
    expect(call.ofType('failure').map((event) => event.provider)).toEqual(['pipeline']);
    expect(call.ofType('listening').length).toBe(2);
    call.plan.firstTokenMs = 0;
    await call.speak(600);
    await call.silence(2_000);
    expect(call.transcript().at(-1)).toBe('agent: All right.');
  });

  it.each([
    ['speech alone fails', ['All right.']],
    [
      'speech and the model fail',
      [new ProviderError('scripted/vendor', 'unavailable', 'The vendor is down')],
    ],
  ])('has its apology at hand when %s', async (_, answer) => {
    const call = createCall({ script: { transcripts: ['Hello?'] } });
    await call.start();
    await call.silence(3_000);
    const outage = new ProviderError('scripted/vendor', 'unavailable', 'The vendor is down');
    call.plan.speech = () => outage;
    call.plan.answer = () => answer;
    await call.speak(600);
    await call.silence(3_000);
    expect(call.transcript().at(-1)).toBe('agent: Sorry about that.');
  });

  it('#20 4–5 s to first words: a greeting that was spoken before needs no provider', async () => {
    const speechCache = readyAudio();
    const first = createCall({ call: { speechCache } });
    await first.start();
    await first.silence(2_000);
    const second = createCall({ call: { speechCache }, script: { firstAudioMs: 5_000 } });
    await second.start();
    expect(second.leg.said[0]).toMatchObject({ at: 0, text: 'Hello there.' });
    await second.silence(2_000);
    expect(second.asked.spoken).toEqual([]);
    expect(first.ofType('cache').map((event) => event.hit)).toEqual([false]);
    expect(second.ofType('cache').map((event) => event.hit)).toEqual([true]);
  });

  it('does not take the caller’s long speech for silence', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['A long story.'] } });
    await call.start();
    await call.speak(18_000);
    expect(call.transcript()).toEqual([]);
    expect(call.leg.closed).toBeNull();
  });
});

describe('keys', () => {
  it('are one entry, given to the model as the caller’s words', async () => {
    const call = createCall({ agent: { greeting: '' } });
    await call.start();
    for (const key of '4711') {
      call.from.dtmf(key, 80);
      await call.silence(500);
    }
    expect(call.asked.messages).toEqual([]);
    call.from.dtmf('#', 80);
    await call.silence(2_000);
    expect(call.transcript()).toEqual(['caller: Keys pressed: 4 7 1 1', 'agent: All right.']);
    expect(call.asked.messages[0]?.at(-1)).toEqual({ role: 'user', content: 'Keys pressed: 4 7 1 1' });
  });

  it('interrupt the agent', async () => {
    const call = createCall({
      agent: { greeting: 'For sales press one, for the workshop press two, or wait.' },
    });
    await call.start();
    await call.silence(1_000);
    call.from.dtmf('2', 80);
    expect(call.leg.actions).toContain('clear');
    await call.silence(4_000);
    expect(call.transcript().slice(1)).toEqual(['caller: Keys pressed: 2', 'agent: All right.']);
  });

  it('and the words before them are one turn', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['My pin is'] } });
    await call.start();
    await call.speak(600);
    await call.silence(700);
    for (const key of '12#') call.from.dtmf(key, 80);
    await call.silence(6_000);
    expect(call.asked.messages.length).toBe(1);
    expect(call.transcript()).toEqual(['caller: My pin is keys pressed: 1 2', 'agent: All right.']);
  });

  it('wait for the end of words that may not be interrupted', async () => {
    const call = createCall({
      agent: {
        greeting: 'This call is recorded.',
        interruption: { ...defaultInterruption, greeting: false },
      },
    });
    await call.start();
    await call.silence(300);
    for (const key of '1#') call.from.dtmf(key, 80);
    await call.silence(5_000);
    expect(call.transcript()).toEqual([
      'agent: This call is recorded.',
      'caller: Keys pressed: 1',
      'agent: All right.',
    ]);
  });

  it('that were pressed while the call was being set up are not lost', async () => {
    let ready = () => {};
    const claimed = new Promise<boolean>((resolve) => {
      ready = () => resolve(true);
    });
    const call = createCall({ agent: { greeting: '' }, call: { claimCallId: () => claimed } });
    await call.start();
    for (const key of '12') call.from.dtmf(key, 80);
    ready();
    await call.clock.advance(0);
    call.from.dtmf('3', 80);
    call.from.dtmf('#', 80);
    await call.silence(1_000);
    expect(call.transcript()[0]).toBe('caller: Keys pressed: 1 2 3');
  });

  it('that were pressed before the hang-up are recorded', async () => {
    const call = createCall({ agent: { greeting: '' } });
    await call.start();
    call.from.dtmf('9', 80);
    call.from.hangUp();
    await call.clock.advance(0);
    expect(call.transcript()).toEqual(['caller: Keys pressed: 9']);
    expect(call.clock.pending).toBe(0);
  });
});

describe('a fall-back provider', () => {
  it('answers in the failed one’s place; the failure is recorded, and the caller hears no apology', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['Hello?'] } });
    const outage = new ProviderError('scripted/vendor', 'rate_limited', 'Too many', { status: 429 });
    const working = call.providers.languageModel;
    const failing: typeof working = {
      // biome-ignore lint/correctness/useYield: it fails before its first word.
      async *reply() {
        throw outage;
      },
    };
    call.providers.languageModel = fallbackLanguageModel([failing, working]);
    await call.start();
    await call.speak(600);
    await call.silence(3_000);
    expect(call.transcript()).toEqual(['caller: Hello?', 'agent: All right.']);
    expect(call.ofType('failure').map((event) => event.code)).toEqual(['PROVIDER_RATE_LIMITED']);
  });
});
