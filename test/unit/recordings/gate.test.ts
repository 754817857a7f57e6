import { describe, expect, it } from 'vitest';
import { Gate } from '../../../src/durable/recordings/gate.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const never = new AbortController().signal;

/** A task that goes on until it is told to end. */
function task() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const state = { started: false, end: resolve, fail: reject };
  const run = () => {
    state.started = true;
    return promise;
  };
  return { state, run };
}

const newGate = (places: number) => new Gate({ places, holdMs: 120_000, lookMs: 200 });

describe('a gate', () => {
  it('lets so many through, the next soon after one ends or fails', async () => {
    const clock = new FakeClock();
    const gate = newGate(2);
    const tasks = Array.from({ length: 4 }, task);
    const runs = tasks.map(({ run }) => gate.run(clock, never, run));
    const started = async () => {
      await clock.advance(200);
      return tasks.filter(({ state }) => state.started).length;
    };
    expect(await started()).toBe(2);
    const failed = expect(runs[1]).rejects.toThrow('broken');
    tasks[1]!.state.fail(new Error('broken'));
    await failed;
    expect(await started()).toBe(3);
    for (const { state } of tasks) state.end();
    expect(await started()).toBe(4);
    await Promise.all([runs[0], runs[2], runs[3]]);
    expect(clock.pending).toBe(0);
  });

  it('is left by one that gives up waiting', async () => {
    const clock = new FakeClock();
    const gate = newGate(1);
    const first = task();
    const abandoned = task();
    const controller = new AbortController();
    const firstRun = gate.run(clock, never, first.run);
    const abandonedRun = expect(gate.run(clock, controller.signal, abandoned.run)).rejects.toThrow(
      'too late',
    );
    await clock.advance(1_000);
    controller.abort(new Error('too late'));
    await abandonedRun;
    expect(clock.pending).toBe(0);
    first.state.end();
    await firstRun;
    await clock.advance(1_000);
    expect(abandoned.state.started).toBe(false);
    await expect(gate.run(clock, controller.signal, task().run)).rejects.toThrow('too late');
  });

  it('is not shut for ever by objects that were destroyed inside', async () => {
    const clock = new FakeClock();
    const gate = newGate(1);
    void gate.run(clock, never, () => new Promise(() => {}));
    const next = task();
    const run = gate.run(clock, never, next.run);
    await clock.advance(119_000);
    expect(next.state.started).toBe(false);
    await clock.advance(2_000);
    expect(next.state.started).toBe(true);
    next.state.end();
    await run;
  });
});
