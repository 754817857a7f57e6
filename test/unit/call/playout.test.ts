import { describe, expect, it } from 'vitest';
import { Playout } from '../../../src/call/playout.ts';
import { cutAtWord } from '../../../src/call/playout-segment.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

const samplesPerMs = 8;

function setUp(mark: (name: string) => boolean = () => false) {
  const clock = new FakeClock(0);
  const sent: { at: number; ms: number; text: string | null }[] = [];
  const heard: { startedAt: number; ms: number }[] = [];
  const flushes: { at: number; sent: number }[] = [];
  const playout = new Playout({
    clock,
    sampleRate: 8000,
    pieceMs: 100,
    leadMs: 300,
    flush: () => flushes.push({ at: clock.now(), sent: sent.length }),
    mark,
    send: (samples, text) => sent.push({ at: clock.now(), ms: samples.length / samplesPerMs, text }),
    onHeard: (samples, startedAt) => heard.push({ startedAt, ms: samples.length / samplesPerMs }),
  });
  const audio = (ms: number) => new Int16Array(ms * samplesPerMs).fill(1);
  const heardMs = () => heard.reduce((sum, piece) => sum + piece.ms, 0);
  return { clock, playout, sent, heard, flushes, audio, heardMs };
}

describe('playout', () => {
  it('sends the first piece at once, the lead ahead, and then one piece a piece of time', async () => {
    const { clock, playout, sent, audio } = setUp();
    const segment = playout.begin('Hello.');
    segment.push(audio(1000));
    segment.end(true);
    expect(sent.map((piece) => piece.at)).toEqual([0, 0, 0, 0]);
    await clock.advance(2000);
    expect(sent.map((piece) => piece.at)).toEqual([0, 0, 0, 0, 100, 200, 300, 400, 500, 600]);
    expect(sent.map((piece) => piece.text)).toEqual(['Hello.', ...Array(9).fill(null)]);
  });

  it('#12 pacing with relative timers: does not drift over ten minutes of speech that arrives in odd pieces', async () => {
    const { clock, playout, sent, heard, audio } = setUp();
    const segment = playout.begin('long');
    for (let i = 0; i < 600; i++) {
      segment.push(audio(997));
      await clock.advance(997);
    }
    segment.end(true);
    await clock.advance(2000);
    const total = sent.reduce((sum, piece) => sum + piece.ms, 0);
    expect(total).toBe(600 * 997);
    // Every piece is heard right after the one before it, to the millisecond.
    let at = heard[0]!.startedAt;
    for (const piece of heard) {
      expect(piece.startedAt).toBeCloseTo(at, 6);
      at += piece.ms;
    }
    expect(at).toBeCloseTo(600 * 997, 6);
  });

  it('tells the leg once that a sentence was sent whole, however late its end is known; again where it was taken back', async () => {
    const { clock, playout, sent, flushes, audio } = setUp();
    const first = playout.begin('one');
    first.push(audio(200));
    first.end(true);
    const second = playout.begin('two');
    second.push(audio(150));
    await clock.advance(2_000);
    second.end(true);
    await clock.advance(100);
    expect(flushes).toEqual([
      { at: 0, sent: 2 },
      { at: 2_000, sent: 4 },
    ]);
    const third = playout.begin('three');
    third.push(audio(300));
    third.end(true);
    await clock.advance(100);
    playout.hold(true);
    playout.resume();
    expect(flushes.length).toBe(4);
    expect(flushes.at(-1)?.sent).toBe(sent.length);
    playout.begin('never said').end(false);
    await clock.advance(2_000);
    expect(flushes.length).toBe(4);
  });

  it('starts anew after a pause instead of catching up', async () => {
    const { clock, playout, heard, audio } = setUp();
    const first = playout.begin('one');
    first.push(audio(200));
    first.end(true);
    await clock.advance(5000);
    const second = playout.begin('two');
    second.push(audio(200));
    second.end(true);
    await clock.advance(1000);
    expect(heard.map((piece) => piece.startedAt)).toEqual([0, 100, 5000, 5100]);
  });

  it('sends what there is rather than let the line run dry, and otherwise waits for whole pieces', async () => {
    const { clock, playout, sent, audio } = setUp();
    const segment = playout.begin('slow');
    segment.push(audio(30));
    expect(sent).toEqual([{ at: 0, ms: 30, text: 'slow' }]);
    segment.push(audio(350));
    expect(sent.map((piece) => piece.ms)).toEqual([30, 100, 100, 100]);
    await clock.advance(229);
    expect(sent.length).toBe(4);
    await clock.advance(1);
    expect(sent.at(-1)).toEqual({ at: 230, ms: 50, text: null });
  });

  it('does not spin while it waits for the rest of a piece', async () => {
    const { clock, playout, audio } = setUp();
    const segment = playout.begin('slow');
    segment.push(audio(230));
    let runs = 0;
    const after = clock.after.bind(clock);
    clock.after = (delay, task) => {
      runs++;
      return after(delay, task);
    };
    await clock.advance(1000);
    expect(runs).toBeLessThan(10);
  });

  it('plays sentences in order, also where the second is ready first', async () => {
    const { clock, playout, sent, audio } = setUp();
    const first = playout.begin('one');
    const second = playout.begin('two');
    second.push(audio(100));
    second.end(true);
    expect(sent).toEqual([]);
    first.push(audio(100));
    first.end(true);
    await clock.advance(1000);
    expect(sent.map((piece) => piece.text)).toEqual(['one', 'two']);
  });

  it('knows after a clear what was heard, to the sample, and sends nothing more', async () => {
    const { clock, playout, sent, audio, heardMs } = setUp();
    const first = playout.begin('The first sentence.');
    first.push(audio(500));
    first.end(true);
    const second = playout.begin('one two three four');
    second.push(audio(1000));
    second.end(true);
    await clock.advance(1050);
    playout.clear();
    const before = sent.length;
    second.push(audio(1000));
    await clock.advance(5000);
    expect(sent.length).toBe(before);
    expect(heardMs()).toBe(1050);
    expect(first.heardText()).toBe('The first sentence.');
    // 550 of 1,000 ms: nine of eighteen characters, the word that is cut is not heard.
    expect(second.heardText()).toBe('one two');
    expect(second.heardSpan).toEqual({ from: 500, until: 1050 });
  });

  it('does not claim more text than the audio that has come can hold', async () => {
    const { clock, playout, audio } = setUp();
    const text = 'This is a sentence of about five seconds, of which only the first second was made.';
    const segment = playout.begin(text);
    segment.push(audio(1000));
    await clock.advance(1000);
    playout.clear();
    expect(segment.heardText()).toBe('This is a');
  });

  it('lets waiters go when all was heard, and when it is cleared', async () => {
    const { clock, playout, audio } = setUp();
    const done: string[] = [];
    const segment = playout.begin('x');
    segment.push(audio(400));
    void playout.waitUntilQueued(0).then(() => done.push(`empty@${clock.now()}`));
    void playout.waitUntilQueued(200).then(() => done.push(`short@${clock.now()}`));
    await clock.advance(399);
    expect(done).toEqual(['short@200']);
    segment.end(true);
    await clock.advance(1);
    expect(done).toEqual(['short@200', 'empty@400']);
    const next = playout.begin('y');
    next.push(audio(1000));
    void playout.waitUntilQueued(0).then(() => done.push('cleared'));
    playout.clear();
    await settle();
    expect(done.at(-1)).toBe('cleared');
    expect(clock.pending).toBe(0);
  });

  it('goes on after a hold where the caller stopped hearing, without losing or repeating a sample', async () => {
    const { clock, playout, sent, heard, heardMs } = setUp();
    const samples = Int16Array.from({ length: 1000 * samplesPerMs }, (_, i) => i);
    const first = playout.begin('one');
    first.push(samples.subarray(0, 3200));
    first.end(true);
    const second = playout.begin('two');
    second.push(samples.subarray(3200));
    second.end(true);
    await clock.advance(333);
    playout.hold(true);
    expect(heardMs()).toBe(333);
    const before = sent.length;
    await clock.advance(5_000);
    expect(sent.length).toBe(before);
    expect(heardMs()).toBe(333);
    expect(clock.pending).toBe(0);
    playout.resume();
    await clock.advance(5_000);
    expect(heardMs()).toBe(1_000);
    expect(heard.map((piece) => piece.startedAt).find((at) => at > 333)).toBe(5_333);
    expect(first.heardText()).toBe('one');
    expect(second.heardText()).toBe('two');
  });

  it('counts what a leg cannot take back as heard', async () => {
    const { clock, playout, audio, heardMs } = setUp();
    const segment = playout.begin('one two three four');
    segment.push(audio(1000));
    await clock.advance(100);
    playout.hold(false);
    await clock.advance(5_000);
    // 100 ms, and the lead that was sent with it.
    expect(heardMs()).toBe(500);
    playout.clear();
    expect(segment.heardText()).toBe('one two');
  });

  it('keeps audio that arrives during a hold', async () => {
    const { clock, playout, audio, sent, heardMs } = setUp();
    const segment = playout.begin('x');
    playout.hold(true);
    segment.push(audio(500));
    segment.end(true);
    expect(sent).toEqual([]);
    playout.resume();
    await clock.advance(1_000);
    expect(heardMs()).toBe(500);
  });

  it('does not count a sentence as heard whose speech broke off', async () => {
    const { clock, playout, audio } = setUp();
    const segment = playout.begin('This is a sentence of sixty characters, of which one second came.');
    segment.push(audio(1000));
    segment.end(false);
    await clock.advance(5_000);
    expect(segment.heardText()).toBe('This is a');
    expect(playout.busy).toBe(false);
  });

  it('leaves no timer behind when it is closed', async () => {
    const { clock, playout, audio } = setUp();
    playout.begin('x').push(audio(1000));
    playout.close();
    playout.begin('y').push(audio(1000));
    expect(clock.pending).toBe(0);
  });
});

describe('cutAtWord', () => {
  it('keeps whole words only', () => {
    expect(cutAtWord('one two three', 0)).toBe('');
    expect(cutAtWord('one two three', 0.3)).toBe('one');
    expect(cutAtWord('one two three', 0.5)).toBe('one');
    expect(cutAtWord('one two three', 0.55)).toBe('one two');
    expect(cutAtWord('one two three', 1)).toBe('one two three');
  });
});
