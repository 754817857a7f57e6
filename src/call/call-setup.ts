import type { AgentConfig } from './agent-config.ts';
import type { CallOptions } from './call-options.ts';
import type { Slot } from './call-slots.ts';
import type { FailureCode, StartedCallFacts } from './events.ts';
import type { Funds } from './funds.ts';
import { notYours, type RequestedCall } from './requested-call.ts';
import type { Refusal } from './returning-leg.ts';

type SetupOptions = Pick<
  CallOptions,
  'claimCallId' | 'releaseCallId' | 'resolveAgent' | 'isBlocked' | 'funds' | 'slots'
>;

/** What was answered. Null: nobody is asked for payment, or counts. */
type SetupAnswers = [
  claimed: boolean,
  agent: AgentConfig,
  payment: Funds | null,
  slot: Slot | null,
  blocked: boolean,
];

/** Whether a call may begin, and what could not be asked meanwhile. */
export type Admission = { failures: readonly { code: FailureCode; message: string }[] } & (
  | { granted: true; agent: AgentConfig; funds: { limitMs: number } | null }
  | { granted: false; refusal: Refusal }
);

/**
 * Asks, all at once, for what a call needs before it may begin: its id, its agent, its payment, a place among its user's calls. Gives back
 * what was set aside where no call comes of it.
 */
export class CallSetup {
  readonly #call: RequestedCall;
  readonly #options: SetupOptions;
  readonly #claim: Promise<boolean>;
  readonly #paid: Promise<Funds | null>;
  readonly #counted: Promise<Slot | null>;

  constructor(call: RequestedCall, options: SetupOptions) {
    const { claimCallId, funds, slots } = options;
    this.#call = call;
    this.#options = options;
    this.#claim = claimCallId(call.callId);
    // Only who holds the id: another attempt with the same one would find, and give back, what is set aside for this call.
    this.#paid = this.#claim.then((claimed) => (claimed && funds !== null ? funds.reserve(call) : null));
    this.#counted = this.#claim.then((claimed) => (claimed && slots !== null ? slots.take(call) : null));
  }

  /** Rejects where the id cannot be claimed, or the agent not be found, because something fails. */
  answers(): Promise<SetupAnswers> {
    const { resolveAgent, isBlocked } = this.#options;
    const { campaignId, userId } = this.#call;
    return Promise.all([this.#claim, resolveAgent(campaignId), this.#paid, this.#counted, isBlocked(userId)]);
  }

  /** No call came of it: also what is granted only later goes back. */
  giveBack(): void {
    const { releaseCallId, funds, slots } = this.#options;
    const call = this.#call;
    this.#claim.then((claimed) => claimed && releaseCallId(call.callId)).catch(() => {});
    this.#paid.then((payment) => payment?.granted && funds?.release(call)).catch(() => {});
    this.#counted.then((slot) => slot?.granted && slots?.release(call)).catch(() => {});
  }
}

/** Whether the call may begin; otherwise the first reason against it. */
export function admissionOf(
  call: RequestedCall,
  [claimed, agent, payment, slot, blocked]: SetupAnswers,
): Admission {
  const refused = (refusal: Refusal): Admission => ({ granted: false, refusal, failures: [] });
  if (!claimed) {
    return refused({
      code: 'CALL_ID_IN_USE',
      message: 'This call id is in use, or was used before',
      closing: 'id in use',
    });
  }
  if (blocked || (agent.owner !== null && agent.owner !== call.userId)) return refused(notYours);
  if (slot?.granted === false) return refused(slot.refusal);
  const failures: { code: FailureCode; message: string }[] = [];
  const unreserved = payment?.failure ?? null;
  if (unreserved !== null) failures.push({ code: 'UNRESERVED', message: unreserved });
  if (payment?.granted === false) return { granted: false, refusal: payment.refusal, failures };
  const uncounted = slot?.failure ?? null;
  if (uncounted !== null) failures.push({ code: 'UNCOUNTED', message: uncounted });
  return { granted: true, agent, funds: payment === null ? null : { limitMs: payment.limitMs }, failures };
}

/** What is fixed of a call that begins. */
export function startedCall(
  call: RequestedCall,
  { agent, funds }: Extract<Admission, { granted: true }>,
  chunkSamples: number,
): StartedCallFacts {
  const { recording, redaction } = agent;
  return { ...call, recording, redaction, chunkSamples, ...(funds === null ? {} : { funds }) };
}
