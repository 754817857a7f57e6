import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import type { Principal } from '../call/principal.ts';
import type { Account } from '../records/accounts.ts';
import { KeysUnavailable } from './signing-keys.ts';

/** Why somebody is turned away. The log is told; the client is not, who might be trying. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** What a user's token says, once it is believed. */
export interface UserToken {
  /** Whom Supabase Auth knows: a UUID there. */
  subject: string;
  /** Milliseconds since the epoch. */
  issuedAt: number;
}

/** What a project may sign with: https://supabase.com/docs/guides/auth/signing-keys. A public key verifies these and no others. */
const PUBLIC_KEY_ALGORITHMS = ['ES256', 'RS256', 'EdDSA'];
/** What the legacy shared secret verifies. */
const SECRET_ALGORITHMS = ['HS256'];
/** Clocks differ by so many seconds. */
const CLOCK_TOLERANCE_S = 5;
/** Of a person who is logged in: https://supabase.com/docs/guides/auth/jwt-fields */
const AUTHENTICATED = 'authenticated';

export interface UserTokenOptions {
  issuer: string;
  /** Of the project's public keys. */
  keys: JWTVerifyGetKey;
  /** The legacy shared secret; null: tokens that are signed with it are not taken. */
  secret: string | null;
}

const claimsSchema = z.object({
  sub: z
    .string()
    .min(1)
    .max(128)
    .refine((sub) => sub.isWellFormed() && !sub.includes('\u0000'), 'is no id'),
  iat: z.number(),
  role: z.literal(AUTHENTICATED),
  // Whoever asks is signed in so, and proves nothing: https://supabase.com/docs/guides/auth/auth-anonymous
  is_anonymous: z.literal(false).optional(),
});

/**
 * Verifies an access token of Supabase Auth. The algorithm that the token names decides only which kind of key is asked; each kind has its own
 * list, so that a public key is never taken for a shared secret (RFC 8725 §2.1, §3.1).
 *
 * @throws {Refused} saying why, `KeysUnavailable`.
 */
export async function verifyUserToken(
  token: string,
  options: UserTokenOptions,
  now: number,
): Promise<UserToken> {
  const { issuer, keys, secret } = options;
  const claims = {
    issuer,
    audience: AUTHENTICATED,
    requiredClaims: ['sub', 'exp', 'iat'],
    clockTolerance: CLOCK_TOLERANCE_S,
    currentDate: new Date(now),
  };
  let payload: JWTPayload;
  try {
    const { alg } = decodeProtectedHeader(token);
    if (alg !== undefined && SECRET_ALGORITHMS.includes(alg)) {
      if (secret === null)
        throw new Refused('signed with a shared secret, and SUPABASE_JWT_SECRET is not set');
      const key = new TextEncoder().encode(secret);
      ({ payload } = await jwtVerify(token, key, { ...claims, algorithms: SECRET_ALGORITHMS }));
    } else {
      ({ payload } = await jwtVerify(token, keys, { ...claims, algorithms: PUBLIC_KEY_ALGORITHMS }));
    }
  } catch (error) {
    if (error instanceof Refused || error instanceof KeysUnavailable) throw error;
    throw new Refused(reasonOf(error));
  }
  const parsed = claimsSchema.safeParse(payload);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Refused(`claim ${issue?.path.join('.')}: ${issue?.message}`);
  }
  // jose looks at `iat` only where a greatest age is set.
  if (parsed.data.iat * 1000 > now + CLOCK_TOLERANCE_S * 1000) throw new Refused('claim iat: in the future');
  return { subject: parsed.data.sub, issuedAt: parsed.data.iat * 1000 };
}

/** jose's errors have a code, and hold nothing of the token but names of claims. */
function reasonOf(error: unknown): string {
  if (!(error instanceof errors.JOSEError)) return 'no JSON Web Token';
  const claim = 'claim' in error ? `, claim ${String(error.claim)}` : '';
  return `${error.code}${claim}`;
}

/**
 * Who a person is. Their `userId` is that of the account whose `auth_id` they are; where there is none, the subject of the token itself, unless
 * an account of that id is somebody else's. One person is one user: whoever could choose would have two accounts' worth of limits.
 *
 * @throws {Refused} the account is blocked, or the token revoked.
 */
export function userOf({ subject, issuedAt }: UserToken, accounts: readonly Account[]): Principal {
  const own = accounts.find(({ authId }) => authId === subject.toLowerCase());
  const account = own ?? accounts.find(({ userId }) => userId === subject);
  if (account !== undefined) {
    if (account !== own && account.authId !== null) {
      throw new Refused('the account of this id is another person’s');
    }
    if (account.blockedAt !== null) throw new Refused('the account is blocked');
    if (account.tokensValidFrom !== null && issuedAt < account.tokensValidFrom) {
      throw new Refused('the token was revoked');
    }
  }
  const userId = account?.userId ?? subject;
  return { kind: 'user', id: userId, users: [userId], campaigns: '*' };
}
