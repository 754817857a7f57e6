import { describe, expect, it } from 'vitest';
import { type Entry, Transcript } from '../../../src/console/model/transcript.ts';

/** `agent: heard words [cut words]`; interim text in parentheses, what is being said in angle brackets. */
function shown({ role, parts }: Entry): string {
  const signs = { heard: ['', ''], cut: ['[', ']'], interim: ['(', ')'], said: ['<', '>'] } as const;
  return `${role}: ${parts.map(({ text, kind }) => signs[kind][0] + text + signs[kind][1]).join(' ')}`;
}

function conversation() {
  const transcript = new Transcript();
  const say = (role: 'caller' | 'agent', text: string, final: boolean) =>
    transcript.take({ role, text, final }, 0);
  return { transcript, say, lines: () => transcript.entries.map(shown) };
}

describe('the transcript', () => {
  it('replaces the caller’s interim text until the final one comes', () => {
    const { say, lines } = conversation();
    say('caller', 'When are', false);
    say('caller', 'When are you open', false);
    expect(lines()).toEqual(['caller: (When are you open)']);
    say('caller', 'When are you open?', true);
    expect(lines()).toEqual(['caller: When are you open?']);
    say('caller', 'And', false);
    expect(lines()).toEqual(['caller: When are you open?', 'caller: (And)']);
  });

  it('gathers the agent’s sentences, and takes them for heard when the record says so', () => {
    const { say, lines } = conversation();
    say('agent', 'We open at nine.', false);
    say('agent', 'We close at five.', false);
    expect(lines()).toEqual(['agent: <We open at nine.> <We close at five.>']);
    say('agent', 'We open at nine. We close at five.', true);
    expect(lines()).toEqual(['agent: We open at nine. We close at five.']);
  });

  it('shows what an interruption cut off, from the word on', () => {
    const { say, lines } = conversation();
    say('agent', 'We open at nine.', false);
    say('agent', 'We close at five.', false);
    say('agent', 'We open at nine. We close', true);
    expect(lines()).toEqual(['agent: We open at nine. We close [at five.]']);
  });

  it('shows whole sentences as cut off that were not reached', () => {
    const { say, lines } = conversation();
    say('agent', 'We open at nine.', false);
    say('agent', 'We close at five.', false);
    say('agent', 'We open', true);
    expect(lines()).toEqual(['agent: We open [at nine. We close at five.]']);
  });

  it('keeps the agent’s turn open under a backchannel of the caller’s', () => {
    const { say, lines } = conversation();
    say('agent', 'We open at nine.', false);
    say('caller', 'Uh-huh.', false);
    say('caller', 'Uh-huh.', true);
    say('agent', 'We close at five.', false);
    say('agent', 'We open at nine. We close at five.', true);
    expect(lines()).toEqual(['agent: We open at nine. We close at five.', 'caller: Uh-huh.']);
  });

  it('takes the record’s word where a speech model said other words than were announced', () => {
    const { say, lines } = conversation();
    say('agent', 'We are open from nine.', false);
    say('agent', 'Our hours begin at nine.', true);
    expect(lines()).toEqual(['agent: Our hours begin at nine.']);
  });

  it('shows a final turn of which nothing was announced', () => {
    const { say, lines } = conversation();
    say('caller', 'Hello?', true);
    say('agent', 'Good morning.', true);
    expect(lines()).toEqual(['caller: Hello?', 'agent: Good morning.']);
  });

  it('takes a turn that is still open for not heard at all once nobody speaks', () => {
    const { transcript, say, lines } = conversation();
    say('agent', 'We open at nine.', false);
    say('caller', 'Stop', false);
    expect(transcript.settle('agent').map(({ role }) => role)).toEqual(['agent']);
    expect(lines()).toEqual(['agent: [We open at nine.]', 'caller: (Stop)']);
    say('agent', 'As you like.', false);
    expect(lines().at(-1)).toBe('agent: <As you like.>');
  });

  it('drops interim text that came to nothing', () => {
    const { transcript, say, lines } = conversation();
    say('caller', 'Hm', false);
    const gone = transcript.settle();
    expect(gone.map(({ parts }) => parts)).toEqual([[]]);
    expect(lines()).toEqual([]);
    expect(say('caller', '', false)).toBeNull();
    expect(say('agent', '', true)).toBeNull();
  });

  it('tells which entry has changed, by one id for its whole life', () => {
    const { say } = conversation();
    const first = say('caller', 'When', false)!.id;
    expect(say('caller', 'When?', true)!.id).toBe(first);
    expect(say('caller', 'And', false)!.id).not.toBe(first);
  });
});
