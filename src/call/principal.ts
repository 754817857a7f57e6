/** The one call that a single-call token starts. */
export interface CallGrant {
  callId: string;
  userId: string;
  /** Null: a call without a campaign. */
  campaignId: string | null;
  /** Names the token, so that it is used once; no secret. */
  tokenId: string;
  /** When it may not start the call any more, milliseconds since the epoch; a call that it has started may be come back to. */
  expiresAt: number;
  /** The trace of whoever asked for the token, where they have one and are believed. */
  traceparent?: string;
}

/** Who opened the socket or sent the request, and whose calls they may start. Resolved by the router, checked at `start_call`. */
export interface Principal {
  /**
   * `user`: a person, by an access token of Supabase Auth. `node`: a FreeSWITCH server, by its token. `call`: the holder of a single-call
   * token. `service`: the operator's own programs. `metrics`: whoever may read the counts, and nothing else.
   */
  kind: 'anonymous' | 'user' | 'node' | 'call' | 'service' | 'metrics';
  /** Of a user the `userId`, of a node its name, of a call its id. Stands in the log; never a secret. */
  id: string;
  /** The users in whose name calls may be started; `*` for all. */
  users: '*' | readonly string[];
  /** Likewise the campaigns; a call without a campaign needs none of them. */
  campaigns: '*' | readonly string[];
  /** Of a single-call token, and only of that. */
  call?: CallGrant;
}

/** Who everyone is where nobody has to prove it: on this machine alone. */
export const anonymous: Principal = { kind: 'anonymous', id: 'anonymous', users: '*', campaigns: '*' };

/** Names a principal in the log and in what is written down of a call. */
export function principalName({ kind, id }: Pick<Principal, 'kind' | 'id'>): string {
  return `${kind}:${id}`;
}

/** Whether this user's row, recording or call, of this campaign, is theirs. */
export function maySee(principal: Principal, userId: string, campaignId: string | null): boolean {
  const { users, campaigns } = principal;
  const seesUser = users === '*' || users.includes(userId);
  return seesUser && (campaignId === null || campaigns === '*' || campaigns.includes(campaignId));
}

/** The user whom they mean where they name none: the only one they have. */
export function onlyUserOf({ users }: Principal): string | null {
  return users !== '*' && users.length === 1 ? users[0]! : null;
}

/** Whether they may start this call. A single-call token stands for one call and no other. */
export function mayStartCall(
  principal: Principal,
  call: { callId: string; userId: string; campaignId: string | null },
): boolean {
  const { call: grant } = principal;
  if (principal.kind === 'metrics') return false;
  if (grant !== undefined && (grant.callId !== call.callId || grant.campaignId !== call.campaignId)) {
    return false;
  }
  return maySee(principal, call.userId, call.campaignId);
}
