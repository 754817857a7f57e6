import { describe, expect, it } from 'vitest';
import { ProviderError } from '../../../src/providers/ports.ts';
import { createCall } from '../../support/call-harness.ts';

const ahead = (what: 'answer' | 'speech') => ({
  greeting: '',
  speculation: { ahead: what, mostAttempts: 3 },
});

const spoken = (call: ReturnType<typeof createCall>) => call.leg.said.flatMap((piece) => piece.text ?? []);
const outcomes = (call: ReturnType<typeof createCall>) =>
  call.ofType('speculation').map(({ used, characters }) => `${used ? 'used' : 'discarded'} ${characters}`);
const totalMs = (call: ReturnType<typeof createCall>) => call.ofType('latency').map((event) => event.totalMs);

describe('an answer begun before the turn is over', () => {
  it('is there when the turn is over: the wait for the end hides the model', async () => {
    const script = { transcripts: ['When do you open?'], pauses: ['When do you open?'], firstTokenMs: 200 };
    const without = createCall({ agent: { greeting: '' }, script });
    const call = createCall({ agent: ahead('answer'), script });
    for (const each of [without, call]) {
      await each.start();
      await each.speak(600);
      await each.silence(3_000);
    }
    expect(totalMs(without)).toEqual([700]);
    expect(totalMs(call)).toEqual([500]);
    expect(call.asked.messages).toHaveLength(1);
    expect(outcomes(call)).toEqual(['used 10']);
    expect(call.transcript()).toEqual(without.transcript());
    expect(call.ofType('usage')).toEqual(without.ofType('usage'));
  });

  it('has its first sentence spoken, too, where that is asked for', async () => {
    const call = createCall({
      agent: ahead('speech'),
      script: {
        transcripts: ['When do you open?'],
        pauses: ['When do you open?'],
        answer: () => ['We open at nine. ', 'And we close at five.'],
        firstTokenMs: 100,
        firstAudioMs: 100,
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(6_000);
    expect(totalMs(call)).toEqual([500]);
    expect(call.asked.spoken.filter((text) => text.startsWith('We open'))).toHaveLength(1);
    expect(spoken(call)).toEqual(['We open at nine.', 'And we close at five.']);
  });

  it('#5 preemptive generation doubles spend: what is thrown away is counted, and never spoken', async () => {
    const call = createCall({
      agent: ahead('speech'),
      script: {
        transcripts: ['I want to book a table for two.'],
        pauses: ['I want to book a table.'],
        answer: (messages) => [`You said: ${messages.at(-1)?.content}`],
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(300);
    await call.speak(600);
    await call.silence(5_000);
    expect(spoken(call)).toEqual(['You said: I want to book a table for two.']);
    expect(outcomes(call)).toEqual(['discarded 33']);
    call.from.hangUp();
    await call.silence(100);
    expect(call.ofType('call.counted')[0]?.counts).toMatchObject({
      speculationsUsed: 0,
      speculationsDiscarded: 1,
      discardedCharacters: 33,
    });
    expect(call.asked.open).toBe(0);
  });

  it('is kept where the final transcript differs in punctuation only', async () => {
    const call = createCall({
      agent: ahead('answer'),
      script: { transcripts: ['when do you open'], pauses: ['When do you open?'] },
    });
    await call.start();
    await call.speak(600);
    await call.silence(3_000);
    expect(outcomes(call)).toEqual(['used 10']);
    expect(call.transcript()).toContain('caller: when do you open');
  });

  it.each(['My number is oh seven seven', 'I would like to book and'])(
    'is not begun for words that break off: "%s"',
    async (text) => {
      const call = createCall({ agent: ahead('answer'), script: { transcripts: [text], pauses: [text] } });
      await call.start();
      await call.speak(600);
      await call.silence(450);
      expect(call.asked.messages).toEqual([]);
    },
  );

  it('is begun three times in a turn at the most', async () => {
    const call = createCall({
      agent: ahead('answer'),
      script: {
        pauses: ['One thing.', 'Two things.', 'Three things.', 'Four things.', 'Five things.'],
        transcripts: ['Six things.'],
      },
    });
    await call.start();
    for (let i = 0; i < 5; i++) {
      await call.speak(400);
      await call.silence(300);
    }
    expect(call.asked.messages).toHaveLength(3);
    await call.silence(3_000);
    // The turn that is over is answered all the same.
    expect(call.asked.messages).toHaveLength(4);
    expect(outcomes(call)).toEqual(['discarded 10', 'discarded 10', 'discarded 10']);
  });

  it('that has failed is asked for anew, and nobody hears of it', async () => {
    let attempts = 0;
    const call = createCall({
      agent: ahead('answer'),
      script: {
        transcripts: ['When do you open?'],
        pauses: ['When do you open?'],
        answer: () =>
          attempts++ === 0 ? [new ProviderError('scripted', 'unavailable', 'down')] : ['At nine.'],
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(3_000);
    expect(spoken(call)).toEqual(['At nine.']);
    expect(call.ofType('failure')).toEqual([]);
  });

  it('is stopped by the end of the call', async () => {
    const call = createCall({
      agent: ahead('answer'),
      script: { transcripts: ['When do you open?'], pauses: ['When do you open?'], firstTokenMs: 60_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(300);
    // Speech-to-text's session and the model.
    expect(call.asked.open).toBe(2);
    call.from.hangUp();
    await call.silence(100);
    expect(call.asked.open).toBe(0);
    expect(call.clock.pending).toBe(0);
  });

  it('ends with the answer that it has become', async () => {
    const call = createCall({
      agent: ahead('speech'),
      script: {
        transcripts: ['When do you open?', 'Stop it now.'],
        pauses: ['When do you open?'],
        answer: () => ['A first sentence. ', 'A second sentence that is said for quite a while.'],
        tokenMs: 3_000,
        endMs: 60_000,
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(600);
    expect(call.leg.said.length).toBeGreaterThan(0);
    call.from.hangUp();
    await call.silence(100);
    expect(call.asked.open).toBe(0);
  });
});

describe('declared questions', () => {
  const faq = [{ questions: ['When are you open?'], answer: 'From nine to five.' }];

  it.each([
    'When are you open?',
    'Hi, can you tell me when are you open please',
    'Um, so, WHEN are you open.',
  ])('are answered without a model: "%s"', async (text) => {
    const call = createCall({ agent: { greeting: '', faq }, script: { transcripts: [text] } });
    await call.start();
    await call.speak(600);
    await call.silence(3_000);
    expect(spoken(call)).toEqual(['From nine to five.']);
    expect(call.asked.messages).toEqual([]);
    expect(totalMs(call)).toEqual([500]);
  });

  it.each(['When are you open on Sunday?', 'When were you open?', 'Are you open?', 'Hello.'])(
    'do not answer another one: "%s"',
    async (text) => {
      const call = createCall({ agent: { greeting: '', faq }, script: { transcripts: [text] } });
      await call.start();
      await call.speak(600);
      await call.silence(4_000);
      expect(spoken(call)).toEqual(['All right.']);
      expect(call.asked.messages).toHaveLength(1);
    },
  );

  it('asked a second time cost no provider call but the transcript', async () => {
    const call = createCall({
      agent: { greeting: '', faq, apology: '', silence: { ...silent } },
      script: { transcripts: ['When are you open?', 'When are you open?'] },
    });
    await call.start();
    for (let i = 0; i < 2; i++) {
      await call.speak(600);
      await call.silence(4_000);
    }
    expect(spoken(call)).toEqual(['From nine to five.', 'From nine to five.']);
    expect(call.asked.spoken).toEqual(['From nine to five.']);
    expect(call.ofType('cache').map(({ hit }) => hit)).toEqual([false, true]);
    call.from.hangUp();
    await call.silence(100);
    expect(call.ofType('call.counted')[0]?.counts).toMatchObject({
      answered: 2,
      repeats: 1,
      cacheLookups: 2,
      cacheHits: 1,
    });
  });
});

const silent = {
  holdLineMs: 2_500,
  holdLine: '',
  promptMs: 100_000,
  prompt: '',
  hangUpMs: 100_000,
  goodbye: '',
};
