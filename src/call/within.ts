import type { Clock } from './clock.ts';

/** Asks and waits for so long at most: then the signal is aborted, and what is returned rejects, whether or not the signal is heeded. */
export function within<T>(
  clock: Clock,
  timeoutMs: number,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  return new Promise((resolve, reject) => {
    const timer = clock.after(timeoutMs, () => {
      const error = new Error(`no answer within ${timeoutMs} ms`);
      controller.abort(error);
      reject(error);
    });
    new Promise<T>((asked) => asked(ask(controller.signal)))
      .then(resolve, reject)
      .finally(() => timer.cancel());
  });
}
