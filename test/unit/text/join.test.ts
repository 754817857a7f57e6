import { describe, expect, it } from 'vitest';
import { joinTranscripts } from '../../../src/text/join.ts';

describe('joinTranscripts', () => {
  it.each<[string[], string]>([
    [[], ''],
    [['', '  '], ''],
    [['Hello.'], 'Hello.'],
    [['I want to.', 'Book a table.'], 'I want to book a table.'],
    [['I want to', '', 'Book a table', ' for two. '], 'I want to book a table for two.'],
    [['Can I have the...', '...Large one?'], 'Can I have the large one?'],
    [['Tell them.', 'I will be late.'], 'Tell them. I will be late.'],
    [['And then.', "I'm here."], "And then. I'm here."],
    [['We come on.', 'Monday.'], 'We come on Monday.'],
    [['The agency is.', 'NASA.'], 'The agency is NASA.'],
    [['Speak to.', 'McDonald please.'], 'Speak to McDonald please.'],
    [
      ['I called Berlin yesterday, and.', 'Berlin answered.'],
      'I called Berlin yesterday, and Berlin answered.',
    ],
    [['My name is John.', 'We want a room.'], 'My name is John. We want a room.'],
    [['What time is it?', 'Please tell me.'], 'What time is it? Please tell me.'],
    [['Give me.', 'A table.'], 'Give me a table.'],
    [['Vitamin.', 'C is fine.'], 'Vitamin C is fine.'],
    [['It costs.', '30 dollars.'], 'It costs 30 dollars.'],
    [['I said "yes".', 'Twice.'], 'I said "yes" twice.'],
    [['予約を。', 'したいです。'], '予約をしたいです。'],
  ])('joins %j', (windows, expected) => {
    expect(joinTranscripts(windows)).toBe(expected);
  });

  it('leaves German nouns their capital', () => {
    expect(joinTranscripts(['Ich brauche einen.', 'Tisch.'], 'de-CH')).toBe('Ich brauche einen Tisch.');
  });

  it('breaks a name that is seen nowhere else: its documented limit', () => {
    expect(joinTranscripts(['I live in.', 'Berlin.'])).toBe('I live in berlin.');
  });
});
