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

it('the words beside a label are kept without it', () => {
  expect(withoutSoundLabels('[Music] Okay.')).toBe('Okay.');
  expect(withoutSoundLabels('Well (laughs) yes ♪')).toBe('Well yes');
});

it.each(['Yes.', 'Call (415) 555.', 'Room [12]', '7', 'はい。', 'C*'])('%j is kept as it is', (text) => {
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
