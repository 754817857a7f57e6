import type { Config } from '../config.ts';
import type { DialPermission } from '../records/dials.ts';

/** Why this user may have no call placed; null: he may. */
export function reasonAgainst(
  { account, blocked, seconds, campaign }: DialPermission,
  config: Pick<Config, 'BILLING' | 'BILLING_LEAST_SECONDS' | 'WEBSOCKET_TIMEOUT'>,
): 'campaign not active' | 'user blocked' | 'insufficient funds' | null {
  const { BILLING, BILLING_LEAST_SECONDS, WEBSOCKET_TIMEOUT } = config;
  // Paused, or over: also for calls that have waited since before.
  if (campaign !== null && campaign.status !== 'active') return 'campaign not active';
  if (blocked || (BILLING && !account)) return 'user blocked';
  // As `callFunds` has it: no call is asked to be longer than the longest.
  const least = Math.min(BILLING_LEAST_SECONDS, Math.ceil(WEBSOCKET_TIMEOUT / 1000));
  return BILLING && seconds !== null && seconds < least ? 'insufficient funds' : null;
}
