import { expect, it } from 'vitest';
import { withoutSoundLabels } from '../../../src/text/sound-label.ts';
import { createCall } from '../../support/call-harness.ts';

it.each([
  '[Music]',
  '(applause)',
  '♪ la la ♪',
  '♪',
  '...',
  ' *coughs* ',
  '[BLANK_AUDIO] (music playing)',
  '【音楽】',
  '',
])('%j is no word', (text) => {
  expect(withoutSoundLabels(text)).toBe('');
});

it.each(['Yes.', '[laughs] Yes.', 'Room (b)', '7', 'はい。', 'C*'])('%j is kept as it is', (text) => {
  expect(withoutSoundLabels(text)).toBe(text);
});

it('hold music that a transcriber labels makes no turn', async () => {
  const call = createCall({
    agent: { greeting: '' },
    script: { transcripts: ['[Music]', '♪ ♪'], pauses: ['[Music]'] },
  });
  await call.start();
  for (let i = 0; i < 2; i++) {
    await call.speak(1_000);
    await call.silence(2_000);
  }
  expect(call.transcript()).toEqual([]);
  expect(call.asked.messages).toEqual([]);
});
