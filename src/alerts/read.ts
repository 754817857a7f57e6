import { systemClock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import type { Env } from '../env.ts';
import { describeError, log } from '../log.ts';
import type { AlertStatus } from './status.ts';

/** The object that knows the deployment's alerts. */
export function alertsObject(env: Env) {
  return env.ALERTS.get(env.ALERTS.idFromName('alerts'));
}

/** `/health` and `/metrics` answer without it. */
const TIMEOUT_MS = 1_000;

/** Null: the object does not answer. */
export async function readAlerts(env: Env): Promise<AlertStatus | null> {
  try {
    return await within(systemClock, TIMEOUT_MS, async () => await alertsObject(env).status());
  } catch (error) {
    log('error', 'the alerts could not be read', { error: describeError(error) });
    return null;
  }
}
