/** npm passes a terminal's Ctrl-C on to what got it already; two signals this close, in milliseconds, are one. */
const oneSignalMs = 700;

/**
 * The first signal to end (Ctrl-C, `kill`, or the death of the process that started this one) fires the returned
 * signal; a second one, at least 700 ms later, calls `force`.
 */
export function stopSignals(force: () => void, now: () => number = () => performance.now()): AbortSignal {
  const stop = new AbortController();
  let first: number | null = null;
  const onSignal = (name: string) => {
    if (first === null) {
      first = now();
      stop.abort(new Error(name));
    } else if (now() - first >= oneSignalMs) {
      force();
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => onSignal(signal));
  // `tools/run.mjs` holds the other end of this line; it must not keep this process alive.
  process.on('disconnect', () => onSignal('disconnect'));
  process.channel?.unref();
  return stop.signal;
}
