import type { Clock, Timer } from '../../src/call/clock.ts';
import { type ClientMessage, nativeFeatures } from '../../src/dialects/native-messages.ts';
import { Call } from './call.ts';
import { CallError } from './errors.ts';
import { CallerLeg } from './leg.ts';
import { backOffMs, isFinalClose, isPassingRefusal } from './returning.ts';
import type { ReceivedMessage } from './server-messages.ts';
import type { CallOptions } from './types.ts';

/** The longest that one attempt to come back may take, from the upgrade to the call that goes on, in milliseconds. */
const attemptMs = 5_000;

export interface LineOptions {
  call: CallOptions;
  clock: Clock;
  timeoutMs: number;
  settleMs: number;
  /** How long a lost line is opened again; 0: not at all. */
  resumeMs: number;
  /** 0 to 1. */
  random: () => number;
}

type Ready = Extract<ReceivedMessage, { type: 'status' }>;

/** A line that broke while its call stood. */
interface Loss {
  code: number;
  reason: string;
  attempts: number;
}

/**
 * A call's way to the service: one leg after the other. Each stands after `ready`, `start_call`, `ready`; one that breaks is followed by
 * another, with the call's id and token, until the service has told that the call is over or the time for it has passed.
 */
export class Line {
  readonly connected: Promise<Call>;
  readonly #options: LineOptions;
  /** In the URL of every leg; undefined: the service mints one, and the call cannot be come back to. */
  readonly #boundId: string | undefined;
  #leg: CallerLeg;
  #state: 'opened' | 'announced' | 'up' | 'over' = 'opened';
  #callId = '';
  #resumeToken: string | null = null;
  #call: Call | null = null;
  #loss: Loss | null = null;
  #attemptTimer: Timer | null = null;
  #lossTimer: Timer | null = null;
  #resolve: (call: Call) => void = () => {};
  #reject: (error: CallError) => void = () => {};

  /** @throws {CallError} `connect`: the URL is none. */
  constructor(options: LineOptions) {
    this.#options = options;
    const { callId, startCallId } = options.call;
    const minted = startCallId === undefined && options.resumeMs > 0 ? crypto.randomUUID() : undefined;
    this.#boundId = callId ?? minted;
    this.connected = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.connected.catch(() => {});
    this.#leg = this.#open(options.timeoutMs);
  }

  /** The service takes what is sent. */
  get up(): boolean {
    return this.#state === 'up';
  }

  /** What is sent while the line is down is lost. */
  send(message: ClientMessage): void {
    if (this.up) this.#leg.send(message);
  }

  /** One frame. */
  sendAudio(samples: Int16Array): void {
    if (this.up) this.#leg.sendAudio(samples);
  }

  sendRaw(data: string | Uint8Array): void {
    if (this.up) this.#leg.sendRaw(data);
  }

  /** Drops the connection for good, without a word. */
  terminate(): void {
    this.#stopTimers();
    const loss = this.#loss;
    this.#leg.terminate();
    // Between two legs no close will come.
    if (loss !== null) this.#over(loss.code, loss.reason);
  }

