import { describe, expect, it } from 'vitest';
import { defaultSilence } from '../../../src/call/agent-config.ts';
import { ProviderError, type ProviderFailure, type TextToSpeech } from '../../../src/providers/ports.ts';
import { createCall } from '../../support/call-harness.ts';
import { fallbackTextToSpeech } from '../../support/unnamed-chain.ts';

const failures: [ProviderFailure, string][] = [
  ['rate_limited', 'a 429 after all retries'],
  ['unavailable', 'a 500, or a stream cut in the middle'],
  ['timeout', 'slow headers, or a hung connection'],
  ['malformed', 'empty audio, or malformed JSON'],
  ['unauthorized', 'a refused key'],
  ['rejected', 'a model that does not exist'],
];
const ports = ['speech-to-text', 'language model', 'text-to-speech'] as const;

describe.each(failures)('%s (%s)', (failure) => {
  it.each(ports)(
    'of %s: is recorded with its cause, the caller hears something, and the next turn works',
    async (port) => {
      const error = new ProviderError('vendor/model', failure, `it was ${failure}`);
      const call = createCall({ script: { transcripts: ['One?', 'Two?'] } });
      await call.start();
      // The lines that are needed when speech is down are made ready once the greeting was heard.
      await call.silence(3_000);
      if (port === 'speech-to-text') call.plan.transcripts[0] = error;
      if (port === 'language model') call.plan.answer = () => [error];
      if (port === 'text-to-speech') call.plan.speech = () => error;
      const before = call.leg.said.length;
      await call.speak(600);
      await call.silence(4_000);
      expect(call.ofType('failure')).toEqual([
        {
          type: 'failure',
          code: `PROVIDER_${failure.toUpperCase()}`,
          provider: 'vendor/model',
          message: `it was ${failure}`,
        },
      ]);
      expect(call.leg.said.slice(before).flatMap((piece) => piece.text ?? [])).toEqual(['Sorry about that.']);

      call.plan.answer = () => ['All right.'];
      call.plan.speech = (request) => request.text.length * 50;
      await call.speak(600);
      await call.silence(4_000);
      expect(call.transcript().slice(-2)).toEqual(['caller: Two?', 'agent: All right.']);
      expect(call.ofType('failure')).toHaveLength(1);
    },
  );
});

describe('#3 the speech socket dies silently: 66 s of dead air', () => {
  /** Answers nothing until its deadline, and then fails. */
  const silentVoice = (call: ReturnType<typeof createCall>, deadlineMs: number): TextToSpeech => ({
    async *speak(_request, signal) {
      await new Promise<void>((resolve) => {
        const timer = call.clock.after(deadlineMs, resolve);
        signal.addEventListener('abort', () => {
          timer.cancel();
          resolve();
        });
      });
      if (!signal.aborted) throw new ProviderError('vendor/silent', 'timeout', 'no audio in time');
    },
  });

  it('the next provider speaks, and meanwhile the caller hears that it takes a moment', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['One?', 'Two?'] } });
    const working = call.providers.textToSpeech;
    await call.start();
    // The hold line was said before, and is ready audio.
    call.plan.firstTokenMs = 4_000;
    await call.speak(600);
    await call.silence(8_000);
    call.plan.firstTokenMs = 0;
    call.plan.answer = () => ['Another answer.'];
    const dying = silentVoice(call, 6_000);
    Object.assign(working, { speak: fallbackTextToSpeech([dying, { speak: working.speak }]).speak });
    const before = call.leg.said.length;
    await call.speak(600);
    const asked = call.elapsed();
    await call.silence(10_000);
    const said = call.leg.said
      .slice(before)
      .flatMap(({ text, at }) => (text === null ? [] : [`${text} ${at - asked}`]));
    expect(said).toEqual(['One moment, please. 3000', 'Another answer. 6500']);
    expect(call.ofType('failure').map((event) => event.provider)).toEqual(['vendor/silent']);
  });

  it('also in the middle of an answer: the gap is filled, and the sentence is still said', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: {
        transcripts: ['One?'],
        answer: () => ['The first sentence of the answer is this. ', 'The second one is late.'],
        firstAudioMs: (text) => (text.startsWith('The second') ? 9_000 : 0),
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(20_000);
    const said = call.leg.said.flatMap(({ text, at }) => (text === null ? [] : [{ text, at }]));
    expect(said.map(({ text }) => text)).toEqual([
      'The first sentence of the answer is this.',
      'One moment, please.',
      'The second one is late.',
    ]);
    // 41 characters of 50 ms, and then 2,500 ms of silence.
    expect(said[1]!.at - said[0]!.at).toBe(41 * 50 + 2_500);
    expect(call.transcript()[1]).toBe(
      'agent: The first sentence of the answer is this. One moment, please. The second one is late.',
    );
  });

  it('nobody hears a hold line after the last sentence, however long the vendor takes to send its bill', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['One?'], endMs: 8_000 } });
    await call.start();
    await call.speak(600);
    await call.silence(7_000);
    expect(call.leg.said.flatMap((piece) => piece.text ?? [])).toEqual(['All right.']);
  });

  it('a second hold line comes after twice the silence', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['One?'], firstTokenMs: 20_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(19_000);
    const at = call.leg.said.flatMap((piece) => (piece.text === null ? [] : [piece.at]));
    expect(at).toHaveLength(2);
    // The line itself takes 950 ms.
    expect(at[1]! - at[0]!).toBe(950 + 5_000);
  });
});

