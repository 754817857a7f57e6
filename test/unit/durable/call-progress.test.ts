import { describe, expect, it } from 'vitest';
import type { CallEvent } from '../../../src/call/events.ts';
import { CallProgress } from '../../../src/durable/call-progress.ts';
import { mapKv } from '../../support/map-kv.ts';

type Sentence = Extract<CallEvent, { type: 'agent.sentence' }>;
const planned = (text: string): Sentence => ({ type: 'agent.sentence', state: 'planned', text });
const heard = (text: string, state: 'heard' | 'partly' = 'heard'): Sentence => ({
  type: 'agent.sentence',
  state,
  text,
  from: 1,
  until: 2,
});
const over: Sentence = { type: 'agent.sentence', state: 'over' };
const recorded = (role: 'caller' | 'agent', text: string): CallEvent => ({
  type: 'turn.recorded',
  turn: { role, text, position: 0, startMs: 0, endMs: 0, interrupted: false, latency: null },
});
const key = (digit: string): CallEvent => ({ type: 'dtmf', digit, durationMs: 80 });

/** What another object reads after these events. */
function progressOf(...events: CallEvent[]) {
  const kv = mapKv();
  const progress = new CallProgress(kv);
  for (const event of events) progress.hear(event);
  const { heard: sentences, ...rest } = new CallProgress(kv).read();
  return { ...rest, heard: sentences.map(({ text }) => text) };
}

describe('the progress of a call', () => {
  it('knows what was planned and not heard', () => {
    expect(progressOf(planned('One.'), planned('Two.'), heard('One.'))).toMatchObject({
      heard: ['One.'],
      unheard: ['Two.'],
      written: false,
    });
  });

  it('forgets a sentence whose speech failed once a later one was heard', () => {
    expect(progressOf(planned('One.'), planned('Two.'), heard('Two.'))).toMatchObject({
      heard: ['Two.'],
      unheard: [],
    });
  });

  it.each([
    ['the turn is over', over],
    ['it stands in the record', recorded('agent', 'One.')],
  ])('begins anew when %s', (_, event) => {
    expect(progressOf(planned('One.'), planned('Two.'), heard('One.'), event)).toMatchObject({
      heard: [],
      unheard: [],
      written: true,
    });
  });

  it('has the newest of what a model that speaks by itself was heard to say, and once', () => {
    const events = [
      heard('We are', 'partly'),
      heard('We are open.'),
      heard('We are open. From nine', 'partly'),
    ];
    expect(progressOf(...events)).toMatchObject({ heard: ['We are open. From nine'], written: false });
    expect(progressOf(...events, heard('We are open. From nine to five.'))).toMatchObject({
      heard: ['We are open. From nine'],
    });
    const next = [recorded('agent', 'We are open. From nine to five.'), planned('Hello?'), heard('Hello?')];
    expect(progressOf(...events, ...next).heard).toEqual(['Hello?']);
  });

  it('has no line twice that followed what such a model was heard to say', () => {
    const events = [heard('We are', 'partly'), planned('I am sorry.'), planned('Say it again.')];
    expect(progressOf(...events, heard('I am sorry.'), heard('We are I am sorry.', 'partly'))).toMatchObject({
      heard: ['We are I am sorry.'],
      unheard: ['Say it again.'],
    });
  });

  it('has the keys that stand in no turn, however many, within bounds', () => {
    expect(progressOf(key('4'), key('7')).keys).toBe('47');
    expect(progressOf(key('4'), recorded('caller', 'Hello.'), key('7')).keys).toBe('47');
    expect(progressOf(key('4'), recorded('caller', 'It is Keys pressed: 4'), key('7')).keys).toBe('7');
    expect(progressOf(...Array.from({ length: 1_000 }, () => key('1'))).keys).toBe('1'.repeat(64));
  });

  it('of an older version has what that did not know', () => {
    const kv = mapKv();
    kv.put('progress', { heard: [], unheard: ['One.'], written: true, counts: null });
    expect(new CallProgress(kv).read()).toMatchObject({
      unheard: ['One.'],
      keys: '',
      acts: [],
      partly: false,
    });
  });
});
