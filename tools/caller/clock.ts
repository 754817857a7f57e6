import type { Clock } from '../../src/call/clock.ts';

/** Milliseconds since the epoch that never jump: a telephone's pace must not follow the wall clock's corrections. */
export const monotonicClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after(delayMs, task) {
    const handle = setTimeout(task, Math.max(0, delayMs));
    return { cancel: () => clearTimeout(handle) };
  },
};
