import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defaultInterruption, defaultSilence } from '../../../src/call/agent-config.ts';
import type { CallOptions } from '../../../src/call/call-options.ts';
import { isEchoOfEnd, isTooEarly } from '../../../src/call/overlap.ts';
import { ProviderError, type ToolCall } from '../../../src/providers/ports.ts';
import { defineTool } from '../../../src/tools/tool.ts';
import { createCall } from '../../support/call-harness.ts';
import { scriptedSpeechModel } from '../../support/scripted-speech-model.ts';

const spoken = (call: ReturnType<typeof createCall>) => call.leg.said.flatMap((piece) => piece.text ?? []);
const lookUp: ToolCall = { id: 'id-1', name: 'look_up', arguments: '{}' };
const tool = defineTool({
  name: 'look_up',
  description: 'Looks up.',
  schema: z.object({}),
  timeoutMs: 5_000,
  repeat: 'always',
  run: async () => ({ ok: true, content: 'At nine.' }),
});
/** Answers at once: nothing but promises is waited for. */
const createTools: CallOptions['createTools'] = (_agent, _facts, _actions, onRun) => ({
  definitions: [tool.definition],
  run: async (call) => {
    const result = { ok: true, content: 'At nine.' };
    onRun({ ...call, ...result, at: 0, tookMs: 0, idempotencyKey: null });
    return result;
  },
  close: () => {},
});

