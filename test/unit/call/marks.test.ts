import { describe, expect, it } from 'vitest';
import { defaultSilence } from '../../../src/call/agent-config.ts';
import { Playout } from '../../../src/call/playout.ts';
import { createCall } from '../../support/call-harness.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const samplesPerMs = 8;

/** A playout on a leg that tells of marks when told to. */
function setUp() {
  const clock = new FakeClock(0);
  const marks: string[] = [];
  let heardMs = 0;
  const playout = new Playout({
    clock,
    sampleRate: 8000,
    pieceMs: 100,
    leadMs: 300,
    send: () => {},
    flush: () => {},
    mark: (name) => {
      marks.push(name);
      return true;
    },
    onHeard: (samples) => {
      heardMs += samples.length / samplesPerMs;
    },
  });
  const say = (text: string, ms: number) => {
    const segment = playout.begin(text);
    segment.push(new Int16Array(ms * samplesPerMs).fill(1));
    segment.end(true);
    return segment;
  };
  return { clock, playout, marks, say, heardMs: () => heardMs };
}

describe('a leg that tells what it has played', () => {
  it('is asked once a sentence, with its last piece', async () => {
    const { clock, marks, say } = setUp();
    say('One.', 500);
    say('Two.', 500);
    await clock.advance(50);
    expect(marks).toEqual([]);
    await clock.advance(250);
    expect(marks).toEqual(['sentence-0']);
    await clock.advance(3_000);
    expect(marks).toEqual(['sentence-0', 'sentence-1']);
  });

  it('#2 a sentence counts as heard when the leg says so, and not by our clock alone', async () => {
    const { clock, playout, marks, say, heardMs } = setUp();
    const segment = say('One.', 500);
    await clock.advance(900);
    expect(segment.over).toBe(false);
    expect(playout.busy).toBe(true);
    playout.markPlayed(marks[0]!);
    expect(segment.over).toBe(true);
    expect(heardMs()).toBe(500);
  });

  it('#2 a leg that lags behind has heard less: an interruption cuts the history there', async () => {
    const { clock, playout, marks, say } = setUp();
    say('One.', 500);
    await clock.advance(900);
    playout.markPlayed(marks[0]!);
    // 400 ms of network and jitter buffer.
    const second = say('One two three four five six seven eight nine ten.', 5_000);
    await clock.advance(2_400);
    playout.clear(true);
    expect(second.heardSpan!.until - second.heardSpan!.from).toBe(2_000);
    expect(second.heardText()).toBe('One two three four');
  });

  it('that loses a mark holds nobody up for more than two seconds, and is not asked for ever', async () => {
    const { clock, playout, marks, say } = setUp();
    const first = say('One.', 500);
    await clock.advance(2_450);
    expect(first.over).toBe(false);
    await clock.advance(60);
    expect(first.over).toBe(true);
    say('Two.', 500);
    await clock.advance(3_000);
    const third = say('Three.', 500);
    await clock.advance(500);
    expect(third.over).toBe(true);
    expect(marks).toHaveLength(2);
    expect(playout.busy).toBe(false);
  });

  it('cannot make us believe that audio was heard before it can have been', async () => {
    const { clock, playout, marks, say, heardMs } = setUp();
    say('One.', 500);
    await clock.advance(250);
    playout.markPlayed(marks[0]!);
    playout.markPlayed('sentence-77');
    playout.clear(true);
    expect(heardMs()).toBe(250);
  });

  it('tells nothing by a mark of audio that was taken back, and is asked again with it', async () => {
    const { clock, playout, marks, say, heardMs } = setUp();
    say('One.', 500);
    await clock.advance(300);
    playout.hold(true);
    playout.markPlayed(marks[0]!);
    expect(heardMs()).toBe(300);
    playout.resume();
    await clock.advance(200);
    expect(marks).toEqual(['sentence-0', 'sentence-1']);
    playout.markPlayed('sentence-1');
    expect(heardMs()).toBe(500);
  });
});

describe('#23 goodbye cut off', () => {
  it('hangs up only when the leg has played it', async () => {
    const goodbye = 'I will hang up now then, goodbye.';
    const call = createCall({ agent: { greeting: '', silence: { ...defaultSilence, goodbye } } });
    call.dialect.canMark = true;
    await call.start();
    const echo = async (lagMs: number) => {
      const name = call.leg.actions.findLast((action) => action.startsWith('mark '))!.slice(5);
      await call.silence(lagMs);
      call.from.markPlayed(name);
    };
    await call.silence(10_000);
    expect(call.leg.said[0]?.text).toBe('Are you still there?');
    await call.silence(1_000);
    // Played 400 ms after our clock says so.
    await echo(400);
    await call.silence(20_000);
    expect(call.leg.said.findLast(({ text }) => text !== null)?.text).toBe(goodbye);
    // 33 characters of 50 ms each, and the lag.
    await call.silence(33 * 50 + 400);
    expect(call.leg.closed).toBeNull();
    await echo(100);
    await call.clock.advance(0);
    expect(call.leg.closed).toBe('caller silent');
    expect(call.transcript().at(-1)).toBe(`agent: ${goodbye}`);
  });

  it('hangs up all the same, within bounds, on a leg that has stopped telling', async () => {
    const call = createCall({ agent: { greeting: '' } });
    call.dialect.canMark = true;
    await call.start();
    await call.silence(45_000);
    expect(call.leg.closed).toBe('caller silent');
  });
});
