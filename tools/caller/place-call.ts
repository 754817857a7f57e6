import type { Clock, Timer } from '../../src/call/clock.ts';
import { nativeFeatures } from '../../src/dialects/native-messages.ts';
import { Call } from './call.ts';
import { monotonicClock } from './clock.ts';
import { CallError } from './errors.ts';
import { CallerLeg } from './leg.ts';
import type { ReceivedMessage } from './server-messages.ts';
import type { CallOptions, CallReport } from './types.ts';

const defaults = { timeoutMs: 30_000, maxCallMs: 300_000, settleMs: 500 };

/** A call that failed after it had begun; `report` is what there was of it. */
export class CallFailedError extends CallError {
  readonly report: CallReport;

  constructor(cause: CallError, report: CallReport) {
    super(cause.failure, cause.message, cause.code, cause);
    this.report = report;
  }
}

/**
 * Places one call, runs its script and ends it. Nothing is left running afterwards, whatever happened.
 *
 * @throws {CallError} if it never stood; {CallFailedError} if it failed later. What else the script throws is passed on.
 */
export async function placeCall(options: CallOptions): Promise<CallReport> {
  options.signal?.throwIfAborted();
  const clock = options.clock ?? monotonicClock;
  const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
  const maxCallMs = options.maxCallMs ?? defaults.maxCallMs;
  const line = new Line(options, clock, timeoutMs);
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
    line.hangUp();
  }
}

/** A leg from the upgrade to the call that stands on it: `ready`, `start_call`, `ready`. */
class Line {
  readonly connected: Promise<Call>;
  readonly #options: CallOptions;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #leg: CallerLeg;
  #announced: Ready | null = null;
  #callId = '';
  #call: Call | null = null;
  #resolve: (call: Call) => void = () => {};
  #reject: (error: CallError) => void = () => {};

  constructor(options: CallOptions, clock: Clock, timeoutMs: number) {
    this.#options = options;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.connected = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.connected.catch(() => {});
    this.#leg = new CallerLeg(
      {
        url: withCallId(options.url, options.callId),
        headers: options.headers ?? {},
        connectMs: timeoutMs,
        ...audioOf(options),
      },
      {
        // The call is made within the message that lets it stand: the next may come before any promise is settled.
        message: (message) => (this.#call === null ? this.#setUp(message) : this.#call.onMessage(message)),
        audio: (samples, text) => this.#call?.onAudio(samples, text),
        failed: (error) => this.fail(error),
        closed: (code, reason) => {
          if (this.#call !== null) this.#call.onClosed(code, reason);
          else this.fail(new CallError('refused', `The service closed the line (${code} ${reason})`, code));
        },
      },
    );
  }

  fail(error: CallError): void {
    if (this.#call === null) this.#reject(error);
    else this.#call.onFailed(error);
  }

  hangUp(): void {
    this.#leg.terminate();
  }

  #setUp(message: ReceivedMessage): void {
    if (message.type === 'error') {
      this.fail(
        new CallError('refused', `The service refused: ${message.code} ${message.message}`, message.code),
      );
    } else if (message.type === 'status' && message.status === 'ready') {
      if (this.#announced === null) this.#start(message as Ready);
      else this.#stand(message);
    }
  }

  #start(announced: Ready): void {
    const { startCallId, callId, userId, metadata, features } = this.#options;
    const id = startCallId ?? callId ?? announced.callId;
    if (id === undefined) {
      this.fail(new CallError('protocol', 'The service announced no call id'));
      return;
    }
    this.#announced = announced;
    this.#callId = id;
    this.#leg.send({
      type: 'start_call',
      callId: id,
      userId: userId ?? 'caller',
      metadata: metadata ?? {},
      audio: audioOf(this.#options),
      features: [...(features ?? nativeFeatures.filter((feature) => feature !== 'transfer'))],
    });
  }

  #stand(message: ReceivedMessage): void {
    const resumeToken = this.#announced?.resumeToken ?? null;
    const onEvent = this.#options.onEvent ?? (() => {});
    const call = new Call({
      leg: this.#leg,
      clock: this.#clock,
      callId: this.#callId,
      resumeToken,
      sampleRate: audioOf(this.#options).sampleRate,
      timeoutMs: this.#timeoutMs,
      settleMs: this.#options.settleMs ?? defaults.settleMs,
      keepAudio: this.#options.keepAudio ?? true,
      onEvent,
    });
    this.#call = call;
    onEvent({ type: 'ready', callId: this.#callId, resumeToken, atMs: 0 });
    call.onMessage(message);
    this.#resolve(call);
  }
}

type Ready = Extract<ReceivedMessage, { type: 'status' }>;

function audioOf(options: CallOptions) {
  return {
    transport: options.transport ?? 'json',
    encoding: options.encoding ?? 'mulaw',
    sampleRate: options.sampleRate ?? 8000,
  } as const;
}

function withCallId(url: string, callId: string | undefined): string {
  if (callId === undefined) return url;
  const full = new URL(url);
  if (!full.searchParams.has('callId')) full.searchParams.set('callId', callId);
  return full.href;
}
