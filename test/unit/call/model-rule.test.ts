import { expect, it } from 'vitest';
import { tierFor } from '../../../src/call/model-rule.ts';
import { createCall } from '../../support/call-harness.ts';

const said = (content: string) => [
  { role: 'system' as const, content: 'Explain everything.' },
  { role: 'user' as const, content },
  { role: 'assistant' as const, content: 'compare' },
];

it.each([
  ['Please explain that to me.', 'strong'],
  ['Please EXPLAIN, that to me.', 'strong'],
  ['No explanation, please.', 'quick'],
  ['Step by step, please.', 'strong'],
  ['Compare them.', 'quick'],
  ['one two three four five six seven eight', 'strong'],
] as const)('the caller’s words choose the model: "%s" → %s', (text, tier) => {
  expect(tierFor({ phrases: ['explain', 'step by step', '  '], fromWords: 8 }, said(text))).toBe(tier);
});

it('without a rule the quick model answers everything', () => {
  expect(tierFor({ phrases: [], fromWords: 0 }, said('explain '.repeat(50)))).toBe('quick');
  expect(tierFor({ phrases: ['explain'], fromWords: 1 }, [])).toBe('quick');
});

it('a call asks for the model that the rule names, turn by turn', async () => {
  const tiers: (string | undefined)[] = [];
  const call = createCall({
    agent: { greeting: '', model: { phrases: ['explain'], fromWords: 0 } },
    script: { transcripts: ['Hello there.', 'Explain it.'] },
  });
  const { reply } = call.providers.languageModel;
  call.providers.languageModel.reply = (request, signal) => {
    tiers.push(request.tier);
    return reply(request, signal);
  };
  await call.start();
  for (let i = 0; i < 2; i++) {
    await call.speak(600);
    await call.silence(3_000);
  }
  expect(tiers).toEqual(['quick', 'strong']);
});
