/** FreeSWITCH's causes that occur here, by its numbers: up to 127 they are ITU-T Q.850's, above its own (`switch_call_cause_t`). */
const codes: Readonly<Record<string, number>> = {
  UNALLOCATED_NUMBER: 1,
  NORMAL_CLEARING: 16,
  USER_BUSY: 17,
  NO_USER_RESPONSE: 18,
  NO_ANSWER: 19,
  CALL_REJECTED: 21,
  NORMAL_UNSPECIFIED: 31,
  NORMAL_TEMPORARY_FAILURE: 41,
  INCOMPATIBLE_DESTINATION: 88,
  RECOVERY_ON_TIMER_EXPIRE: 102,
  ORIGINATOR_CANCEL: 487,
  MANAGER_REQUEST: 703,
  ALLOTTED_TIMEOUT: 802,
  MEDIA_TIMEOUT: 804,
};
const mostOfQ850 = 127;

/** `sofia_glue.c`: the cause of a SIP status; others are NORMAL_UNSPECIFIED. */
const ofStatus: Readonly<Record<number, string>> = {
  403: 'CALL_REJECTED',
  404: 'UNALLOCATED_NUMBER',
  408: 'RECOVERY_ON_TIMER_EXPIRE',
  480: 'NO_USER_RESPONSE',
  486: 'USER_BUSY',
  487: 'ORIGINATOR_CANCEL',
  488: 'INCOMPATIBLE_DESTINATION',
  503: 'NORMAL_TEMPORARY_FAILURE',
  603: 'CALL_REJECTED',
};

export function causeOfStatus(status: number): string {
  return ofStatus[status] ?? 'NORMAL_UNSPECIFIED';
}

function codeOf(cause: string): number {
  const code = codes[cause];
  if (code === undefined) throw new Error(`the double does not know the cause ${cause}`);
  return code;
}

/** `switch_channel_cause_q850`: FreeSWITCH's own causes count as normal clearing. */
export function q850Of(cause: string): number {
  const code = codeOf(cause);
  return code > mostOfQ850 ? 16 : code;
}

/** The header Reason of a BYE, RFC 3326. */
export function reasonOf(cause: string): string {
  const code = codeOf(cause);
  return `${code > mostOfQ850 ? 'SIP' : 'Q.850'};cause=${code};text="${cause}"`;
}
