import { closeLimitMs, type PartMessage, partRequestSchema } from './part-protocol.ts';

/** What a part does. Parameters come from the launcher, and are parsed by the part. */
export interface PartMethods {
  /** Starts it; what it returns tells the launcher where it is. */
  start(params: unknown, progress: (text: string) => void): Promise<unknown>;
  /** Ends all that `start` began. Also called when `start` has not finished, or failed. */
  close(): Promise<void>;
  [method: string]: (params: unknown, progress: (text: string) => void) => Promise<unknown>;
}

/**
 * The child's side of a part: answers the launcher's requests one after the other, and ends, with everything it
 * started, when told to, or when the launcher is gone (its line breaks even if it was killed).
 */
export function hostPart(methods: PartMethods): void {
  let closing: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closing ??= methods.close();
    return closing;
  };
  const send = (message: PartMessage): void => {
    if (process.connected) process.send?.(message);
  };
  const progress = (text: string) => send({ type: 'progress', text });
  process.on('message', (raw) => {
    const { id, method, params } = partRequestSchema.parse(raw);
    const run = method === 'close' ? close : methods[method];
    if (run === undefined) {
      send({ type: 'failed', id, message: `no method ${method}` });
      return;
    }
    run.call(methods, params, progress).then(
      (value) => {
        send({ type: 'result', id, value: value ?? null });
        if (method === 'close') leave(0);
      },
      (error: unknown) =>
        send({ type: 'failed', id, message: error instanceof Error ? error.message : String(error) }),
    );
  });
  process.on('disconnect', () => {
    setTimeout(() => leave(1), closeLimitMs);
    close().then(
      () => leave(0),
      () => leave(1),
    );
  });
  // The launcher decides: Ctrl-C in its terminal is its own affair, and it closes its parts in order.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('SIGTERM', () => process.disconnect());
}

/** A part leads a process group of its own, so whatever it failed to end goes with it. */
function leave(code: number): void {
  process.exitCode = code;
  // The last message must be on its way first.
  setImmediate(() => {
    if (process.platform !== 'win32') {
      try {
        process.kill(-process.pid, 'SIGKILL');
      } catch {
        // It leads no group: started by hand.
      }
    }
    process.exit(code);
  });
}
