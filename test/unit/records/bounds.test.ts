import { describe, expect, it } from 'vitest';
import { boundMetadata, boundTurns, endedPayload, recordLimits } from '../../../src/records/bounds.ts';
import type { EndedCall, RecordedTurn } from '../../../src/records/call-records.ts';

function turn(position: number, text: string): RecordedTurn {
  return { position, role: 'caller', text, startMs: 0, endMs: 10, interrupted: false, latency: null };
}

const call: EndedCall = {
  callId: 'call',
  userId: 'user',
  campaignId: null,
  phoneNumber: null,
  startTime: 0,
  metadata: {},
  status: 'ended',
  endReason: 'hangup',
  endTime: 1_000,
  recording: null,
  turns: [],
  failures: [],
  usage: [],
  transfers: [],
  counts: null,
};

describe('boundMetadata', () => {
  it('replaces what Postgres refuses in text, in keys and in values', () => {
    expect(boundMetadata({ 'a\u0000': ['\ud800', { b: 'x\u0000' }] })).toEqual({
      'a\uFFFD': ['\uFFFD', { b: 'x\uFFFD' }],
    });
  });

  it('leaves out what is nested deeper than the bound, however deep', () => {
    let deep: unknown = 'bottom';
    for (let level = 0; level < 5_000; level += 1) deep = [deep];
    const bounded = JSON.stringify(boundMetadata({ deep }));
    expect(bounded).not.toContain('bottom');
    expect(bounded.match(/\[/g)).toHaveLength(recordLimits.metadataDepth - 1);
  });

  it('says so where it is too large as a whole', () => {
    expect(boundMetadata({ a: 'x'.repeat(recordLimits.metadataCharacters) })).toEqual({ truncated: true });
  });
});

describe('boundTurns', () => {
  it('keeps the last of two turns at one position, which one statement cannot both write', () => {
    expect(
      boundTurns([turn(0, 'first'), turn(1, 'other'), turn(0, 'second')]).map(({ text }) => text),
    ).toEqual(['second', 'other']);
  });

  it('cuts a text at the bound without leaving half a character', () => {
    const [bounded] = boundTurns([turn(0, `${'x'.repeat(recordLimits.turnCharacters - 1)}😀`)]);
    expect(bounded?.text).toHaveLength(recordLimits.turnCharacters);
    expect(bounded?.text.endsWith('x\uFFFD')).toBe(true);
  });

  it('never ends a turn before it starts, and counts in whole milliseconds', () => {
    const [bounded] = boundTurns([{ ...turn(0, 'hi'), startMs: 20.4, endMs: 10 }]);
    expect(bounded).toMatchObject({ startMs: 20, endMs: 20 });
  });
});

describe('endedPayload', () => {
  it('counts what it left out in one more failure', () => {
    const turns = Array.from({ length: recordLimits.turns + 7 }, (_, position) => turn(position, 'x'));
    const failures = Array.from({ length: recordLimits.failures + 1 }, (_, position) => ({
      position,
      at: 0,
      code: 'timeout',
      provider: null,
      message: 'm',
    }));
    const payload = endedPayload({ ...call, turns, failures });
    expect(payload.turns).toHaveLength(recordLimits.turns);
    expect(payload.failures).toHaveLength(recordLimits.failures);
    expect(payload.failures.at(-1)).toMatchObject({
      position: recordLimits.failures - 1,
      code: 'RECORD_TRUNCATED',
      message: 'left out: 7 turns, 2 failures',
    });
  });

  it('adds no failure where nothing was left out', () => {
    expect(endedPayload({ ...call, turns: [turn(0, 'x')] }).failures).toEqual([]);
  });

  it('bounds the text of all turns together', () => {
    const count = Math.ceil(recordLimits.transcriptCharacters / recordLimits.turnCharacters) + 3;
    const long = 'x'.repeat(recordLimits.turnCharacters);
    const payload = endedPayload({
      ...call,
      turns: Array.from({ length: count }, (_, position) => turn(position, long)),
    });
    expect(payload.turns).toHaveLength(count - 3);
    expect(payload.failures).toMatchObject([{ message: 'left out: 3 turns' }]);
  });

  it('names what the client left empty instead of breaking a constraint', () => {
    const payload = endedPayload({ ...call, campaignId: '', phoneNumber: '', endReason: '' });
    expect(payload).toMatchObject({ campaignId: null, phoneNumber: null, endReason: 'unknown' });
  });
});
