import type { Timer } from '../../src/call/clock.ts';
import { monotonicClock } from './clock.ts';
import { CallError } from './errors.ts';
import { Line } from './line.ts';
import type { CallOptions, CallReport } from './types.ts';

const defaults = { timeoutMs: 30_000, maxCallMs: 300_000, settleMs: 500, resumeMs: 30_000 };

/** Between two sentences of one reply no carrier tells that more is to come. */
const untoldSettleMs = 1_500;

/** A call that failed after it had begun; `report` is what there was of it. */
export class CallFailedError extends CallError {
  readonly report: CallReport;

  constructor(cause: CallError, report: CallReport) {
    super(cause.failure, cause.message, cause.code, cause);
    this.report = report;
  }
}

/**
 * Places one call, runs its script and ends it; comes back to it, as a node does, if its line is lost. Nothing is left running
 * afterwards, whatever happened.
 *
 * @throws {CallError} if it never stood; {CallFailedError} if it failed later. What else the script throws is passed on.
 */
export async function placeCall(options: CallOptions): Promise<CallReport> {
  options.signal?.throwIfAborted();
  const clock = options.clock ?? monotonicClock;
  const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
  const maxCallMs = options.maxCallMs ?? defaults.maxCallMs;
  const line = new Line({
    call: options,
    clock,
    timeoutMs,
    settleMs: options.settleMs ?? (options.as === undefined ? defaults.settleMs : untoldSettleMs),
    resumeMs: options.as === undefined ? (options.resumeMs ?? defaults.resumeMs) : 0,
    random: Math.random,
  });
  const timers: Timer[] = [];
  let cut: (error: CallError) => void = () => {};
  const cutOff = new Promise<never>((_, reject) => {
    cut = (error) => {
      line.fail(error);
      reject(error);
    };
  });
  // It may be rejected when nobody waits for it any more.
  cutOff.catch(() => {});
  const onAbort = () => cut(new CallError('aborted', 'The call was cancelled', null, options.signal?.reason));
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const setupLimit = clock.after(timeoutMs, () =>
      cut(new CallError('timeout', `The service did not accept the call within ${timeoutMs} ms`)),
    );
    timers.push(setupLimit);
    const call = await line.connected;
    setupLimit.cancel();
    timers.push(
      clock.after(maxCallMs, () => cut(new CallError('timeout', `The call lasted ${maxCallMs} ms`))),
    );
    try {
      await Promise.race([options.script(call), cutOff]);
      await call.hangUp();
    } catch (error) {
      if (error instanceof CallError) throw new CallFailedError(error, call.report());
      throw error;
    }
    return call.report();
  } finally {
    for (const timer of timers) timer.cancel();
    options.signal?.removeEventListener('abort', onAbort);
    line.terminate();
  }
}