describe('a voice that is lost in the middle of a sentence', () => {
  /** Says half of the first sentence of each answer, and breaks. */
  const breaking = (call: ReturnType<typeof createCall>): TextToSpeech => {
    const { speak } = call.providers.textToSpeech;
    return {
      async *speak(request, signal) {
        for await (const event of speak(request, signal)) {
          if (event.type !== 'audio') continue;
          yield { type: 'audio', samples: event.samples.subarray(0, event.samples.length >> 1) };
          throw new ProviderError('vendor/breaking', 'unavailable', 'the stream broke off');
        }
      },
    };
  };

  it('is followed by the next provider’s with the next sentence, and nothing is said twice', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: {
        transcripts: ['One?'],
        answer: () => [
          'The first sentence of the answer is this. ',
          'And the second one is said by another.',
        ],
      },
    });
    const working = call.providers.textToSpeech.speak;
    const chain = fallbackTextToSpeech([breaking(call), { speak: working }]);
    call.providers.textToSpeech.speak = chain.speak;
    await call.start();
    await call.speak(600);
    await call.silence(8_000);
    const [half, ...rest] = call.transcript()[1]!.replace('agent: ', '').split(' And ');
    expect('The first sentence of the answer is this.'.startsWith(half!)).toBe(true);
    expect(half!.length).toBeGreaterThan(5);
    expect(rest).toEqual(['the second one is said by another.']);
    expect(call.leg.said.flatMap((piece) => piece.text ?? [])).not.toContain('Sorry about that.');
    // Also the one that is passed over for the second sentence has failed but once.
    expect(call.ofType('failure')).toHaveLength(1);
    // Not a breath between them.
    const gaps = call.leg.said.slice(1).map((piece, i) => piece.at - call.leg.said[i]!.at);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(200);
  });

  it('with the last sentence is excused', async () => {
    const call = createCall({ script: { transcripts: ['One?'], answer: () => ['Only this one sentence.'] } });
    await call.start();
    await call.silence(3_000);
    call.providers.textToSpeech.speak = breaking(call).speak;
    await call.speak(600);
    await call.silence(5_000);
    expect(call.transcript().at(-1)).toMatch(/^agent: Only.* Sorry about that\.$/);
  });
});

describe('#15 the final transcript is 20 s late', () => {
  it('the caller hears that it takes a moment, and is answered when it comes', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['What time is it?'], transcriptMs: 20_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(24_000);
    expect(call.leg.said[0]?.text).toBe('One moment, please.');
    expect(call.transcript().slice(-2)).toEqual(['caller: What time is it?', 'agent: All right.']);
  });
});

describe('#11 and #24 work goes on after the hang-up', () => {
  const moments: [string, (call: ReturnType<typeof createCall>) => Promise<void>][] = [
    ['in the greeting', async (call) => call.silence(100)],
    ['while the caller speaks', async (call) => call.speak(600)],
    [
      'while the caller’s words are transcribed',
      async (call) => {
        await call.speak(600);
        await call.silence(600);
      },
    ],
    [
      'while the model writes',
      async (call) => {
        call.plan.transcriptMs = 0;
        call.plan.firstTokenMs = 60_000;
        await call.silence(1_000);
        await call.speak(600);
        await call.silence(1_000);
      },
    ],
    [
      'while speech is made',
      async (call) => {
        call.plan.transcriptMs = 0;
        await call.silence(4_000);
        call.plan.firstAudioMs = 60_000;
        await call.speak(600);
        await call.silence(1_000);
      },
    ],
    [
      'while the agent waits for the caller to end a number',
      async (call) => {
        call.plan.transcriptMs = 0;
        call.plan.transcripts = ['My number is oh seven seven'];
        await call.silence(1_000);
        await call.speak(600);
        await call.silence(700);
      },
    ],
    ['in the silence before a prompt', async (call) => call.silence(6_000)],
    [
      'while keys are gathered',
      async (call) => {
        await call.silence(1_000);
        call.from.dtmf('1', 80);
      },
    ],
  ];

  it.each(moments)('%s: no timer, request, session or detector is left', async (_, until) => {
    const call = createCall({
      agent: { silence: { ...defaultSilence } },
      script: { transcripts: ['Is anybody there?'], transcriptMs: 3_000, pauses: ['Is anybody there?'] },
    });
    await call.start();
    await until(call);
    expect(call.clock.pending).toBeGreaterThan(0);
    call.from.hangUp();
    await call.clock.advance(3_100);
    expect({ timers: call.clock.pending, open: call.asked.open, detectors: call.detectors.open }).toEqual({
      timers: 0,
      open: 0,
      detectors: 0,
    });
    expect(call.ofType('call.closed')).toHaveLength(1);
  });
});
