import { beforeEach, describe, expect, it } from 'vitest';
import { chainSpeechToText } from '../../../src/providers/chain.ts';
import { Circuits } from '../../../src/providers/circuit-breaker.ts';
import { ProviderError, type SpeechToTextEvent } from '../../../src/providers/ports.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { outage, ScriptedEars, word } from '../../support/port-conformance-scripted.ts';

let clock: FakeClock;
let circuits: Circuits;
let first: ScriptedEars;
let second: ScriptedEars;
let hangUp: AbortController;
beforeEach(() => {
  clock = new FakeClock();
  circuits = new Circuits({}, clock, { fraction: () => 0.5 });
  first = new ScriptedEars('first/ears');
  second = new ScriptedEars('second/ears');
  hangUp = new AbortController();
});

const down = outage('first/ears');

function open(
  ears: ScriptedEars[] = [first, second],
  options: { keptMs?: number; keptUtterances?: number; deadlineMs?: number; restMs?: number } = {},
) {
  const { deadlineMs = 1_000, ...rest } = options;
  const chain = chainSpeechToText(
    ears.map((port) => ({ port, name: port.name, identity: port.name, deadlineMs })),
    { clock, circuits, ...rest },
  );
  const session = chain.open({
    sampleRate: 8000,
    language: 'en',
    keywords: ['pizza'],
    signal: hangUp.signal,
  });
  const events: SpeechToTextEvent[] = [];
  let over = false;
  void (async () => {
    for await (const event of session.events) events.push(event);
    over = true;
  })();
  /** Speaks the words; a bar is a pause. */
  const speak = (text: string): void => {
    for (const each of text.split(' ')) {
      if (each === '|') session.pause();
      else session.push(word(Number(each)));
    }
  };
  return {
    chain,
    session,
    events,
    speak,
    say(text: string): number {
      speak(text);
      return session.endUtterance();
    },
    isOver: () => over,
    /** What has become of each utterance, and the failures between. */
    async told(): Promise<string[]> {
      await settle();
      return events.flatMap((event) => {
        if (event.type === 'final')
          return [`${event.utterance}: ${event.text}${event.lost ? ' (lost)' : ''}`];
        if (event.type === 'failed') return [`${event.utterance} failed: ${event.error.provider}`];
        return event.type === 'failover' ? [`failover ${event.error.provider} ${event.error.failure}`] : [];
      });
    },
    served: () => events.flatMap((event) => (event.type === 'usage' ? [event.usage.provider] : [])),
  };
}

