import type { Context, MiddlewareHandler } from 'hono';
import type { KnownSender } from '../auth/nodes.ts';
import { systemClock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { type Config, loadConfig } from '../config.ts';
import type { Env } from '../env.ts';
import { describeError, log } from '../log.ts';
import { addressKey } from './client-address.ts';
import { apiError } from './errors.ts';
import { RateLimiter, type Verdict, WINDOW_MS } from './rate-limit.ts';
import { SharedRates } from './shared-rates.ts';

/**
 * The longest wait for the Rate Limiting binding. It counts on the machine itself, without a request over the network
 * (https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/#performance): who waits longer waits for something broken.
 */
const LOCATION_WAIT_MS = 10;
/** How long a key is refused that the location has refused: it does not say when its own minute is over. */
const LOCATION_REFUSED_MS = 10_000;
/** What the pseudonyms are made for: nothing else that is made with the same secret is equal to one. */
const PSEUDONYM_LABEL = 'ai-call-handler rate limit address v1\n';
/** Of an address, in hexadecimal: 128 bits. */
const PSEUDONYM_CHARACTERS = 32;

const limiter = new RateLimiter();
let rates: SharedRates | null = null;

/** Whose requests are counted together, and how many of them a minute are allowed. */
interface Budget {
  policy: 'address' | KnownSender['kind'];
  key: string;
  limit: number;
  /** Counts for all isolates of a Cloudflare location. */
  location: RateLimit | undefined;
}

/**
 * Counts each request against its sender's budget. Whom `senderOf` knows has one of their own, whatever address they come from;
 * everybody else is counted by address. In order: this isolate's window, the location's binding, and in the background the record in KV, of
 * which the next requests know.
 *
 * @param senderOf null: nobody that is known. Asks nobody.
 */
export function limitRequests(
  senderOf: (request: Request, config: Config) => Promise<KnownSender | null>,
): MiddlewareHandler<{ Bindings: Env }> {
  return async (c, next) => {
    const config = loadConfig(c.env);
    const sender = await senderOf(c.req.raw, config);
    const budget = sender === null ? addressBudget(c, config) : budgetOf(c, config, sender);
    if (budget.limit === 0) return next();
    const verdict = await judge(c, budget);
    const headers = headersOf(budget, verdict);
    if (!verdict.allowed) {
      return apiError(429, 'RATE_LIMIT', `More than ${budget.limit} requests a minute`, {
        'Retry-After': String(verdict.resetSeconds),
        ...headers,
      });
    }
    await next();
    // The headers of an upgrade's answer are fixed.
    if (c.res.status === 101) return;
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
  };
}

type RequestContext = Context<{ Bindings: Env }>;

function addressBudget(c: RequestContext, config: Config): Budget {
  const key = addressKey(c.req.header('CF-Connecting-IP') ?? null);
  return { policy: 'address', key, limit: config.RATE_LIMIT_PER_IP, location: c.env.RATE_LIMITER };
}

/** Not in KV: who is known is no stranger, and asks a hundred times a second. */
function budgetOf(c: RequestContext, config: Config, { kind, id }: KnownSender): Budget {
  const location = c.env.NODE_RATE_LIMITER;
  return { policy: kind, key: `${kind} ${id}`, limit: config.RATE_LIMIT_PER_NODE, location };
}

async function judge(c: RequestContext, { policy, key, limit, location }: Budget): Promise<Verdict> {
  const now = systemClock.now();
  const verdict = limiter.take(key, limit, now);
  const { RATE_LIMIT_KV: store } = c.env;
  if (policy === 'address' && store !== undefined) {
    const exchange = sharedRates(c.env).exchange(store, key, limit);
    if (exchange !== null) c.executionCtx.waitUntil(exchange);
  }
  if (!verdict.allowed || location === undefined) return verdict;
  const answer = location.limit({ key }).then(({ success }) => {
    if (!success) limiter.block(key, now + LOCATION_REFUSED_MS);
    return success;
  });
  try {
    if (await within(systemClock, LOCATION_WAIT_MS, () => answer)) return verdict;
    return { allowed: false, remaining: 0, resetSeconds: LOCATION_REFUSED_MS / 1000 };
  } catch (error) {
    // It may still answer, for the next request.
    c.executionCtx.waitUntil(answer.catch(() => {}));
    log('warn', 'the location did not count a request', { error: describeError(error) });
    return verdict;
  }
}

/** draft-ietf-httpapi-ratelimit-headers-11 (May 2026), §3 and §4; before its -08 they were three fields of other names. */
function headersOf({ policy, limit }: Budget, verdict: Verdict): Record<string, string> {
  return {
    'RateLimit-Policy': `"${policy}";q=${limit};w=${WINDOW_MS / 1000}`,
    RateLimit: `"${policy}";r=${verdict.remaining};t=${verdict.resetSeconds}`,
  };
}

function sharedRates(env: Env): SharedRates {
  rates ??= new SharedRates({
    clock: systemClock,
    limiter,
    isolate: crypto.randomUUID(),
    pseudonym: pseudonymsBy(loadConfig(env).SUPABASE_SERVICE_ROLE_KEY ?? crypto.randomUUID()),
    onFailure: (error) => log('warn', 'the rate record was not exchanged', { error: describeError(error) }),
  });
  return rates;
}

/** Keyed: of a plain hash all four billion IPv4 addresses could be tried. A deployment without the secret takes no calls. */
function pseudonymsBy(secret: string): (address: string) => Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, ['sign']);
  return async (address) => {
    const signed = await crypto.subtle.sign('HMAC', await key, encoder.encode(PSEUDONYM_LABEL + address));
    const hex = Array.from(new Uint8Array(signed), (byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.slice(0, PSEUDONYM_CHARACTERS);
  };
}
