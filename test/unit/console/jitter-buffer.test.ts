import { describe, expect, it } from 'vitest';
import { JitterBuffer } from '../../../src/console/audio/jitter-buffer.ts';

const rate = 8000;
const piece = (ms: number, value = 1) => new Int16Array(ms * 8).fill(value);

function buffer() {
  const marks: string[] = [];
  const it = new JitterBuffer(rate, (name) => marks.push(name));
  /** What comes out in `ms`, in frames of 20 ms, as the number of samples that are no silence in each. */
  const play = (ms: number) =>
    Array.from({ length: ms / 20 }, () => {
      const frame = new Int16Array(160).fill(-1);
      it.pull(frame);
      expect(frame).not.toContain(-1);
      return frame.filter((sample) => sample !== 0).length;
    });
  return { it, marks, play };
}

describe('the agent’s audio on its way to the ear', () => {
  it('plays in order and at once, and silence where nothing is left', () => {
    const { it: buffer_, play } = buffer();
    expect(play(40)).toEqual([0, 0]);
    buffer_.push(piece(30));
    expect(play(60)).toEqual([160, 80, 0]);
    expect(buffer_.underruns).toBe(0);
  });

  it('keeps the order of pieces across frames', () => {
    const { it: buffer_ } = buffer();
    buffer_.push(Int16Array.from({ length: 100 }, (_, i) => i + 1));
    buffer_.push(Int16Array.from({ length: 100 }, (_, i) => i + 101));
    const out = new Int16Array(160);
    buffer_.pull(out);
    expect([...out]).toEqual(Array.from({ length: 160 }, (_, i) => i + 1));
    buffer_.pull(out);
    expect([...out.subarray(0, 41)]).toEqual([...Array.from({ length: 40 }, (_, i) => i + 161), 0]);
  });

  it('is silent from the next sample after a clear, and never tells of marks that nobody heard', () => {
    const { it: buffer_, marks, play } = buffer();
    buffer_.push(piece(200));
    buffer_.mark('end');
    expect(play(40)).toEqual([160, 160]);
    buffer_.clear();
    expect(buffer_.queuedMs).toBe(0);
    expect(play(300).every((count) => count === 0)).toBe(true);
    expect(marks).toEqual([]);
    buffer_.push(piece(20));
    buffer_.mark('next');
    expect(play(20)).toEqual([160]);
    expect(marks).toEqual(['next']);
  });

  it('tells of a mark when the sample before it was played, not when it came', () => {
    const { it: buffer_, marks, play } = buffer();
    buffer_.push(piece(40));
    buffer_.mark('a');
    buffer_.push(piece(20));
    buffer_.mark('b');
    play(20);
    expect(marks).toEqual([]);
    play(20);
    expect(marks).toEqual(['a']);
    play(20);
    expect(marks).toEqual(['a', 'b']);
    buffer_.mark('nothing before it');
    expect(marks).toEqual(['a', 'b', 'nothing before it']);
  });

  it('gathers 60 ms after the network was late, so that one gap is not followed by the next', () => {
    const { it: buffer_, play } = buffer();
    buffer_.push(piece(40));
    play(100);
    buffer_.push(piece(20));
    expect(buffer_.underruns).toBe(1);
    expect(play(20)).toEqual([0]);
    buffer_.push(piece(40));
    expect(play(60)).toEqual([160, 160, 160]);
  });

  it('waits no longer than 60 ms for more: the end of a sentence is not withheld', () => {
    const { it: buffer_, play } = buffer();
    buffer_.push(piece(40));
    play(100);
    buffer_.push(piece(20));
    expect(play(80).reduce((sum, count) => sum + count)).toBe(160);
  });

  it('takes the agent’s own pauses for no fault of the network', () => {
    const { it: buffer_, play } = buffer();
    buffer_.push(piece(20));
    play(400);
    buffer_.push(piece(20));
    expect(buffer_.underruns).toBe(0);
    expect(play(20)).toEqual([160]);
  });

  it('refuses what a service sends without measure', () => {
    const { it: buffer_ } = buffer();
    for (let second = 0; second < 120; second++) expect(buffer_.push(piece(1_000))).toBe(true);
    expect(buffer_.push(piece(1_000))).toBe(false);
    expect(buffer_.queuedMs).toBe(120_000);
  });
});
