import { describe, expect, it } from 'vitest';
import { reasonOf } from '../../../src/dialling/dial.ts';
import { shareOf } from '../../../src/dialling/pace.ts';

describe('why nobody answered', () => {
  it('is told by SIP, else by Q.850', () => {
    expect(reasonOf({ sipStatus: 486, q850: 17, cause: 'USER_BUSY' }, true)).toBe('busy');
    expect(reasonOf({ q850: 17 }, false)).toBe('busy');
    expect(reasonOf({ sipStatus: 603 }, true)).toBe('declined');
    expect(reasonOf({ sipStatus: 404, q850: 1 }, false)).toBe('invalid number');
    expect(reasonOf({ sipStatus: 403 }, false)).toBe('not allowed');
    expect(reasonOf({ sipStatus: 503, q850: 41 }, false)).toBe('network failure');
    expect(reasonOf({ q850: 38 }, false)).toBe('network failure');
    expect(reasonOf({ sipStatus: 480 }, false)).toBe('unreachable');
    expect(reasonOf({}, false)).toBe('failed');
  });

  it('is the time that was over only where it rang', () => {
    for (const end of [
      { cause: 'NO_ANSWER', q850: 19 },
      { sipStatus: 408 },
      { sipStatus: 487, cause: 'NO_ANSWER' },
    ]) {
      expect(reasonOf(end, true)).toBe('no answer');
      expect(reasonOf(end, false)).toBe('unreachable');
    }
  });
});

describe('a node’s pace', () => {
  it('is shared by the objects that have the queue, none of which leaves it out', () => {
    expect(shareOf({ perSecond: 10, atOnce: 50 }, 1)).toEqual({ perSecond: 10, atOnce: 50 });
    expect(shareOf({ perSecond: 10, atOnce: 50 }, 4)).toEqual({ perSecond: 2.5, atOnce: 13 });
    expect(shareOf({ perSecond: 1, atOnce: 2 }, 16)).toEqual({ perSecond: 1 / 16, atOnce: 1 });
  });
});
