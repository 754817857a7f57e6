/** Who opened the socket, and whose calls they may start. Resolved by the router, checked at `start_call`. */
export interface Principal {
  kind: 'anonymous';
  /** Stands in the log; never a secret. */
  id: string;
  /** The users in whose name calls may be started; `*` for all. */
  users: '*' | readonly string[];
  /** Likewise the campaigns; a call without a campaign needs none of them. */
  campaigns: '*' | readonly string[];
}

/** Without authentication everyone is this principal; the launcher then binds to loopback only. */
export const anonymous: Principal = { kind: 'anonymous', id: 'anonymous', users: '*', campaigns: '*' };

export function mayStartCall(principal: Principal, userId: string, campaignId: string | null): boolean {
  const mayUser = principal.users === '*' || principal.users.includes(userId);
  const mayCampaign =
    campaignId === null || principal.campaigns === '*' || principal.campaigns.includes(campaignId);
  return mayUser && mayCampaign;
}