  /** The call is given up. */
  fail(error: CallError): void {
    if (this.#call === null) this.#reject(error);
    else this.#call.onFailed(error);
  }

  #open(connectMs: number): CallerLeg {
    const { call } = this.#options;
    this.#state = 'opened';
    const isCurrent = () => this.#leg === leg && this.#state !== 'over';
    const leg: CallerLeg = new CallerLeg(
      {
        url: withCallId(call.url, this.#boundId),
        headers: call.headers ?? {},
        connectMs,
        ...audioOf(call),
        ...(call.as === undefined ? {} : { as: call.as }),
      },
      {
        // The call is made within the message that lets it stand: the next may come before any promise is settled.
        message: (message) => {
          if (!isCurrent()) return;
          if (this.up) this.#call?.onMessage(message);
          else this.#setUp(message);
        },
        audio: (samples, text) => {
          if (isCurrent() && this.up) this.#call?.onAudio(samples, text);
        },
        failed: (error) => {
          if (isCurrent()) this.#failed(error);
        },
        closed: (code, reason) => {
          if (isCurrent()) this.#closed(code, reason);
        },
      },
    );
    return leg;
  }

  #setUp(message: ReceivedMessage): void {
    const call = this.#call;
    if (message.type === 'error') {
      if (call !== null) call.onMessage(message);
      else {
        const { code } = message;
        this.fail(new CallError('refused', `The service refused: ${code} ${message.message}`, code));
      }
    } else if (message.type === 'status' && message.status === 'ready') {
      if (this.#state === 'opened') this.#announced(message as Ready);
      else if (call === null) this.#stand(message);
      else this.#resumed(call, message);
    }
  }

  #announced(ready: Ready): void {
    const { startCallId, userId, metadata, features, callee } = this.#options.call;
    const known = this.#call !== null;
    const id = startCallId ?? this.#boundId ?? ready.callId;
    const token = ready.resumeToken ?? null;
    if (id === undefined) {
      this.fail(new CallError('protocol', 'The service announced no call id'));
      return;
    }
    if (known && token !== null && token !== this.#resumeToken) {
      // A token of its own is that of a new call.
      this.#giveUp('the service does not know the call any more');
      return;
    }
    this.#state = 'announced';
    this.#callId = id;
    if (!known) this.#resumeToken = token;
    const resumeToken = known ? this.#resumeToken : null;
    this.#leg.send({
      type: 'start_call',
      callId: id,
      userId: userId ?? 'caller',
      ...(resumeToken === null ? {} : { resumeToken }),
      metadata: metadata ?? {},
      audio: audioOf(this.#options.call),
      features: [
        ...(features ?? nativeFeatures.filter((feature) => feature !== 'transfer' || callee !== undefined)),
      ],
    });
  }

  #stand(message: ReceivedMessage): void {
    const { clock, timeoutMs, settleMs } = this.#options;
    const { onEvent = () => {}, keepAudio = true } = this.#options.call;
    const resumeToken = this.#resumeToken;
    this.#state = 'up';
    const call = new Call({
      line: this,
      clock,
      callId: this.#callId,
      resumeToken,
      sampleRate: audioOf(this.#options.call).sampleRate,
      timeoutMs,
      settleMs,
      keepAudio,
      // A switch's end says that it can, whether it is asked to or not.
      callee: this.#options.call.callee ?? 'unreachable',
      bracketed: this.#options.call.as === undefined,
      onEvent,
    });
    this.#call = call;
    onEvent({ type: 'ready', callId: this.#callId, resumeToken, atMs: 0 });
    call.onMessage(message);
    this.#resolve(call);
  }

  // --- a line that is lost ----------------------------------------------------------------------------------

  get #mayReturn(): boolean {
    const { resumeMs } = this.#options;
    return resumeMs > 0 && this.#boundId !== undefined && this.#resumeToken !== null && !this.#call?.hungUp;
  }

  #failed(error: CallError): void {
    if (this.#call === null) this.fail(error);
    else if (this.#loss !== null) {
      const { failure, code } = error;
      const forGood = failure === 'refused' && typeof code === 'number' && !isPassingRefusal(code);
      if (forGood || failure === 'protocol') this.#giveUp(error.message);
    } else if (!this.#mayReturn || error.failure === 'protocol') {
      this.fail(error);
    }
    // Of everything else the socket's close, which follows, decides.
  }

  #closed(code: number, reason: string): void {
    const { clock, resumeMs } = this.#options;
    const call = this.#call;
    if (call === null) {
      this.fail(new CallError('refused', `The service closed the line (${code} ${reason})`, code));
    } else if (call.over || isFinalClose(code) || !this.#mayReturn) {
      this.#over(code, reason);
    } else {
      if (this.#loss === null) {
        this.#loss = { code, reason, attempts: 0 };
        this.#lossTimer = clock.after(resumeMs, () => this.#giveUp(`it did not come back in ${resumeMs} ms`));
        this.#state = 'opened';
        call.onDropped(code, reason);
      }
      this.#tryLater(this.#loss);
    }
  }

  #tryLater(loss: Loss): void {
    const { clock, random } = this.#options;
    this.#state = 'opened';
    this.#attemptTimer?.cancel();
    this.#attemptTimer = clock.after(backOffMs(loss.attempts, random()), () => {
      loss.attempts += 1;
      this.#leg = this.#open(attemptMs);
      this.#attemptTimer = clock.after(attemptMs, () => this.#leg.terminate());
    });
  }

  #resumed(call: Call, message: ReceivedMessage): void {
    const attempts = this.#loss?.attempts ?? 0;
    this.#loss = null;
    this.#stopTimers();
    this.#state = 'up';
    call.onResumed(message, attempts);
  }

  #giveUp(why: string): void {
    const loss = this.#loss;
    if (loss === null) return;
    const { code, reason } = loss;
    this.fail(new CallError('closed', `The line was lost (${code} ${reason}): ${why}`, code));
    this.#over(code, reason);
    this.#leg.terminate();
  }

  #over(code: number, reason: string): void {
    this.#stopTimers();
    this.#state = 'over';
    this.#loss = null;
    this.#call?.onClosed(code, reason);
  }

  #stopTimers(): void {
    this.#attemptTimer?.cancel();
    this.#lossTimer?.cancel();
  }
}

function audioOf(options: CallOptions) {
  return {
    transport: options.transport ?? 'json',
    encoding: options.encoding ?? 'mulaw',
    sampleRate: options.sampleRate ?? 8000,
  } as const;
}

function withCallId(url: string, callId: string | undefined): string {
  if (callId === undefined || !URL.canParse(url)) return url;
  const full = new URL(url);
  if (!full.searchParams.has('callId')) full.searchParams.set('callId', callId);
  return full.href;
}
