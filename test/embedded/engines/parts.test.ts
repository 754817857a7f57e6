import { describe, expect, test } from 'vitest';
import { ApiError } from '../../../embedded/engines/http/api-error.ts';
import { Gate } from '../../../embedded/engines/http/gate.ts';
import { cleanTranscript } from '../../../embedded/engines/stt/moonshine-files.ts';
import { splitAtQuiet } from '../../../embedded/engines/stt/split.ts';
import { speakableSentences } from '../../../embedded/engines/tts/speakable.ts';

describe('gate', () => {
  const never = new AbortController().signal;

  test('runs so many at once, lets so many wait, refuses the next', async () => {
    const gate = new Gate(1, 1);
    const done = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = gate.run(never, async () => {
      order.push('first');
      await done.promise;
    });
    const second = gate.run(never, async () => order.push('second'));
    await expect(gate.run(never, async () => order.push('third'))).rejects.toMatchObject({ status: 429 });
    expect(order).toEqual(['first']);
    done.resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
    await expect(gate.run(never, async () => 'free again')).resolves.toBe('free again');
  });

  test('who stops waiting frees its place, and a failed task its turn', async () => {
    const gate = new Gate(1, 1);
    const done = Promise.withResolvers<void>();
    const first = gate.run(never, () => done.promise);
    const leaving = new AbortController();
    const left = gate.run(leaving.signal, async () => 'never');
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    const next = gate.run(never, async () => {
      throw new ApiError(500, 'broken');
    });
    done.resolve();
    await first;
    await expect(next).rejects.toThrow('broken');
    await expect(gate.run(never, async () => 'still works')).resolves.toBe('still works');
  });
});

describe('speakable sentences', () => {
  test.each([
    ['Hello. How are you?', ['Hello.', 'How are you?']],
    ['Ask Mr. Smith at 9 a.m. on Monday.', ['Ask Mr. Smith at 9 a.m. on Monday.']],
    ['That is £12.50, or €3!', ['That is 12 pounds 50, or 3 euros!']],
    ['**Bold** [link](http://x) `code` – done', ['Bold link code , done']],
    ['Café 👍 naïve 日本', ['Cafe naive']],
    ['Nul\u0000 and \u0007 bell', ['Nul and bell']],
    ['👍 … ?!', []],
    ['', []],
  ])('%j → %j', (text, expected) => {
    expect(speakableSentences(text).map((sentence) => sentence.replace(/\s+/g, ' '))).toEqual(expected);
  });

  test('a sentence without end is cut into bounded pieces that lose no word', () => {
    const text = Array.from({ length: 600 }, (_, i) => `word${i}`).join(' ');
    const pieces = speakableSentences(text);
    expect(pieces.every((piece) => piece.length <= 400)).toBe(true);
    expect(pieces.join(' ')).toBe(text);
    expect(speakableSentences('x'.repeat(4096)).join('')).toBe('x'.repeat(4096));
  });
});

test('audio is cut where it is quiet, and nothing of it is lost', () => {
  const loud = Int16Array.from({ length: 32_000 }, (_, i) => (i % 2 === 0 ? 5000 : -5000));
  loud.fill(0, 14_000, 15_200);
  const pieces = splitAtQuiet(loud, 16_000);
  expect(pieces.every((piece) => piece.length <= 16_000)).toBe(true);
  expect(pieces[0]!.length).toBeGreaterThan(14_000);
  expect(pieces[0]!.length).toBeLessThan(15_200);
  expect(pieces.reduce((sum, piece) => sum + piece.length, 0)).toBe(loud.length);
});

test('tokens that are no text are dropped and bytes put together', () => {
  expect(cleanTranscript(' I like <0xC3><0xA9>clairs.<<ST_32001>> </s>')).toBe('I like éclairs.');
});