describe('an answer begun ahead', () => {
  it('that asks for a tool is still answered: the second request is a new one', async () => {
    const call = createCall({
      agent: { greeting: '', speculation: { ahead: 'answer', mostAttempts: 3 } },
      call: { createTools },
      script: {
        transcripts: ['When do you open?'],
        pauses: ['When do you open?'],
        answer: (messages) => (messages.at(-1)?.role === 'tool' ? ['We open at nine.'] : [lookUp]),
      },
    });
    await call.start();
    await call.speak(600);
    await call.silence(4_000);
    expect(spoken(call)).toEqual(['We open at nine.']);
    expect(call.asked.messages).toHaveLength(2);
  });

  it('to words that came to nothing is thrown away, and counted', async () => {
    const call = createCall({
      agent: { greeting: '', speculation: { ahead: 'answer', mostAttempts: 3 } },
      script: { transcripts: [''], pauses: ['Thank you for watching.'], firstTokenMs: 30_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(3_000);
    expect(call.ofType('speculation').map(({ used }) => used)).toEqual([false]);
    expect(call.asked.open).toBe(1);
  });
});

describe('a model that only asks for tools', () => {
  it('is asked without them in the end, and the caller is not left in silence', async () => {
    const offered: boolean[] = [];
    const call = createCall({
      agent: { greeting: '' },
      call: { createTools },
      script: { transcripts: ['Go on.'], answer: () => [lookUp] },
    });
    const { reply } = call.providers.languageModel;
    call.providers.languageModel.reply = (request, signal) => {
      offered.push(request.tools !== undefined);
      return reply(request, signal);
    };
    await call.start();
    await call.speak(600);
    await call.silence(5_000);
    expect(offered).toEqual([true, true, true, true, true, false]);
    expect(spoken(call)).toEqual(['Sorry about that.']);
    expect(call.ofType('failure').map(({ code }) => code)).toEqual(['PROVIDER_MALFORMED']);
  });

  it('and speaks itself: likewise', async () => {
    const call = createCall({
      agent: { greeting: '' },
      call: { createTools },
      scriptedSpeech: (clock) =>
        scriptedSpeechModel(clock, { transcripts: ['Go on.'], responses: Array(20).fill([lookUp]) }).model,
    });
    await call.start();
    await call.speak(600);
    await call.silence(5_000);
    expect(spoken(call)).toEqual(['Sorry about that.']);
  });
});

it('an answer without a word that can be spoken is no answer', async () => {
  const call = createCall({
    agent: { greeting: '' },
    script: { transcripts: ['Hello?'], answer: () => ['🙂'] },
  });
  await call.start();
  await call.speak(600);
  await call.silence(3_000);
  expect(spoken(call)).toEqual(['Sorry about that.']);
});

it('a warm-up that ends after the greeting does not mute the next answer', async () => {
  const call = createCall({
    agent: { greeting: 'Hi.', interruption: { ...defaultInterruption, warmUpMs: 3_000 } },
    script: { transcripts: ['I have a question.'], speech: () => 200 },
  });
  await call.start();
  await call.silence(100);
  await call.speak(4_000);
  await call.silence(3_000);
  expect(spoken(call)).toContain('All right.');
});

it('a hold line that was overtaken leaves no request behind after the hang-up', async () => {
  const call = createCall({
    agent: { greeting: '' },
    script: {
      transcripts: ['Look it up.'],
      firstTokenMs: 3_000,
      firstAudioMs: (text) => (text === 'One moment, please.' ? 60_000 : 100),
    },
  });
  await call.start();
  await call.speak(600);
  await call.silence(6_000);
  expect(spoken(call)).toEqual(['All right.']);
  call.from.hangUp();
  await call.clock.advance(100);
  expect({ open: call.asked.open, timers: call.clock.pending }).toEqual({ open: 0, timers: 0 });
});

it('a hold line that hangs does not hold up the answer, however long it is late', async () => {
  const call = createCall({
    agent: { greeting: '' },
    script: {
      transcripts: ['Look it up.'],
      firstTokenMs: 9_000,
      firstAudioMs: (text) => (text === 'One moment, please.' ? 20_000 : 100),
    },
  });
  await call.start();
  await call.speak(600);
  const asked = call.elapsed();
  await call.silence(12_000);
  expect(call.leg.said[0]).toMatchObject({ text: 'All right.', at: asked + 500 + 9_100 });
});

it('a model that speaks forgets a response of which nothing was heard', async () => {
  let speech: ReturnType<typeof scriptedSpeechModel> | null = null;
  const call = createCall({
    agent: { greeting: '' },
    scriptedSpeech: (clock) => {
      speech = scriptedSpeechModel(clock, {
        transcripts: ['One.', 'No, two.'],
        responses: [['First.'], ['Second.']],
        firstAudioMs: 700,
      });
      return speech.model;
    },
  });
  await call.start();
  await call.speak(600);
  await call.silence(800);
  await call.speak(900);
  await call.silence(4_000);
  expect(call.transcript()).toEqual(['caller: One. No, two.', 'agent: Second.']);
  expect(speech!.told).toContain('truncate 0 after 0 ms: ');
});

describe('one word of the caller’s over the agent', () => {
  it.each([
    ['We', 'We are open all day.', true],
    ['All', 'The workshop is closed.', true],
    ['Stop', 'We are open all day.', false],
    ['We open', 'We are open all day.', false],
  ])('%j over %j: too early to be judged is %s', (text, agentText, expected) => {
    expect(isTooEarly(text, agentText)).toBe(expected);
  });

  it.each([
    ['Tuesday at nine.', 'You can have Tuesday at nine or Wednesday at ten.', false],
    ['Wednesday at ten.', 'You can have Tuesday at nine or Wednesday at ten.', true],
  ])('%j after %j has ended: its echo is %s', (text, agentText, expected) => {
    expect(isEchoOfEnd(text, agentText)).toBe(expected);
  });

  it('an answer in the agent’s own words, soon after its question, is an answer', async () => {
    const greeting = 'You can have Tuesday at nine or Wednesday at ten.';
    const call = createCall({ agent: { greeting }, script: { transcripts: ['Tuesday at nine.'] } });
    await call.start();
    await call.silence(greeting.length * 50 + 200);
    await call.speak(800);
    await call.silence(3_000);
    expect(call.transcript().slice(1)).toEqual(['caller: Tuesday at nine.', 'agent: All right.']);
  });
});

it('keys that are being pressed are waited for: with the words before them they are one turn', async () => {
  const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['My pin is'] } });
  await call.start();
  await call.speak(600);
  for (const key of '4711') {
    await call.silence(900);
    call.from.dtmf(key, 80);
  }
  await call.silence(6_000);
  expect(call.asked.messages).toHaveLength(1);
  expect(call.transcript()[0]).toMatch(/^caller: My pin is keys pressed: 4 7 1 1$/);
});

