import { figuresNow } from './alerts/figures-now.ts';
import { alertsObject } from './alerts/read.ts';
import type { Env } from './env.ts';
import { describeError, log } from './log.ts';

/** Each minute (`crons` in wrangler.toml, and of the launcher on a laptop): looks whether there is somebody to alert. */
export async function scheduled(_: ScheduledController, env: Env): Promise<void> {
  try {
    await alertsObject(env).evaluate(await figuresNow(env, Date.now()));
  } catch (error) {
    log('error', 'the alerts could not be evaluated', { error: describeError(error) });
    // The platform counts it as failed.
    throw error;
  }
}
