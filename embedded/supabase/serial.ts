/** Too many tasks wait already. */
export class QueueFullError extends Error {
  override readonly name = 'QueueFullError';
}

/**
 * Runs tasks strictly one after the other. PGlite is one connection and lite opens a transaction for every
 * request: two at once would share it, one running with the other's role and one's rollback undoing the other's
 * writes.
 * @param limit Tasks that may wait or run; one more is refused with {@link QueueFullError}.
 */
export function serial(limit: number): <Result>(task: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  let pending = 0;
  return async (task) => {
    if (pending >= limit) throw new QueueFullError(`${limit} requests are waiting`);
    pending += 1;
    const result = last.then(task, task);
    last = result;
    try {
      return await result;
    } finally {
      pending -= 1;
    }
  };
}