it('noise that goes on after words does not keep them from being answered', async () => {
  const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['Are you open?'] } });
  await call.start();
  await call.speak(1_000);
  call.asked.hear({ type: 'interim', utterance: 0, text: 'Are you open?' });
  // The noise after the words is ignored like any other, once they are cut off from it.
  await call.speak(20_000);
  expect(call.transcript()).toEqual(['caller: Are you open?', 'agent: All right.']);
});

it('a transcript that is very late has more than one hold line, and nobody is said to have interrupted them', async () => {
  const call = createCall({
    agent: { greeting: '' },
    script: { transcripts: ['What time is it?'], transcriptMs: 20_000 },
  });
  await call.start();
  await call.speak(600);
  await call.silence(15_000);
  call.asked.hear({ type: 'interim', utterance: 0, text: 'What time is' });
  await call.silence(10_000);
  expect(spoken(call)).toEqual([...Array(3).fill('One moment, please.'), 'All right.']);
  expect(call.ofType('overlap')).toEqual([]);
});

it('speech that is down after a language was heard still has its apology', async () => {
  const call = createCall({ script: { transcripts: ['Hello?'] } });
  await call.start();
  await call.silence(3_000);
  call.asked.hear({ type: 'language', language: 'en' });
  await call.silence(1_000);
  call.plan.speech = () => new ProviderError('vendor', 'unavailable', 'down');
  await call.speak(600);
  await call.silence(3_000);
  expect(call.transcript().at(-1)).toBe('agent: Sorry about that.');
});

it('the vendor’s bill is waited for by nobody: a tool is run, and the agent listens, before it comes', async () => {
  const call = createCall({
    agent: { greeting: '', silence: { ...defaultSilence, holdLine: '' } },
    call: { createTools },
    script: {
      transcripts: ['When?'],
      endMs: 4_000,
      answer: (messages) => (messages.at(-1)?.role === 'tool' ? ['At nine.'] : [lookUp]),
    },
  });
  await call.start();
  await call.speak(600);
  await call.silence(1_500);
  expect(spoken(call)).toEqual(['At nine.']);
  expect(call.ofType('listening')).toHaveLength(2);
  await call.silence(8_000);
  expect(call.ofType('usage')).toHaveLength(2);
});

it('a transfer that fails again and again is told once', async () => {
  let transfers = 0;
  const call = createCall({
    agent: { greeting: '' },
    call: {
      createTools: () => ({
        definitions: [tool.definition],
        run: async () => ({
          ok: true,
          content: 'Announced.',
          afterwards: { act: 'transfer', to: '+493012345' },
        }),
        close: () => {},
      }),
    },
    script: {
      transcripts: ['A human, please.'],
      answer: (messages) => (messages.at(-1)?.role === 'tool' ? ['I will connect you.'] : [lookUp]),
    },
  });
  call.dialect.transfer = () => {
    transfers++;
    return false;
  };
  await call.start();
  await call.speak(600);
  await call.silence(9_000);
  expect(transfers).toBe(1);
  expect(call.asked.messages.length).toBeLessThanOrEqual(3);
});

it('nobody is hung up on with an apology', async () => {
  const outage = new ProviderError('vendor', 'unavailable', 'down');
  const call = createCall({
    agent: { greeting: '' },
    call: {
      createTools: () => ({
        definitions: [tool.definition],
        run: async () => ({
          ok: true,
          content: 'Say goodbye.',
          afterwards: { act: 'hangUp' },
        }),
        close: () => {},
      }),
    },
    script: {
      transcripts: ['Bye.'],
      answer: (messages) => (messages.at(-1)?.role === 'tool' ? [outage] : [lookUp]),
    },
  });
  await call.start();
  await call.speak(600);
  await call.silence(4_000);
  expect(spoken(call)).toEqual(['Sorry about that.']);
  expect(call.leg.closed).toBeNull();
  // Nor after a restart.
  expect(call.ofType('agent.acts').map(({ acts }) => acts)).toEqual([[{ act: 'hangUp' }], []]);
});
