import { afterEach, describe, expect, it, vi } from 'vitest';
import { KeptWrites } from '../../../src/durable/kept-writes.ts';
import { FakeClock } from '../../support/fake-clock.ts';

afterEach(() => vi.restoreAllMocks());

/** Storage that takes writes or does not. */
function storage() {
  const clock = new FakeClock();
  const written: string[] = [];
  const state = { refuses: false, retries: 0 };
  const writes = new KeptWrites({ clock, object: 'object', onRetry: () => state.retries++ });
  const write = (key: string, what = key) =>
    writes.write(key, () => {
      if (state.refuses) throw new Error('database or disk is full: SQLITE_FULL');
      written.push(what);
    });
  const log = vi.spyOn(console, 'error').mockImplementation(() => {});
  const info = vi.spyOn(console, 'log').mockImplementation(() => {});
  return { clock, written, state, writes, write, log, info };
}

describe('writes that storage refuses', () => {
  it('are made in order when it takes the next one', () => {
    const { written, state, write } = storage();
    write('a');
    state.refuses = true;
    write('b');
    write('c');
    expect(written).toEqual(['a']);
    state.refuses = false;
    write('d');
    expect(written).toEqual(['a', 'b', 'c', 'd']);
  });

  it('are made by a timer where nothing follows, which is told so that it need not wait for an alarm', async () => {
    const { clock, written, state, write } = storage();
    state.refuses = true;
    write('a');
    await clock.advance(12_000);
    expect([written, state.retries]).toEqual([[], 2]);
    state.refuses = false;
    await clock.advance(5_000);
    expect([written, state.retries]).toEqual([['a'], 3]);
    expect(clock.pending).toBe(0);
  });

  it('are of one key the last one, in its place', () => {
    const { written, state, write } = storage();
    state.refuses = true;
    write('alarms', 'alarms 1');
    write('fact', 'fact');
    write('alarms', 'alarms 2');
    state.refuses = false;
    write('next');
    expect(written).toEqual(['fact', 'alarms 2', 'next']);
  });

  it('are told once, and once that it is over, however many they are', async () => {
    const { clock, state, write, log, info } = storage();
    state.refuses = true;
    for (let i = 0; i < 50; i++) write(`fact ${i}`);
    await clock.advance(60_000);
    expect(log).toHaveBeenCalledTimes(1);
    state.refuses = false;
    await clock.advance(5_000);
    write('more');
    expect(info).toHaveBeenCalledTimes(1);
  });

  it('are forgotten where nobody needs them any more', async () => {
    const { clock, written, state, write, writes } = storage();
    state.refuses = true;
    write('call/a');
    write('object/b');
    writes.forget('call/');
    state.refuses = false;
    await clock.advance(5_000);
    expect(written).toEqual(['object/b']);
  });

  it('do not stand in the way of others for a fault of their own', () => {
    const { written, write, writes, log } = storage();
    writes.write('huge', () => {
      throw new Error('string or blob too big: SQLITE_TOOBIG');
    });
    write('a');
    expect(written).toEqual(['a']);
    expect(log).toHaveBeenCalledTimes(1);
  });
});
