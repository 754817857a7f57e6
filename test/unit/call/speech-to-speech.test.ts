import { describe, expect, it } from 'vitest';
import { ProviderError } from '../../../src/providers/ports.ts';
import { createCall } from '../../support/call-harness.ts';
import { type SpeechModelScript, scriptedSpeechModel } from '../../support/scripted-speech-model.ts';

/** A call whose agent is one model that hears and speaks. */
function createSpokenCall(
  script: Partial<SpeechModelScript>,
  more: Parameters<typeof createCall>[0] = {},
): ReturnType<typeof createCall> & { speech: ReturnType<typeof scriptedSpeechModel> } {
  let speech: ReturnType<typeof scriptedSpeechModel> | null = null;
  const call = createCall({
    ...more,
    agent: { greeting: '', ...more.agent },
    scriptedSpeech: (clock) => {
      speech = scriptedSpeechModel(clock, script);
      return speech.model;
    },
  });
  return Object.assign(call, { speech: speech! });
}

const long = 'We are open from Tuesday to Saturday and the workshop takes bicycles of every kind until five.';

describe('a model that hears, thinks and speaks', () => {
  it('answers with its own voice; record, ledger and usage are as with the pipeline', async () => {
    const call = createSpokenCall({
      transcripts: ['When do you open?'],
      responses: [['At nine.']],
      firstAudioMs: 300,
    });
    await call.start();
    await call.speak(600);
    await call.silence(3_000);
    expect(call.transcript()).toEqual(['caller: When do you open?', 'agent: At nine.']);
    expect(call.ofType('latency')[0]).toMatchObject({ endpointWaitMs: 500, providerMs: 300, totalMs: 800 });
    // Who served the turn is in its ledger.
    expect(call.ofType('turn.recorded')[1]?.turn.latency?.providers).toEqual(['scripted/speech']);
    expect(call.ofType('usage')[0]).toMatchObject({ usage: { provider: 'scripted/speech' }, turn: 0 });
    expect(call.asked.messages).toEqual([]);
    expect(call.asked.spoken.filter((text) => text === 'At nine.')).toEqual([]);
  });

  it('is cut off like any other: history, transcript and the model’s own memory hold what was heard', async () => {
    const call = createSpokenCall({
      transcripts: ['When do you open?', 'Stop, please.'],
      responses: [[long], ['Fine.']],
    });
    await call.start();
    await call.speak(600);
    await call.silence(2_000);
    await call.speak(600);
    await call.silence(4_000);
    const heard = call.transcript()[1]!.replace('agent: ', '');
    expect(long.startsWith(heard)).toBe(true);
    expect(heard.length).toBeLessThan(40);
    expect(call.ofType('turn.recorded')[1]?.turn.interrupted).toBe(true);
    // The model was done when the caller began; each response is the bill of its own turn.
    expect(call.ofType('usage').map(({ turn }) => turn)).toEqual([0, 1]);
    const cut = call.speech.told.find((line) => line.startsWith('truncate'))!;
    expect(cut).toMatch(/^truncate \d+ after \d+ ms: /);
    expect(cut.endsWith(`: ${heard}`)).toBe(true);
    const heardMs = Number(/after (\d+)/.exec(cut)?.[1]);
    expect(heardMs).toBeGreaterThan(1_200);
    expect(heardMs).toBeLessThan(2_000);
    expect(call.leg.actions).toContain('clear');
    expect(call.transcript().slice(-2)).toEqual(['caller: Stop, please.', 'agent: Fine.']);
  });

  it('bills a response that was cut off to the turn that it was for, though that is over when the bill comes', async () => {
    const call = createSpokenCall({
      transcripts: ['When do you open?', 'Stop, please.'],
      responses: [[long, 'And so on.'], ['Fine.']],
      stepMs: 4_000,
    });
    await call.start();
    await call.speak(600);
    await call.silence(1_500);
    await call.speak(600);
    await call.silence(9_000);
    const toldAt = call.events.flatMap((event, at) => (event.type === 'usage' ? [[event.turn, at]] : []));
    expect(toldAt.map(([turn]) => turn)).toEqual([0, 1]);
    const secondBegan = call.events.findIndex(
      (event) => event.type === 'transcript' && event.role === 'agent' && event.turn === 1,
    );
    expect(secondBegan).toBeGreaterThan(0);
    expect(toldAt[0]![1]).toBeGreaterThan(secondBegan);
  });

  it('goes on after a backchannel, and forgets nothing', async () => {
    const call = createSpokenCall({ transcripts: ['When do you open?', 'Uh-huh.'], responses: [[long]] });
    await call.start();
    await call.speak(600);
    await call.silence(2_000);
    await call.speak(400);
    await call.silence(8_000);
    expect(call.transcript().at(-1)).toBe(`agent: ${long}`);
    expect(call.speech.told.filter((line) => /^(truncate|cancel)/.test(line))).toEqual([]);
  });

  it('knows the fixed lines that were spoken beside it, and the keys that were pressed', async () => {
    const call = createSpokenCall({}, { agent: { greeting: 'Hello there.' } });
    await call.start();
    await call.silence(2_000);
    for (const key of '12#') call.from.dtmf(key, 80);
    await call.silence(3_000);
    expect(call.asked.spoken[0]).toBe('Hello there.');
    expect(call.speech.told[0]).toBe('add assistant: Hello there.');
    const keys = call.speech.told.indexOf('add user: Keys pressed: 1 2');
    expect(keys).toBeGreaterThan(0);
    expect(call.speech.told.indexOf('respond')).toBeGreaterThan(keys);
    expect(call.transcript()).toEqual([
      'agent: Hello there.',
      'caller: Keys pressed: 1 2',
      'agent: All right.',
    ]);
  });

  it('a line made ready in advance is none of its words', async () => {
    const call = createSpokenCall({ transcripts: ['Hello?'] }, { agent: { greeting: 'Hello there.' } });
    await call.start();
    await call.silence(3_000);
    // The apology and the others were made, and not said.
    expect(call.asked.spoken).toContain('Sorry about that.');
    expect(call.speech.told.filter((line) => line.startsWith('add assistant'))).toEqual([
      'add assistant: Hello there.',
    ]);
  });

  it('that fails in an answer is excused, and answers the next turn', async () => {
    const outage = new ProviderError('vendor/speech', 'unavailable', 'down');
    const call = createSpokenCall({
      transcripts: ['One?', 'Two?'],
      responses: [['A good beg', outage], ['Fine now.']],
      stepMs: 20,
    });
    await call.start();
    await call.speak(600);
    await call.silence(5_000);
    expect(call.transcript()[1]).toBe('agent: A good Sorry about that.');
    expect(call.ofType('failure').map(({ provider }) => provider)).toEqual(['vendor/speech']);
    await call.speak(600);
    await call.silence(3_000);
    expect(call.transcript().at(-1)).toBe('agent: Fine now.');
  });

  it('that is silent is covered by the hold line', async () => {
    const call = createSpokenCall({ transcripts: ['One?'], firstAudioMs: 6_000 });
    await call.start();
    await call.speak(600);
    await call.silence(12_000);
    expect(call.transcript()[1]).toBe('agent: One moment, please. All right.');
  });

  it('that is lost for good is replaced by the separate providers, in the middle of the call', async () => {
    const call = createSpokenCall(
      { transcripts: ['One?'], responses: [['The first answer.']] },
      { script: { transcripts: ['Two?'], answer: () => ['Another voice, the same call.'] } },
    );
    await call.start();
    await call.speak(600);
    await call.silence(3_000);
    call.speech.lose(new ProviderError('vendor/speech', 'unavailable', 'gone'));
    await call.clock.advance(0);
    await call.speak(600);
    await call.silence(4_000);
    expect(call.transcript()).toEqual([
      'caller: One?',
      'agent: The first answer.',
      'caller: Two?',
      'agent: Another voice, the same call.',
    ]);
    expect(call.ofType('failure').map(({ provider }) => provider)).toContain('vendor/speech');
    // The other model knows what was said.
    expect(call.asked.messages[0]?.map(({ content }) => content)).toEqual([
      'You are a test.',
      'One?',
      'The first answer.',
      'Two?',
    ]);
  });

  it('leaves nothing behind at the hang-up', async () => {
    const call = createSpokenCall({ transcripts: ['One?'], firstAudioMs: 60_000 });
    await call.start();
    await call.speak(600);
    await call.silence(1_000);
    expect(call.speech.open).toBe(1);
    call.from.hangUp();
    await call.silence(100);
    expect(call.speech.open).toBe(0);
    expect(call.ofType('call.closed')).toHaveLength(1);
  });
});
