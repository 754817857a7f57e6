import { beforeAll, describe, expect, test } from 'vitest';
import { exampleBusiness } from '../../../embedded/engines/dialogue/business.ts';
import {
  DialogueEngine,
  type DialogueMessage,
  type Resolution,
} from '../../../embedded/engines/dialogue/engine.ts';
import { outsideQuestions, questionsByFact } from './dialogue-questions.ts';

let engine: DialogueEngine;

beforeAll(async () => {
  engine = await DialogueEngine.load();
});

/** Says the lines of one caller in turn; returns what each was understood as. */
async function talk(...lines: string[]): Promise<Resolution[]> {
  const messages: DialogueMessage[] = [{ role: 'system', content: 'You are a helpful assistant.' }];
  const resolutions: Resolution[] = [];
  for (const content of lines) {
    messages.push({ role: 'user', content });
    const resolution = await engine.resolve(messages);
    messages.push({ role: 'assistant', content: resolution.text });
    resolutions.push(resolution);
  }
  return resolutions;
}

function meant(resolution: Resolution | undefined): string {
  if (resolution === undefined) throw new Error('nothing was resolved');
  if (resolution.kind === 'fact') return resolution.facts.join('+');
  return resolution.kind === 'small-talk' ? resolution.id : 'unknown';
}

const factOf = (id: string) => {
  const fact = exampleBusiness().facts.find((candidate) => candidate.id === id);
  if (fact === undefined) throw new Error(`no fact ${id}`);
  return fact;
};

describe('questions worded unlike the stored phrasings', () => {
  const cases = Object.entries(questionsByFact).flatMap(([id, questions]) =>
    questions.map((question) => ({ id, question })),
  );

  test('the questions are none of the stored ones', () => {
    const plain = (text: string) => text.toLowerCase().replace(/[^a-z ]/g, '');
    const stored = new Set(exampleBusiness().facts.flatMap((fact) => fact.phrasings.map(plain)));
    expect(cases.filter(({ question }) => stored.has(plain(question)))).toEqual([]);
    expect(cases.length).toBeGreaterThan(100);
  });

  test.each(cases)('$question → $id', async ({ id, question }) => {
    const [resolution] = await talk(question);
    expect(meant(resolution)).toBe(id);
    expect(resolution!.text).toBe(factOf(id).answer);
  });
});

test.each(outsideQuestions)('outside the subject, says that it does not know: %s', async (question) => {
  const [resolution] = await talk(question);
  expect(meant(resolution)).toBe('unknown');
  expect(resolution!.text).toMatch(/don't know that/);
  expect(resolution!.text).toMatch(/take a message/);
});

test.each([
  ['hours.sunday', 'are you open on sundae'],
  ['puncture', 'can you mend a puncher'],
  ['brakes', 'my breaks do not work'],
  ['guarantee', 'is there a garantee on repairs'],
  ['gears', 'my deraileur is bent'],
  ['payment', 'can i pay by contactles'],
])('small recognition errors do not matter: %s ← %s', async (id, heard) => {
  expect(meant((await talk(heard))[0])).toBe(id);
});

test.each([
  { lines: ['When are you open?', 'And on Sunday?', 'What about Saturday?'], last: 'hours.saturday' },
  { lines: ['Can you fix a puncture?', 'How much is that?'], last: 'puncture' },
  { lines: ['Do you hire out bikes?', 'Do I need a passport for that?'], last: 'hire.identity' },
  {
    lines: ['Do you sell bikes?', 'How much are they?', 'And used ones?', 'How much do they cost?'],
    last: 'bikes.used',
  },
  {
    lines: ['Can you fix a puncture?', 'And a full service?', 'What does it include?'],
    last: 'service.included',
  },
  { lines: ['When are you open?', 'And the weather?'], last: 'unknown' },
  { lines: ['My chain is broken.', 'Where are you?'], last: 'address' },
])('a follow-up is understood by what was said before: $lines', async ({ lines, last }) => {
  expect(meant((await talk(...lines)).at(-1))).toBe(last);
});

test('a bare day without history is no question about opening hours', async () => {
  expect(meant((await talk('And on Sunday?'))[0])).toBe('unknown');
});

test('two questions in one breath get two answers, a statement and its question one', async () => {
  expect(meant((await talk('What time do you open on Saturday? And do you have parking?'))[0])).toBe(
    'hours.saturday+parking',
  );
  expect(meant((await talk("I've got a flat. How much is that?"))[0])).toBe('puncture');
});

test.each([
  ['greeting', 'Hello?'],
  ['thanks', 'Thank you very much.'],
  ['goodbye', 'Okay, bye then.'],
  ['what-are-you', 'Am I talking to a robot?'],
  ['what-are-you', 'Are you a real person?'],
  ['what-are-you', 'What are you?'],
  ['leave-message', 'Can I speak to a human?'],
  ['help', 'What can you do for me?'],
  ['nothing-heard', ' ... '],
  ['repeat', 'Could you repeat that?'],
])('small talk: %s ← %s', async (id, said) => {
  expect(meant((await talk(said))[0])).toBe(id);
});

test('says plainly that it is no language model', async () => {
  expect((await talk('Are you an AI?'))[0]!.text).toMatch(/computer.*no language model.*keywords/);
});

test('repeats its last words', async () => {
  const [first, second] = await talk('Where are you?', 'Sorry, could you say that again?');
  expect(second!.text).toBe(first!.text);
});

test('takes a message when its offer is accepted', async () => {
  const said = await talk('Who won the cup?', 'Yes please.', 'Ann Miller, 5 5 5, about my saddle.', 'Bye!');
  expect(said.map(meant)).toEqual(['unknown', 'leave-message', 'message-taken', 'goodbye']);
});

test('answers are short enough to be spoken', () => {
  for (const { id, answer } of exampleBusiness().facts) {
    const sentences = answer.split(/(?<=[.!?])\s+/);
    expect(sentences.length, id).toBeLessThanOrEqual(3);
    expect(sentences[0]!.length, id).toBeLessThanOrEqual(80);
  }
});

test('a huge or strange message is answered in time', async () => {
  const startedAt = performance.now();
  for (const text of [
    'open '.repeat(50_000),
    '\u0000\ud800',
    '𝓗𝓮𝓵𝓵𝓸',
    "'".repeat(30_000),
    '=open =price __proto__',
  ]) {
    expect((await talk(text))[0]!.text).not.toBe('');
  }
  expect(performance.now() - startedAt).toBeLessThan(2000);
});
