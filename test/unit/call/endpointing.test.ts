import { describe, expect, it } from 'vitest';
import { Endpointer } from '../../../src/call/endpointing.ts';
import { testEndpointing } from '../../support/call-harness.ts';

/** Runs frames through an endpointer: `v` voiced, `.` not. Returns what happened at which frame. */
function run(frames: string): string[] {
  const endpointer = new Endpointer(testEndpointing);
  return [...frames].flatMap((frame, index) => {
    const change = endpointer.push(frame === 'v');
    return change === null ? [] : [`${change}@${index}`];
  });
}

describe('endpointing', () => {
  it('finds speech after 120 ms of voice and ends the turn after 500 ms of silence', () => {
    expect(run(`${'.'.repeat(10)}${'v'.repeat(20)}${'.'.repeat(30)}`)).toEqual(['start@15', 'end@54']);
  });

  it('does not take a click for speech', () => {
    expect(run(`${'.'.repeat(20)}vvvvv${'.'.repeat(40)}`)).toEqual([]);
  });

  it('does not add up clicks that lie far apart', () => {
    expect(run('vv..........vv..........vv..........vv'.repeat(3))).toEqual([]);
  });

  it('finds soft speech in which single frames are missed', () => {
    expect(run('v.v.v.v.v.v.v.v.')).toEqual(['start@10']);
  });

  it('keeps a turn open over pauses shorter than the end silence', () => {
    expect(run(`${'v'.repeat(10)}${'.'.repeat(24)}${'v'.repeat(5)}${'.'.repeat(25)}`)).toEqual([
      'start@5',
      'end@63',
    ]);
  });

  it('ends every turn it starts, and starts afresh after it', () => {
    const turn = `${'v'.repeat(10)}${'.'.repeat(25)}`;
    expect(run(turn.repeat(3))).toEqual(['start@5', 'end@34', 'start@40', 'end@69', 'start@75', 'end@104']);
  });
});
