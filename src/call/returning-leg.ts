import type { LegHandler, StartRequest } from '../dialects/dialect.ts';
import type { ErrorCode } from '../dialects/native-messages.ts';
import type { Clock, Timer } from './clock.ts';
import type { StartedCallFacts } from './events.ts';
import type { Closing, Leg } from './leg.ts';
import { MessageRate } from './message-rate.ts';
import { mayStartCall, type Principal, principalName } from './principal.ts';
import { sameText } from './same-text.ts';
import type { TransferReport } from './transfer.ts';

/** Errors that a client may make before it has shown that it may come back. */
const MOST_ERRORS = 5;

/** Why a client is turned away. */
export interface Refusal {
  code: ErrorCode;
  message: string;
  closing: Closing;
}

export interface ReturningLegOptions {
  startMs: number;
  /** As in a call: what is no error costs the object as much here as there. */
  messagesPerSecond: number;
  /** Why this client may not come back; null: it may. */
  refusalOf(request: StartRequest): Refusal | null;
  /** Takes the leg into its call, which hears from now on what comes from it. */
  accept(leg: Leg, request: StartRequest): LegHandler;
  sendError(code: ErrorCode, message: string): void;
  /** It is being turned away; once. */
  onRefused(code: ErrorCode): void;
  /** It was accepted or turned away, or is gone; once. */
  onOver(): void;
}

/**
 * A socket that was opened for a call that there is already: its client has to prove, by `start_call` with the call's token, that it
 * is the one that comes back. Until then nothing that it sends reaches the call.
 */
export class ReturningLeg implements LegHandler {
  readonly leg: Leg;
  readonly #options: ReturningLegOptions;
  readonly #timer: Timer;
  readonly #clock: Clock;
  readonly #rate: MessageRate;
  #errors = 0;
  #over = false;
  /** The call, once it has taken the leg: one message may tell who comes back, and what was said before that. */
  #call: LegHandler | null = null;

  constructor(leg: Leg, clock: Clock, options: ReturningLegOptions) {
    this.leg = leg;
    this.#options = options;
    this.#clock = clock;
    this.#rate = new MessageRate(options.messagesPerSecond, clock.now());
    this.#timer = clock.after(options.startMs, () =>
      this.turnAway('TIMEOUT', 'start_call did not come', 'idle'),
    );
  }

  /** True once it was accepted or turned away: its messages are none of this one's any more. */
  get over(): boolean {
    return this.#over;
  }

  receive(message: string | ArrayBuffer): void {
    if (this.#over) return;
    if (this.#rate.take(this.#clock.now())) this.leg.dialect.receive(message, this);
    else this.turnAway('TOO_FAST', 'Messages come faster than the service takes them', 'too fast');
  }

  /** The socket is gone. */
  closed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer.cancel();
    this.#options.onOver();
  }

  start(request: StartRequest): void {
    if (this.#over) return;
    const refusal = this.#options.refusalOf(request);
    if (refusal !== null) {
      this.turnAway(refusal.code, refusal.message, refusal.closing);
      return;
    }
    this.closed();
    this.#call = this.#options.accept(this.leg, request);
  }

  audio(samples: Int16Array): void {
    if (this.#call !== null) this.#call.audio(samples);
    else this.protocolError('NOT_STARTED', 'Audio came before start_call');
  }

  dtmf(digit: string, durationMs: number): void {
    if (this.#call !== null) this.#call.dtmf(digit, durationMs);
    else this.protocolError('NOT_STARTED', 'A key came before start_call');
  }

  markPlayed(name: string): void {
    if (this.#call !== null) this.#call.markPlayed(name);
    else this.protocolError('NOT_STARTED', 'A mark came before start_call');
  }

  interrupt(): void {
    if (this.#call !== null) this.#call.interrupt();
    else this.protocolError('NOT_STARTED', 'An interruption came before start_call');
  }

  transfer(report: TransferReport): void {
    if (this.#call !== null) this.#call.transfer(report);
    else this.protocolError('NOT_STARTED', 'A transfer was told of before start_call');
  }

  answeredBy(verdict: 'human' | 'machine', confidence: number): void {
    this.#call?.answeredBy(verdict, confidence);
  }

  hangUp(): void {
    if (this.#call !== null) {
      this.#call.hangUp();
      return;
    }
    this.closed();
    this.leg.close('hangup');
  }

  protocolError(code: ErrorCode, message: string): void {
    if (this.#call !== null) {
      this.#call.protocolError(code, message);
      return;
    }
    this.#options.sendError(code, message);
    if (++this.#errors >= MOST_ERRORS) this.turnAway(code, message, 'protocol');
  }

  refuse(code: ErrorCode, message: string): void {
    this.turnAway(code, message, 'refused');
  }

  /** Closes the socket, saying why; nothing of the call was shown to it. */
  turnAway(code: ErrorCode, message: string, closing: Closing): void {
    if (this.#over) return;
    this.closed();
    this.#options.onRefused(code);
    this.#options.sendError(code, message);
    this.leg.close(closing);
  }
}

/** What the return to a call is judged by. */
export type ReturnedCall = Pick<
  StartedCallFacts,
  'callId' | 'userId' | 'campaignId' | 'startedBy' | 'sampleRate'
>;

/**
 * Why a client may not come back to this call with this request; null: it may. It shows the call's token, or is the node that started the
 * call; and it still may call for that user.
 */
export function refusalToReturn(
  { call, resumeToken }: { call: ReturnedCall; resumeToken: string },
  request: StartRequest,
  principal: Principal,
): Refusal | null {
  const showsToken = request.resumeToken !== null && sameText(request.resumeToken, resumeToken);
  const isItsNode = principal.kind === 'node' && call.startedBy === principalName(principal);
  if (!(showsToken || isItsNode) || !mayStartCall(principal, call)) {
    return {
      code: 'CALL_ID_IN_USE',
      message: 'This call id is in use, or was used before',
      closing: 'id in use',
    };
  }
  if (request.callId !== call.callId) {
    return { code: 'CALL_ID_MISMATCH', message: `callId must be ${call.callId}`, closing: 'refused' };
  }
  if (request.userId !== call.userId) {
    return { code: 'UNAUTHORIZED', message: 'This call is another user’s', closing: 'refused' };
  }
  if (request.sampleRate !== call.sampleRate) {
    const message = `audio.sampleRate must be ${call.sampleRate}, as before`;
    return { code: 'BAD_MESSAGE', message, closing: 'refused' };
  }
  return null;
}
