import { describe, expect, it } from 'vitest';
import { DtmfCollector, defaultDtmf } from '../../../src/call/dtmf.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function setUp() {
  const clock = new FakeClock(0);
  const entries: string[] = [];
  const collector = new DtmfCollector(clock, defaultDtmf, (keys) => entries.push(keys));
  const press = (keys: string) => {
    for (const key of keys) collector.press(key);
  };
  return { clock, entries, collector, press };
}

describe('keys become entries', () => {
  it('at the terminator, which is no part of them', () => {
    const { entries, press } = setUp();
    press('12#34#');
    expect(entries).toEqual(['12', '34']);
  });

  it('after a pause', async () => {
    const { clock, entries, press } = setUp();
    press('1');
    await clock.advance(1_999);
    press('2');
    await clock.advance(1_999);
    expect(entries).toEqual([]);
    await clock.advance(1);
    expect(entries).toEqual(['12']);
    expect(clock.pending).toBe(0);
  });

  it('when they are full', () => {
    const { entries, press } = setUp();
    press('1'.repeat(33));
    expect(entries).toEqual(['1'.repeat(32)]);
  });

  it('also where the terminator is all that was pressed', () => {
    const { entries, press } = setUp();
    press('#');
    expect(entries).toEqual(['#']);
  });

  it('when they are taken: then nothing comes of them any more', async () => {
    const { clock, collector, entries, press } = setUp();
    press('7');
    expect(collector.take()).toBe('7');
    expect(collector.take()).toBe('');
    await clock.advance(10_000);
    expect(entries).toEqual([]);
  });
});
