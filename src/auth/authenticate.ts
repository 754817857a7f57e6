import { systemClock } from '../call/clock.ts';
import { anonymous, type Principal } from '../call/principal.ts';
import type { Config } from '../config.ts';
import { apiError } from '../http/errors.ts';
import { describeError, log, personalPath } from '../log.ts';
import { Accounts, AccountsUnavailable, createFindAccounts } from '../records/accounts.ts';
import { CALL_TOKEN_PREFIX, CallTokens } from './call-tokens.ts';
import { type Credential, credentialOf, MOST_CREDENTIAL_CHARACTERS } from './credential.ts';
import { isLoopback } from './loopback.ts';
import { holderOf } from './nodes.ts';
import { KeysUnavailable, SigningKeys } from './signing-keys.ts';
import { kindOfToken } from './tokens.ts';
import { Refused, userOf, verifyUserToken } from './user-tokens.ts';

/** What an isolate keeps for one set of settings. */
interface Kept {
  callTokens: CallTokens | null;
  accounts: Accounts;
  keys: SigningKeys;
  issuer: string;
}

const kept = new WeakMap<Config, Kept>();

/**
 * Who sent a request, or the answer that turns them away. The one place that decides it: every route that is not open to everybody
 * asks here.
 *
 * @param place `socket`: a WebSocket's upgrade, which takes single-call tokens; `route`: everything else, which does not.
 */
export async function authenticate(
  request: Request,
  config: Config,
  place: 'socket' | 'route',
): Promise<Principal | Response> {
  const credential = credentialOf(request, place === 'socket');
  const isCallToken = credential?.token.startsWith(CALL_TOKEN_PREFIX) ?? false;
  if (config.AUTH === 'none') {
    if (!isLoopback(request)) {
      return apiError(503, 'AUTH_OFF', 'AUTH is none: the service answers on its own machine only');
    }
    // A token that stands for one call names it, also where nobody has to prove anything.
    if (!isCallToken || place !== 'socket') return anonymous;
  }
  if (credential === null) return unauthorized();
  try {
    return await principalOf(credential, request, config, place);
  } catch (error) {
    if (error instanceof Refused) {
      const path = new URL(request.url).pathname.slice(0, 200);
      log('warn', 'a request was refused', { path: personalPath(path), reason: error.message });
      return unauthorized();
    }
    if (error instanceof KeysUnavailable || error instanceof AccountsUnavailable) {
      log('error', 'nobody could be asked who a user is', { error: describeError(error) });
      return apiError(503, 'INTERNAL_ERROR', 'Users cannot be told apart at the moment', {
        'Retry-After': '5',
      });
    }
    throw error;
  }
}

/** One answer for all who are turned away: what was wrong with a token helps only those who make tokens up. */
export function unauthorized(): Response {
  // RFC 6750 §3.
  return apiError(401, 'UNAUTHORIZED', 'A valid token is needed', {
    'WWW-Authenticate': 'Bearer realm="ai-call-handler"',
  });
}

/** Single-call tokens; null: the settings hold no secret to sign them with. */
export function callTokensOf(config: Config): CallTokens | null {
  return keptFor(config).callTokens;
}

/**
 * Whether the account of this id is blocked: a node calls for users who did not show themselves. Where the database does not answer it is not:
 * whoever telephones is answered. With `BILLING` the reservation says it, and nobody has to be asked twice.
 */
export async function isBlocked(config: Config, userId: string): Promise<boolean> {
  if (config.AUTH === 'none' || config.BILLING) return false;
  try {
    const accounts = await keptFor(config).accounts.of(userId);
    return accounts.some(({ blockedAt }) => blockedAt !== null);
  } catch (error) {
    if (!(error instanceof AccountsUnavailable)) throw error;
    return false;
  }
}

async function principalOf(
  { token, name, exposed }: Credential,
  request: Request,
  config: Config,
  place: 'socket' | 'route',
): Promise<Principal> {
  if (token.length > MOST_CREDENTIAL_CHARACTERS) throw new Refused('too long for a token');
  if (token.startsWith(CALL_TOKEN_PREFIX)) {
    if (place !== 'socket') throw new Refused('a single-call token opens a socket, and nothing else');
    const call = (await callTokensOf(config)?.read(token)) ?? null;
    if (call === null) throw new Refused('no single-call token of this service');
    const { callId, userId, campaignId } = call;
    const campaigns = campaignId === null ? [] : [campaignId];
    return { kind: 'call', id: callId, users: [userId], campaigns, call };
  }
  if (exposed) throw new Refused('only a single-call token may stand in an address or a subprotocol');
  if (kindOfToken(token) !== null) {
    return await holderOf(token, name, request.headers.get('CF-Connecting-IP'), config);
  }
  if (name !== null) throw new Refused('HTTP Basic is for nodes');
  const { keys, issuer, accounts } = keptFor(config);
  const secret = config.SUPABASE_JWT_SECRET ?? null;
  const user = await verifyUserToken(token, { issuer, keys: keys.get, secret }, systemClock.now());
  return userOf(user, await accounts.of(user.subject));
}

function keptFor(config: Config): Kept {
  let ofConfig = kept.get(config);
  if (ofConfig === undefined) {
    ofConfig = keep(config);
    kept.set(config, ofConfig);
  }
  return ofConfig;
}

function keep(config: Config): Kept {
  const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key } = config;
  // https://supabase.com/docs/guides/auth/jwts: the issuer, and beneath it the project's public keys.
  const auth = `${(url ?? '').replace(/\/+$/, '')}/auth/v1`;
  return {
    callTokens: key === undefined ? null : new CallTokens(key),
    accounts: new Accounts({
      clock: systemClock,
      timeoutMs: config.AUTH_TIMEOUT,
      find:
        url === undefined || key === undefined
          ? () => Promise.reject(new Error('the database is not set up'))
          : createFindAccounts({ url, key }),
      onFailure: (error) =>
        log('error', 'an account could not be looked up', { error: describeError(error) }),
    }),
    keys: new SigningKeys({
      url: `${auth}/.well-known/jwks.json`,
      clock: systemClock,
      timeoutMs: config.AUTH_TIMEOUT,
      fetch: (input, init) => fetch(input, init),
      onFailure: (error) =>
        log('error', 'the keys of users’ tokens could not be fetched', { error: describeError(error) }),
    }),
    issuer: config.SUPABASE_JWT_ISSUER ?? auth,
  };
}
