import { describe, expect, it } from 'vitest';
import { redactionKinds } from '../../../src/privacy/kinds.ts';
import { countriesOf, nationalDigits } from '../../../src/privacy/phones.ts';
import { type RedactionOptions, redact } from '../../../src/privacy/redaction.ts';
import { seeded } from '../../support/random.ts';

const everything: RedactionOptions = { kinds: redactionKinds, countries: ['US', 'GB'], known: [] };

/** Turns of caller and agent, one after the other, the caller first; what is stored of them. */
function stored(turns: readonly string[], options: Partial<RedactionOptions> = {}): string[] {
  const said = turns.map((text, i) => ({
    role: i % 2 === 0 ? ('caller' as const) : ('agent' as const),
    text,
  }));
  return redact(said, [], { ...everything, ...options }).turns;
}
const one = (text: string, options: Partial<RedactionOptions> = {}) => stored([text], options)[0];

describe('cards', () => {
  it.each([
    ['My card is 4111 1111 1111 1111.', 'My card is [card].'],
    ['4111-1111-1111-1111 please', '[card] please'],
    ['It is 4111111111111111', 'It is [card]'],
    ['Amex 3782 822463 10005, thanks', 'Amex [card], thanks'],
    // What follows in one breath is on the card as well.
    ['4111 1111 1111 1111, 12 27, 123.', '[card].'],
    ['four one one one one one one one one one one one one one one one', '[card]'],
    ['Four one one one. Uh, one one one one, then one one one one, and one one one one.', '[card].'],
    ['four triple one, double one double one, 1111, 1111', '[card]'],
    ['forty-one eleven, eleven eleven, eleven eleven, eleven eleven it is', '[card] it is'],
    ['triple five five, double five double five, 5555, four four four four', '[card]'],
    ['vier eins eins eins eins eins eins eins eins eins eins eins eins eins eins eins danke', '[card] danke'],
  ])('%s', (said, kept) => {
    expect(one(said, { kinds: ['card'] })).toBe(kept);
  });

  it('are found over several turns, with a "go on" between them', () => {
    expect(
      stored([
        'Sure, it is four one one one.',
        'Go on.',
        'One one one one',
        'Yes?',
        'Okay, 1111, then',
        'And?',
        'And one one one one. My name is Ann.',
      ]),
    ).toEqual([
      'Sure, it is [card]',
      'Go on.',
      '[card]',
      'Yes?',
      '[card]',
      'And?',
      '[card]. My name is Ann.',
    ]);
  });

  it('are found where the agent repeats them, whole or in groups', () => {
    expect(
      stored([
        'My card is 4111 1111 1111 1111',
        'Four one one one, is that right?',
        'Yes',
        'That is 4111111111111111.',
      ]),
    ).toEqual(['My card is [card]', '[card], is that right?', 'Yes', 'That is [card].']);
  });

  it.each([
    'My card is 4111 1111 1111 1112.',
    'The parcel is 1234 5678 9012 3456 7890 1234.',
    'It was 1732190000123 then.',
    'The EAN is 9780306406157.',
    'I paid four one one one for it, and one one one one for that.',
  ])('are not: %s', (said) => {
    expect(one(said, { kinds: ['card'] })).toBe(said);
  });
});

describe('e-mail addresses', () => {
  it.each([
    ['Write to john.smith+x@mail.example.co.uk, please', 'Write to [email], please'],
    ['It is john dot smith at example dot com.', 'It is [email].'],
    ['my email is john smith at gmail dot com', 'my email is [email]'],
    ["That's j o h n underscore one two at example dot co dot uk, okay?", "That's [email], okay?"],
    ['john dot smith@example.com', '[email]'],
    ['müller at beispiel punkt de bitte', '[email] bitte'],
  ])('%s', (said, kept) => {
    expect(one(said)).toBe(kept);
  });

  it.each([
    'Look at example dot com for it.',
    'I will be there at noon. Dot the i.',
    'Meet me at five at the station.',
    'Our website is at shop dot example dot com.',
    '@ is called at.',
  ])('are not: %s', (said) => {
    expect(one(said)).toBe(said);
  });
});

describe('telephone numbers', () => {
  it.each([
    ['Call +49 30 901820, please.', 'Call [phone], please.'],
    ['Call me on oh seven seven double oh nine double oh one two three.', 'Call me on [phone].'],
    ['plus four four two oh, seven nine four six, oh nine five eight', '[phone]'],
    ['555-123-4567? No: 212-555-0123.', null],
    ['My mobile is five five five, oh one two three.', 'My mobile is [phone].'],
    ['It is (212) 555 0123.', 'It is [phone].'],
    ['eight hundred four five six seven eight nine oh', '[phone]'],
    ['0049 30 901820', '[phone]'],
  ])('%s', (said, kept) => {
    if (kept === null) expect(one(said)).toContain('[phone]');
    else expect(one(said)).toBe(kept);
  });

  it('are known by what was asked', () => {
    const asked = (question: string) =>
      stored(['Hello', question, 'Sure, it is 020 555 01'], { countries: [] })[2];
    expect(asked('What is your phone number?')).toBe('Sure, it is [phone]');
    expect(asked('What is your order number?')).toBe('Sure, it is 020 555 01');
  });

  it("are known where they are the call's own", () => {
    const known = [nationalDigits('+493090182012')!];
    expect(one('My number is oh three oh nine oh one eight two oh one two', { countries: [], known })).toBe(
      'My number is [phone]',
    );
  });

  it('have the countries of the call', () => {
    expect(countriesOf('+493090182012', ['en-US', 'de', null, 'fr-xx'])).toEqual(['DE', 'US']);
    expect(one('Das ist 030 901820', { countries: [] })).toBe('Das ist 030 901820');
    expect(one('Das ist 030 901820', { countries: ['DE'] })).toBe('Das ist [phone]');
  });

  it.each([
    'That is two hundred and fifty euros.',
    'My order number is 2125550123.',
    'The reference is two one two, five five five, oh one two three.',
    'I was born on 12.03.1985 at 7:30.',
    'From 2024 to 2026 it was 1,250,000 a year.',
    'One or two of them, at three or four, for five people.',
    'Room 101, floor 12, 5 nights.',
  ])('are not: %s', (said) => {
    expect(one(said)).toBe(said);
  });
});

