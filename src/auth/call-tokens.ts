import { CompactSign, compactVerify } from 'jose';
import { z } from 'zod';
import type { CallGrant } from '../call/principal.ts';
import { callIdSchema } from '../dialects/native-messages.ts';
import { randomText } from './tokens.ts';

/** A single-call token: this word, and a JSON Web Signature (RFC 7515) of what it grants. */
export const CALL_TOKEN_PREFIX = 'ach_call_';
/** Of the whole token: ids have 128 characters at most. */
const MOST_CHARACTERS = 2_048;
/** No other signature of the same key can be taken for one (RFC 8725 §3.11). */
const TYPE = 'ach-call+jwt';
const ALGORITHM = 'HS256';
const TOKEN_ID_BYTES = 16;

const grantSchema = z.strictObject({
  call: callIdSchema,
  sub: z.string().min(1).max(128),
  campaign: z.string().min(1).max(128).nullable(),
  jti: z.string().min(1).max(64),
  /** Milliseconds since the epoch. */
  expiresAt: z.number().int(),
  traceparent: z.string().max(128).exactOptional(),
});

/**
 * Single-call tokens, signed: whoever makes one up reaches no object. That each is used once is the call's own object's business. The key is
 * derived from a secret that the service has in any case (HKDF, RFC 5869), so that there is none more to be set and changed.
 */
export class CallTokens {
  readonly #key: Promise<CryptoKey>;

  constructor(secret: string) {
    this.#key = deriveKey(secret);
    // A key that could not be made is told to whoever needs it.
    this.#key.catch(() => {});
  }

  async mint(call: Omit<CallGrant, 'tokenId'>): Promise<string> {
    const claims: z.input<typeof grantSchema> = {
      call: call.callId,
      sub: call.userId,
      campaign: call.campaignId,
      jti: randomText(TOKEN_ID_BYTES),
      expiresAt: call.expiresAt,
      ...(call.traceparent === undefined ? {} : { traceparent: call.traceparent }),
    };
    const signed = await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
      .sign(await this.#key);
    return CALL_TOKEN_PREFIX + signed;
  }

  /** What the token grants, or granted: an expired one still says which call its holder may come back to. Null: it is none of ours. */
  async read(token: string): Promise<CallGrant | null> {
    if (!token.startsWith(CALL_TOKEN_PREFIX) || token.length > MOST_CHARACTERS) return null;
    const key = await this.#key;
    try {
      const { payload, protectedHeader } = await compactVerify(token.slice(CALL_TOKEN_PREFIX.length), key, {
        algorithms: [ALGORITHM],
      });
      if (protectedHeader.typ !== TYPE) return null;
      const claims = grantSchema.parse(JSON.parse(new TextDecoder().decode(payload)));
      const { call: callId, sub: userId, campaign: campaignId, jti: tokenId, ...rest } = claims;
      return { callId, userId, campaignId, tokenId, ...rest };
    } catch {
      return null;
    }
  }
}

async function deriveKey(secret: string): Promise<CryptoKey> {
  const encode = (text: string) => new TextEncoder().encode(text);
  const from = await crypto.subtle.importKey('raw', encode(secret), 'HKDF', false, ['deriveKey']);
  return await crypto.subtle.deriveKey(
    { name: 'HKDF', hash: 'SHA-256', salt: encode('ai-call-handler'), info: encode('single-call token 1') },
    from,
    { name: 'HMAC', hash: 'SHA-256', length: 256 },
    false,
    ['sign', 'verify'],
  );
}
