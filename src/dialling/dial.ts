/** What becomes of a call that we place. The last four are its end for the queue; what follows an answer is the call's own affair. */
export type DialState =
  /** Waits for a node. */
  | 'queued'
  /** A node has it, and has not begun: it may come back. */
  | 'claimed'
  /** The node was told to dial: from here on nobody else is. */
  | 'begun'
  | 'ringing'
  | 'answered'
  | 'failed'
  | 'cancelled'
  | 'expired';

export const openStates = ['claimed', 'begun', 'ringing'] as const satisfies readonly DialState[];

/** Why nobody answered. `call_logs.end_reason` holds it. */
export type DialReason =
  | 'busy'
  | 'no answer'
  | 'declined'
  | 'unreachable'
  | 'invalid number'
  /** The proxy or the trunk does not let us. */
  | 'not allowed'
  /** Trunks are down, full or out of order. */
  | 'network failure'
  | 'failed'
  /** No node had room for it in time. */
  | 'expired'
  | 'cancelled'
  /** A node was told to dial, and was not heard of any more. */
  | 'node lost'
  | 'campaign not active'
  | 'insufficient funds'
  | 'user blocked'
  /** It was answered, and no WebSocket came of it. */
  | 'no stream';

/** How a leg ended, as its node tells it. */
export interface LegEnd {
  /** FreeSWITCH's name of it. */
  cause?: string | undefined;
  /** The status of SIP's final answer. */
  sipStatus?: number | undefined;
  /** ITU-T Q.850. */
  q850?: number | undefined;
}

/** By SIP's status, RFC 3261 §21. */
const bySipStatus: Readonly<Record<number, DialReason>> = {
  403: 'not allowed',
  404: 'invalid number',
  410: 'invalid number',
  480: 'unreachable',
  484: 'invalid number',
  486: 'busy',
  600: 'busy',
  603: 'declined',
  604: 'invalid number',
  // RFC 8197, and RFC 8688: somebody, or a machine, has said no.
  607: 'declined',
  608: 'declined',
};

/** By Q.850's number, as RFC 3398 §8.2.6.1 has them meet. */
const byQ850: Readonly<Record<number, DialReason>> = {
  1: 'invalid number',
  17: 'busy',
  18: 'unreachable',
  19: 'no answer',
  20: 'unreachable',
  21: 'declined',
  22: 'invalid number',
  27: 'unreachable',
  28: 'invalid number',
  34: 'network failure',
  38: 'network failure',
  41: 'network failure',
  42: 'network failure',
  55: 'not allowed',
  57: 'not allowed',
};

/** Why a leg that was not answered has ended. `rang`: it was heard to ring before. */
export function reasonOf({ cause, sipStatus, q850 }: LegEnd, rang: boolean): DialReason {
  // The node gave up ringing: FreeSWITCH's names for it, https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Troubleshooting-Debugging/Hangup-Cause-Code-Table_3964945/
  if (cause === 'NO_ANSWER' || cause === 'ALLOTTED_TIMEOUT' || sipStatus === 408 || sipStatus === 487) {
    return rang ? 'no answer' : 'unreachable';
  }
  const named = bySipStatus[sipStatus ?? 0];
  if (named !== undefined) return named;
  if (sipStatus !== undefined && sipStatus >= 500 && sipStatus < 600) return 'network failure';
  return byQ850[q850 ?? 0] ?? 'failed';
}
