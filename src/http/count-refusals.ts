import { waitUntil } from 'cloudflare:workers';
import type { MiddlewareHandler } from 'hono';
import { systemClock } from '../call/clock.ts';
import { loadConfig } from '../config.ts';
import type { Env } from '../env.ts';
import { describeError, log } from '../log.ts';
import { sendRefusals } from '../metrics/read.ts';
import { RefusalTally, type RefusedThing } from '../metrics/refusals.ts';
import { apiErrorCode } from './errors.ts';

let tally: RefusalTally | null = null;

/** Counts what this isolate refuses. What is returned, if anything, goes on in the background. */
export function countRefusal(
  env: Pick<Env, 'METRICS'>,
  shards: number,
  thing: RefusedThing,
  code: string,
): Promise<void> | null {
  // Not outside of a request: a Worker has no randomness there.
  tally ??= new RefusalTally(systemClock, crypto.randomUUID());
  return tally.add(thing, code, sendRefusals(env, shards));
}

/** Counts every request that is answered with an error, by its code. The answer does not wait for it. */
export const countRefusals: MiddlewareHandler<{ Bindings: Env }> = async (c, next) => {
  await next();
  if (c.res.status < 400) return;
  const thing = new URL(c.req.url).pathname.startsWith('/ws/') ? 'call' : 'request';
  const shards = loadConfig(c.env).METRICS_SHARDS;
  const counted = apiErrorCode(c.res.clone()).then((code) => countRefusal(c.env, shards, thing, code));
  waitUntil(
    counted.catch((error: unknown) =>
      log('warn', 'a refusal was not counted', { error: describeError(error) }),
    ),
  );
};
