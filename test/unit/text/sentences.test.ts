import { describe, expect, it } from 'vitest';
import { SentenceChunker, type SentenceChunkerOptions } from '../../../src/text/sentences.ts';

/** Every sentence by itself, so that a test sees each decision. */
const eager = { firstMinCharacters: 1, minCharacters: 1 };

function chunk(text: string, options: SentenceChunkerOptions = {}): string[] {
  const chunker = new SentenceChunker(options);
  return [...chunker.push(text), ...chunker.flush()];
}

describe('SentenceChunker', () => {
  it.each<[string, string[]]>([
    ['Hello. How are you? Fine!', ['Hello.', 'How are you?', 'Fine!']],
    [
      'Ask Mr. Miller, Dr. Wu or Mrs. Gray. They know.',
      ['Ask Mr. Miller, Dr. Wu or Mrs. Gray.', 'They know.'],
    ],
    [
      'Bring fruit, e.g. apples, i.e. no nuts. Thanks.',
      ['Bring fruit, e.g. apples, i.e. no nuts.', 'Thanks.'],
    ],
    ['Open from 9 a.m. to 5 p.m. Call us.', ['Open from 9 a.m. to 5 p.m.', 'Call us.']],
    [
      'It is 9.30 now. It costs $9.99. Or 3.5 percent.',
      ['It is 9.30 now.', 'It costs $9.99.', 'Or 3.5 percent.'],
    ],
    ['You pay $5. That is all.', ['You pay $5.', 'That is all.']],
    [
      'See https://a.example/b.c?d=e! Or mail x.y@z.example. Bye.',
      ['See https://a.example/b.c?d=e!', 'Or mail x.y@z.example.', 'Bye.'],
    ],
    ['Well... let me see. Hm… Yes.', ['Well... let me see.', 'Hm…', 'Yes.']],
    [
      '"Really?" she asked. He said "Stop." Then he left.',
      ['"Really?" she asked.', 'He said "Stop."', 'Then he left.'],
    ],
    ['Really?! Yes.', ['Really?!', 'Yes.']],
    ['J. R. Smith called. It was me.', ['J. R. Smith called.', 'It was me.']],
    [
      'He joined the U.S. Army. We moved to the U.S. They stayed.',
      ['He joined the U.S. Army.', 'We moved to the U.S.', 'They stayed.'],
    ],
    [
      'We are at 12 Main St. Please come. Or to St. Mary.',
      ['We are at 12 Main St.', 'Please come.', 'Or to St. Mary.'],
    ],
    ['Take bus No. 7. Or say no. Both work.', ['Take bus No. 7.', 'Or say no.', 'Both work.']],
    [
      'Mix flour, sugar, etc. and stir. Cakes, pies, etc. We bake.',
      ['Mix flour, sugar, etc. and stir.', 'Cakes, pies, etc.', 'We bake.'],
    ],
    ['Bonjour ! Ça va ?', ['Bonjour !', 'Ça va ?']],
    ['¿Qué tal? ¡Bien!', ['¿Qué tal?', '¡Bien!']],
    [
      'こんにちは。「はい。」と言いました！元気ですか？',
      ['こんにちは。', '「はい。」と言いました！', '元気ですか？'],
    ],
    ['नमस्ते। आप कैसे हैं?', ['नमस्ते।', 'आप कैसे हैं?']],
  ])('finds the sentences of %j', (text, expected) => {
    expect(chunk(text, eager)).toEqual(expected);
  });

  it.each<[string, string[]]>([
    ['# Menu\n\n## Pizza\nSmall.', ['Menu', 'Pizza', 'Small.']],
    ['- **Small** costs *5* dollars\n* __Large__ _too_\n+ `x`', ['Small costs 5 dollars', 'Large too', 'x']],
    ['1. Call us.\n2. Wait.', ['1. Call us.', '2. Wait.']],
    ['See [our web site](https://a.example/b.c), please.', ['See our web site, please.']],
    ['![logo](https://a.example/l.png) Hi', ['logo Hi']],
    ['> quoted\n---\n***\nend', ['quoted', 'end']],
    ['```json\n{}\n```\ndone', ['done']],
    ['| Day | Time |\n|-----|:---:|\n| Monday | 9 |', ['Day Time', 'Monday 9']],
    ['Great 😀👍🏽! 👨‍👩‍👧 Bye 🇩🇪', ['Great !', 'Bye']],
    ['**Note**: 2 * 3 is 2*3, snake_case stays.', ['Note: 2 * 3 is 2*3, snake_case stays.']],
    ['This is ***very*** important.', ['This is very important.']],
  ])('does not read out the markup of %j', (text, expected) => {
    expect(chunk(text, eager)).toEqual(expected);
  });

  it.each(['', ' \n\r\n\t', '...', '—', '😀', '\n\n- \n---\n', '\u0000\u0001'])(
    'says nothing for %j',
    (text) => {
      expect(chunk(text)).toEqual([]);
    },
  );

  it('emits a sentence with the first letter after it, and a certain one with the space', () => {
    const chunker = new SentenceChunker();
    expect(chunker.push('We are open today.')).toEqual([]);
    expect(chunker.push(' ')).toEqual(['We are open today.']);
    expect(chunker.push('It costs 5 dollars and 20 cents, I think, or 30. ')).toEqual([]);
    expect(chunker.push('M')).toEqual(['It costs 5 dollars and 20 cents, I think, or 30.']);
    expect(chunker.push('ore?\n')).toEqual(['More?']);
    expect(chunker.flush()).toEqual([]);
  });

  it('does not begin with a clipped word, and speaks short sentences together', () => {
    expect(chunk('Sure. We can do that. Yes. No. Maybe we should ask again tomorrow. OK.')).toEqual([
      'Sure. We can do that.',
      'Yes. No. Maybe we should ask again tomorrow.',
      'OK.',
    ]);
  });

  it('never waits for a model that writes no punctuation, and cuts between words', () => {
    const text = Array.from({ length: 300 }, (_, i) => `word${i}`).join(' ');
    const chunks = chunk(text);
    expect(chunks[0]!.length).toBeLessThanOrEqual(120);
    expect(Math.max(...chunks.map((piece) => piece.length))).toBeLessThanOrEqual(200);
    expect(chunks.join(' ')).toBe(text);
  });

  it('cuts a sentence that is too long after a clause', () => {
    const text = `If you come on a weekday before noon, which most of our guests prefer to do, ${'you may park behind the house '.repeat(5)}`;
    expect(chunk(text)[0]).toBe(
      'If you come on a weekday before noon, which most of our guests prefer to do,',
    );
  });

  it('cuts a word without end, without breaking a character in two', () => {
    const text = `x${'𝒳'.repeat(1001)}${'x'.repeat(1000)}`;
    const chunks = chunk(text);
    expect(chunks.join('')).toBe(text);
    expect(Math.max(...chunks.map((piece) => piece.length))).toBeLessThanOrEqual(201);
    for (const piece of chunks) expect(piece.isWellFormed()).toBe(true);
  });

  it('starts anew after flush', () => {
    const chunker = new SentenceChunker();
    expect([...chunker.push('- One two three'), ...chunker.flush()]).toEqual(['One two three']);
    expect([...chunker.push('- Hello there. Bye'), ...chunker.flush()]).toEqual(['Hello there.', 'Bye']);
  });

  const pieces = [
    ...'Dr. Mr. St. e.g. a.m. etc. U.S. No. 1. 9.30 $5. J. I. "Yes." (no) ok? why! ... … well, so; then: — 😀 👨‍👩‍👧 *a* **b** `c`'.split(
      ' ',
    ),
    ...'- # > | --- 。 はい、「そう。」 नमस्ते। [x](http://a.b/c) http://a.example/b.c. word Word iPhone naïve 𝒳 we Then'.split(
      ' ',
    ),
    'antidisestablishmentarianism'.repeat(9),
    '\n',
    '\r\n',
    '\n\n',
    '\t',
  ];

  it('gives the same pieces however the text is cut', () => {
    const random = seeded(7);
    for (let round = 0; round < 1500; round++) {
      const text = randomText(random, pieces, 40);
      const whole = chunk(text);
      const chunker = new SentenceChunker();
      const cut: string[] = [];
      for (let at = 0; at < text.length; ) {
        const length = 1 + Math.floor(random() ** 2 * 12);
        cut.push(...chunker.push(text.slice(at, at + length)));
        at += length;
      }
      cut.push(...chunker.flush());
      expect(cut, JSON.stringify(text)).toEqual(whole);
      expect(Math.max(0, ...whole.map((piece) => piece.length)), JSON.stringify(text)).toBeLessThanOrEqual(
        201,
      );
    }
  });

  it('loses no word and says none twice', () => {
    const random = seeded(11);
    const plain = pieces.filter(
      (piece) => /^[\p{L}\p{N}".,;:()?!$…。、「」।/'-]+$/u.test(piece) && /[\p{L}\p{N}]/u.test(piece),
    );
    expect(plain.length).toBeGreaterThan(20);
    for (let round = 0; round < 1500; round++) {
      const text = randomText(random, [...plain, '\n'], 40);
      expect(chunk(text).join(' ').replace(/\s+/g, ''), JSON.stringify(text)).toBe(text.replace(/\s+/g, ''));
    }
  });
});

function randomText(random: () => number, vocabulary: readonly string[], most: number): string {
  let text = '';
  for (let i = Math.floor(random() * most); i > 0; i--) {
    text += vocabulary[Math.floor(random() * vocabulary.length)]! + (random() < 0.85 ? ' ' : '');
  }
  return text;
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