describe('a chain of speech to text', () => {
  it('is one session of the first one’s as long as that is well', async () => {
    const call = open();
    expect(call.say('1 2 | 3')).toBe(0);
    expect(call.say('4')).toBe(1);
    expect(await call.told()).toEqual(['0: 1 2 | 3', '1: 4']);
    expect(call.served()).toEqual(['first/ears', 'first/ears']);
    expect([first.sessions.length, second.sessions.length]).toEqual([1, 0]);
    expect(first.last.options).toMatchObject({ sampleRate: 8000, language: 'en', keywords: ['pizza'] });
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['ends', (ears: ScriptedEars) => ears.last.end(), 'unavailable'],
    ['throws', (ears: ScriptedEars) => ears.last.end(outage('first/ears', 'timeout')), 'timeout'],
    ['breaks', (ears: ScriptedEars) => ears.last.end(new TypeError('bug')), 'malformed'],
  ])(
    'gives the next one everything without a text when the session %s in mid-utterance',
    async (_, lose, failure) => {
      first.atEnd = 'nothing';
      const call = open();
      call.say('1 | 2');
      call.say('3');
      call.speak('4 | 5');
      lose(first);
      await settle();
      expect(second.last.utterances).toEqual(['1 | 2', '3']);
      expect(second.last.heard).toBe('4 | 5');
      call.speak('6');
      expect(call.session.endUtterance()).toBe(2);
      expect(call.say('7')).toBe(3);
      expect(await call.told()).toEqual([
        `failover first/ears ${failure}`,
        '0: 1 | 2',
        '1: 3',
        '2: 4 | 5 6',
        '3: 7',
      ]);
      expect(first.openSessions).toBe(0);
      expect(clock.pending).toBe(0);
    },
  );

  it('keeps the numbers of the call when the next one begins in the middle of it', async () => {
    const call = open();
    call.say('1');
    call.say('2');
    await call.told();
    call.speak('3');
    first.last.end();
    await settle();
    second.last.emit({ type: 'interim', utterance: 0, text: 'three' });
    second.last.emit({ type: 'endOfTurn', utterance: 0 });
    call.session.endUtterance();
    await settle();
    expect(call.events.slice(-5)).toEqual([
      { type: 'failover', error: expect.any(ProviderError) },
      { type: 'interim', utterance: 2, text: 'three' },
      { type: 'endOfTurn', utterance: 2 },
      { type: 'usage', usage: { provider: 'second/ears', audioSeconds: 0.02 } },
      { type: 'final', utterance: 2, text: '3' },
    ]);
  });

  it('asks the next one for an utterance that the first could not transcribe', async () => {
    first.atEnd = down;
    const call = open();
    call.say('1 2');
    expect(await call.told()).toEqual(['failover first/ears unavailable', '0: 1 2']);
    expect(call.served()).toEqual(['second/ears']);
  });

  it('asks the next one when a text does not come within the deadline; the late one is not told', async () => {
    first.atEnd = 'nothing';
    const call = open();
    call.say('1');
    const late = first.last;
    await clock.advance(999);
    expect(await call.told()).toEqual([]);
    await clock.advance(1);
    expect(await call.told()).toEqual(['failover first/ears timeout', '0: 1']);
    late.tell(0);
    expect(await call.told()).toHaveLength(2);
    expect(late.over).toBe(true);
  });

  it('gives what is spoken again more time, the longer it is', async () => {
    first.atEnd = 'nothing';
    second.atEnd = 'nothing';
    const third = new ScriptedEars('third/ears');
    const call = open([first, second, third]);
    call.session.push(word(1, 8000 * 20));
    call.session.endUtterance();
    await clock.advance(1_000);
    expect(second.sessions).toHaveLength(1);
    await clock.advance(2_999);
    expect(third.sessions).toHaveLength(0);
    await clock.advance(1);
    expect(await call.told()).toEqual([
      'failover first/ears timeout',
      'failover second/ears timeout',
      '0: 1',
    ]);
  });

  it('leaves a slow one its own deadlines where nobody else may be asked', async () => {
    first.atEnd = 'nothing';
    circuits.of('second/ears').force().failed(outage('second/ears', 'unauthorized'));
    const call = open();
    call.say('1');
    await clock.advance(20_000);
    expect(await call.told()).toEqual([]);
    first.last.tell(0);
    expect(await call.told()).toEqual(['0: 1']);
  });

  it('fails an utterance that nobody could transcribe, once, and goes on with the next', async () => {
    first.atEnd = down;
    second.atEnd = outage('second/ears');
    const call = open();
    call.say('1');
    expect(await call.told()).toEqual(['failover first/ears unavailable', '0 failed: second/ears']);
    second.atEnd = 'text';
    call.say('2');
    expect(await call.told()).toHaveLength(3);
    expect((await call.told()).at(-1)).toBe('1: 2');
  });

  it('fails nothing that is still being spoken: it is tried again when it ends', async () => {
    const call = open();
    call.speak('1');
    first.last.end();
    await settle();
    second.last.end();
    await settle();
    call.speak('2 | 3');
    expect([first.openSessions, second.openSessions]).toEqual([0, 0]);
    expect(call.session.endUtterance()).toBe(0);
    expect(await call.told()).toEqual([
      'failover first/ears unavailable',
      'failover second/ears unavailable',
      '0: 1 2 | 3',
    ]);
  });

  it('tells a text for every utterance, whoever fails at what time', async () => {
    // Opening, silence, failing; and then opening once more.
    const third = new ScriptedEars('third/ears');
    first.atOpen = 'throw';
    second.atEnd = 'nothing';
    third.atEnd = outage('third/ears');
    const call = open([first, second, third]);
    call.say('1');
    call.say('2');
    await clock.advance(1_000);
    expect(await call.told()).toEqual([
      'failover first/ears malformed',
      'failover second/ears timeout',
      'failover third/ears unavailable',
      '0 failed: first/ears',
      '1 failed: first/ears',
    ]);
    expect(clock.pending).toBe(0);
  });

  it('drops what was no speech, also on the next one', async () => {
    first.atEnd = 'nothing';
    const call = open();
    call.say('1');
    call.speak('2 |');
    call.session.discardUtterance();
    call.speak('3');
    first.last.end();
    await settle();
    expect(call.session.endUtterance()).toBe(1);
    expect(await call.told()).toEqual(['failover first/ears unavailable', '0: 1', '1: 3']);
    expect(call.events.filter((event) => event.type === 'interim')).toEqual([]);
  });

  it('shows nothing of what was dropped before it was read', async () => {
    const chain = chainSpeechToText([{ port: first, name: first.name }], { clock, circuits });
    const session = chain.open({ sampleRate: 8000, signal: hangUp.signal });
    session.push(word(1));
    session.pause();
    await settle();
    session.discardUtterance();
    session.push(word(2));
    session.endUtterance();
    const types: string[] = [];
    for await (const event of session.events) {
      types.push(event.type);
      if (event.type === 'final') break;
    }
    expect(types).toEqual(['usage', 'final']);
  });

  it('replaces a session that is lost between utterances at once, without an utterance', async () => {
    const call = open();
    call.say('1');
    await settle();
    first.last.end();
    await settle();
    expect(second.openSessions).toBe(1);
    expect(second.last.utterances).toEqual([]);
    call.say('2');
    expect(await call.told()).toEqual(['0: 1', 'failover first/ears unavailable', '1: 2']);
  });

  it.each([15_000, 0])(
    'does not open one session after the other where all end at once, rest: %i ms',
    async (restMs) => {
      first.atOpen = 'end';
      second.atOpen = 'end';
      const call = open([first, second], { restMs });
      await settle();
      expect([first.sessions.length, second.sessions.length]).toEqual([1, 1]);
      call.say('1');
      expect((await call.told()).at(-1)).toMatch(/^0 failed/);
      expect(first.sessions.length + second.sessions.length).toBeLessThan(6);
    },
  );

  it('stays with the next one until the first has had its rest, and goes back between utterances only', async () => {
    const call = open();
    call.speak('1');
    first.last.end();
    await settle();
    call.session.endUtterance();
    await settle();
    await clock.advance(14_999);
    call.speak('2');
    await clock.advance(1);
    // In the middle of an utterance: not yet.
    call.say('3');
    await settle();
    expect([first.sessions.length, call.served()]).toEqual([1, ['second/ears', 'second/ears']]);
    // Its text must be there as well.
    second.atEnd = 'nothing';
    call.say('4');
    await settle();
    expect(first.sessions.length).toBe(2);
    expect(second.openSessions).toBe(0);
    expect((await call.told()).at(-1)).toBe('2: 4');
    expect(call.events.filter((event) => event.type === 'failover')).toHaveLength(1);
  });

  it('does not go back while an utterance waits for its text', async () => {
    const call = open();
    first.last.end();
    await settle();
    second.atEnd = 'nothing';
    call.say('1');
    await clock.advance(15_000);
    call.speak('2');
    expect(first.sessions).toHaveLength(1);
    second.last.tell(0);
    expect(await call.told()).toEqual(['failover first/ears unavailable', '0: 1']);
  });

  it('does not begin with one that failed other calls, and probes it with one utterance once its time is over', async () => {
    for (let i = 0; i < 3; i++) circuits.of('first/ears').force().failed(down);
    const call = open();
    const other = open();
    call.say('1');
    other.say('1');
    expect(await call.told()).toEqual(['0: 1']);
    expect(first.sessions).toHaveLength(0);
    await clock.advance(5_000);
    first.atEnd = 'nothing';
    call.speak('2');
    other.speak('2');
    expect(first.sessions).toHaveLength(1);
    call.session.endUtterance();
    first.last.tell(0);
    await settle();
    expect(circuits.of('first/ears').state).toBe('closed');
  });

  it('leaves one whose circuit other calls have opened, before the next utterance', async () => {
    const call = open();
    call.say('1');
    await settle();
    for (let i = 0; i < 3; i++) circuits.of('first/ears').force().failed(down);
    call.say('2');
    expect(await call.told()).toEqual(['0: 1', 'failover first/ears unavailable', '1: 2']);
    expect(call.served()).toEqual(['first/ears', 'second/ears']);
  });

  it('counts one failure for one lost session, however many utterances were waiting', async () => {
    first.atEnd = 'nothing';
    const call = open();
    for (let i = 1; i < 6; i++) call.say(String(i));
    first.last.end();
    await settle();
    expect(circuits.of('first/ears').state).toBe('closed');
    expect(await call.told()).toHaveLength(6);
  });

  it('goes on with what was understood of half an utterance, but with another one for the next', async () => {
    first.atEnd = 'nothing';
    const call = open();
    call.say('1 2');
    first.last.emit({ type: 'final', utterance: 0, text: '1', lost: down });
    await settle();
    call.say('3');
    expect(await call.told()).toEqual(['0: 1 (lost)', 'failover first/ears unavailable', '1: 3']);
  });

  it('takes texts out of order for a failure: no utterance gets another one’s text', async () => {
    first.atEnd = 'nothing';
    const call = open();
    call.say('1');
    call.say('2');
    first.last.tell(1);
    expect(await call.told()).toEqual(['failover first/ears malformed', '0: 1', '1: 2']);
  });

  it.each(['spoken', 'ended'])(
    'keeps a bounded time of audio, the latest, and says that the beginning is lost: %s',
    async (when) => {
      first.atEnd = 'nothing';
      const call = open([first, second], { keptMs: 1_000 });
      for (let i = 1; i <= 100; i++) call.session.push(word(i));
      if (when === 'ended') call.session.endUtterance();
      first.last.end();
      await settle();
      if (when === 'spoken') call.session.endUtterance();
      const length = second.last.lengths[0]!;
      expect(length).toBeGreaterThanOrEqual(8000 * 0.85);
      expect(length).toBeLessThanOrEqual(8000);
      const words = second.last.utterances[0]!.split(' ').map(Number);
      const oldest = words[0]!;
      expect(words).toEqual(Array.from({ length: 101 - oldest }, (_, i) => oldest + i));
      expect((await call.told()).at(-1)).toMatch(/\(lost\)$/);
    },
  );

  it('keeps the audio of a bounded number of utterances, and still tells of each', async () => {
    first.atEnd = 'nothing';
    const call = open([first, second], { keptUtterances: 3 });
    for (let i = 1; i <= 5; i++) call.say(String(i));
    first.last.end();
    await settle();
    expect(second.last.utterances).toEqual(['', '', '', '4', '5']);
    expect(await call.told()).toEqual([
      'failover first/ears unavailable',
      '0:  (lost)',
      '1:  (lost)',
      '2:  (lost)',
      '3: 4',
      '4: 5',
    ]);
  });

  it('keeps no reference to the audio, which the leg fills again', async () => {
    first.atEnd = 'nothing';
    const call = open();
    const frame = word(1);
    call.session.push(frame);
    frame.fill(9);
    call.session.endUtterance();
    first.last.end();
    expect((await call.told()).at(-1)).toBe('0: 1');
  });

  it('opens a new session of the only one there is', async () => {
    const call = open([first]);
    call.say('1');
    await settle();
    call.speak('2');
    first.last.end();
    await settle();
    expect(call.session.endUtterance()).toBe(1);
    call.say('3');
    expect(await call.told()).toEqual(['0: 1', 'failover first/ears unavailable', '1: 2', '2: 3']);
    expect(first.sessions).toHaveLength(2);
  });

  it('lets go of everything when the call is over, and tells nothing more', async () => {
    first.atEnd = 'nothing';
    const call = open();
    call.say('1');
    call.speak('2');
    hangUp.abort();
    await settle();
    expect(call.isOver()).toBe(true);
    expect(call.events).toEqual([]);
    expect([first.openSessions, second.sessions.length, clock.pending]).toEqual([0, 0, 0]);
    call.speak('3 |');
    expect(call.session.endUtterance()).toBe(1);
    call.session.discardUtterance();
    expect(circuits.of('first/ears').state).toBe('closed');
  });

  it('opens nothing for a call that is over already', async () => {
    hangUp.abort();
    const call = open();
    call.say('1');
    await settle();
    expect([call.isOver(), first.sessions.length]).toEqual([true, 0]);
  });

  it('warms only who is asked first, and closes all', () => {
    const { chain } = open();
    chain.warm!();
    chain.close!();
    expect([first.warmed, second.warmed, first.closed, second.closed]).toEqual([1, 0, 1, 1]);
  });
});