describe('identity numbers', () => {
  it.each([
    ['My social is 536-90-4399.', 'My social is [identity].'],
    [
      'My social security number is five three six, nine oh, four three nine nine',
      'My social security number is [identity]',
    ],
    ['It is AB 12 34 56 C.', 'It is [identity].'],
    ['A B one two three four five six C', '[identity]'],
    ['IBAN DE89 3704 0044 0532 0130 00, thank you', 'IBAN [identity], thank you'],
    [
      'd e eight nine three seven oh four double oh double four oh five three two oh one three triple oh',
      '[identity]',
    ],
    ['GB29NWBK60161331926819 is the account', '[identity] is the account'],
    ['El DNI es 54362315K.', 'El DNI es [identity].'],
    ['RCCMNL83S18D969H', '[identity]'],
    ['2 95 10 99 126 111 93', '[identity]'],
  ])('%s', (said, kept) => {
    expect(one(said, { kinds: ['identity'] })).toBe(kept);
  });

  it.each([
    '000-12-3456',
    'DE88 3704 0044 0532 0130 00',
    'part BG 12 34 56 A',
    'order 536904399',
    '54362315A',
  ])('are not: %s', (said) => {
    expect(one(said, { kinds: ['identity'] })).toBe(said);
  });
});

describe('redaction', () => {
  const all = 'Card 4111 1111 1111 1111, mail a@b.example, phone +4930901820, id AB123456C.';

  it('takes out what it is asked for', () => {
    expect(one(all, { kinds: [] })).toBe(all);
    expect(one(all)).toBe('Card [card], mail [email], phone [phone], id [identity].');
    expect(one(all, { kinds: ['email'] })).toBe(
      'Card 4111 1111 1111 1111, mail [email], phone +4930901820, id AB123456C.',
    );
  });

  it('finds in other texts of the call what was said in it', () => {
    const turns = [{ role: 'caller' as const, text: 'It is 4111 1111 1111 1111' }];
    const { notes } = redact(turns, ['Bad content: "4111 1111"', 'status 503', 'to a@b.example'], everything);
    expect(notes).toEqual(['Bad content: "[card]"', 'status 503', 'to [email]']);
  });

  it('lets turns wait in which a number is being dictated', () => {
    const settled = (...texts: string[]) =>
      redact(
        texts.map((text, i) => ({ role: i % 2 === 0 ? ('caller' as const) : ('agent' as const), text })),
        [],
        everything,
      ).settled;
    expect(settled('Hello', 'Your card?', 'Four one one one')).toBe(2);
    expect(settled('Hello', 'Your card?', '4111.', 'Go on.')).toBe(2);
    expect(settled('Hello', 'Your card?', '4111.', 'Go on.', '1111 11')).toBe(2);
    expect(settled('Hello', 'Your card?', '4111.', 'Go on.', 'I have lost it.', 'Oh.')).toBe(6);
    expect(settled('Hello', 'Four of them?')).toBe(2);
  });

  it('says the same of any text, in time, and changes nothing that it does not cover', () => {
    const random = seeded(7);
    const pieces = [
      'four',
      'one',
      '4111',
      '1111',
      'at',
      'dot',
      'com',
      '@',
      '+',
      'plus',
      'DE',
      '89',
      ' ',
      '\n',
      'oh',
      'and',
      'uh',
      'Ünï',
      '😀',
      '\ud800',
      'double',
      'hundred',
      'twenty',
      '-',
      '.',
      ',',
      'phone',
      'order',
      '(',
      ')',
      'A',
      'B',
      '12',
    ];
    for (let round = 0; round < 300; round++) {
      const texts = Array.from({ length: 3 }, () =>
        Array.from({ length: random.whole(40) }, () => random.of(pieces)).join(
          random.fraction() < 0.5 ? ' ' : '',
        ),
      );
      const once = stored(texts);
      once.forEach((text, i) => {
        const kept = text.split(/\[(?:card|email|phone|identity)\]/);
        let at = 0;
        for (const part of kept) {
          const found = texts[i]!.indexOf(part, at);
          expect(found).toBeGreaterThanOrEqual(at);
          at = found + part.length;
        }
      });
    }
  });

  it('takes long texts of nothing but numbers', () => {
    for (const piece of ['1 ', 'one ', '4111 ', 'a at b dot ', 'D E 8 9 ', 'x@', '+1 ', 'a.']) {
      const text = piece.repeat(Math.floor(8_000 / piece.length));
      expect(one(text)!.length).toBeLessThanOrEqual(text.length + 8_000);
    }
  });
});
