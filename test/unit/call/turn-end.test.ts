import { describe, expect, it } from 'vitest';
import { type Completeness, completenessOf, TurnEnd } from '../../../src/call/turn-end.ts';
import { testEndpointing } from '../../support/call-harness.ts';

describe('completeness of what was said so far', () => {
  const cases: [string, Completeness][] = [
    ['I would like to book a service.', 'finished'],
    ['What time do you open?', 'finished'],
    ['Yes.', 'finished'],
    ['No', 'unknown'],
    ['Two.', 'finished'],
    ['It is for me', 'unknown'],
    ['I would like to', 'unfinished'],
    ['I would like to.', 'unfinished'],
    ['We came yesterday, but.', 'unfinished'],
    ['On Tuesday,', 'unfinished'],
    ['Well, um.', 'unfinished'],
    ['So...', 'unfinished'],
    ['Um.', 'unfinished'],
    ['My number is oh seven.', 'dictation'],
    ['Seven seven three.', 'dictation'],
    ['0 7 7', 'dictation'],
    ['It is 0177.', 'dictation'],
    ['The code is K.', 'dictation'],
    ['My email is joe dot', 'dictation'],
    ['That is spelled S', 'dictation'],
    ['I have two.', 'finished'],
    ['', 'unknown'],
    ['今日は空いていますか？', 'finished'],
  ];
  it.each(cases)('%j is %s', (text, kind) => {
    expect(completenessOf(text)).toBe(kind);
  });
});

describe('the wait for the end of a turn', () => {
  it('is short after a finished sentence, and longer after what breaks off or is dictated', () => {
    const end = new TurnEnd(testEndpointing);
    expect(end.waitMs('Where are you?')).toBe(500);
    expect(end.waitMs('I would like to')).toBe(1_500);
    expect(end.waitMs('My number is oh seven.')).toBe(2_000);
    expect(end.waitMs('For me')).toBe(500);
  });

  it('adapts to the caller’s own pauses, between minimum and maximum', () => {
    const end = new TurnEnd(testEndpointing);
    for (let i = 0; i < 10; i++) end.learnPause(900);
    expect(end.waitMs('For me')).toBeCloseTo(1_125, 0);
    expect(end.waitMs('Where are you?')).toBe(500);
    for (let i = 0; i < 20; i++) end.learnPause(10_000);
    expect(end.waitMs('For me')).toBe(3_000);
    for (let i = 0; i < 50; i++) end.learnPause(100);
    expect(end.waitMs('For me')).toBe(500);
  });
});
