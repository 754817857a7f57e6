import { anonymous, type Principal } from '../call/principal.ts';
import type { Config } from '../config.ts';
import type { Env } from '../env.ts';

/**
 * Who sent a request, or the answer that turns them away. The one place that decides it: every route that is not open to everybody
 * asks here.
 */
export async function authenticate(
  _request: Request,
  _env: Env,
  _config: Config,
): Promise<Principal | Response> {
  return anonymous;
}
