import {
  base64url,
  createLocalJWKSet,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTVerifyGetKey,
  SignJWT,
} from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { Refused, userOf, verifyUserToken } from '../../../src/auth/user-tokens.ts';
import type { Account } from '../../../src/records/accounts.ts';
import { seeded } from '../../support/random.ts';

const issuer = 'https://project.example/auth/v1';
const subject = '5d8b0d8e-6f5c-4b7e-9a43-0c1f6f1d2a77';
const now = Date.parse('2026-11-21T12:00:00Z');
const seconds = now / 1000;
const secret = 'a-shared-secret-of-the-project-0123456789';
const claims = {
  iss: issuer,
  aud: 'authenticated',
  sub: subject,
  role: 'authenticated',
  iat: seconds - 60,
  exp: seconds + 3_540,
};

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;
const pairs = {} as Record<'ES256' | 'RS256' | 'EdDSA' | 'stranger', Pair>;
let keys: JWTVerifyGetKey;
let published: object[];

beforeAll(async () => {
  for (const alg of ['ES256', 'RS256', 'EdDSA'] as const) {
    pairs[alg] = await generateKeyPair(alg, { extractable: true });
  }
  pairs.stranger = await generateKeyPair('ES256');
  published = await Promise.all(
    (['ES256', 'RS256', 'EdDSA'] as const).map(async (alg) => ({
      ...(await exportJWK(pairs[alg].publicKey)),
      kid: `key-${alg}`,
      alg,
      use: 'sig',
    })),
  );
  keys = createLocalJWKSet({ keys: published } as Parameters<typeof createLocalJWKSet>[0]);
});

const signed = (
  changed: Record<string, unknown> = {},
  alg: 'ES256' | 'RS256' | 'EdDSA' = 'ES256',
  header: Record<string, unknown> = {},
) =>
  new SignJWT({ ...claims, ...changed })
    .setProtectedHeader({ alg, typ: 'JWT', kid: `key-${alg}`, ...header })
    .sign(pairs[alg].privateKey);

const signedWith = (key: Uint8Array, alg = 'HS256', changed: Record<string, unknown> = {}) =>
  new SignJWT({ ...claims, ...changed }).setProtectedHeader({ alg, typ: 'JWT' }).sign(key);

const bytesOf = (text: string) => new TextEncoder().encode(text);
const verify = (token: string, withSecret: string | null = secret) =>
  verifyUserToken(token, { issuer, keys, secret: withSecret }, now);
const unsigned = (header: object, payload: object = claims) =>
  `${base64url.encode(JSON.stringify(header))}.${base64url.encode(JSON.stringify(payload))}.`;

describe('an access token of Supabase Auth', () => {
  it.each(['ES256', 'RS256', 'EdDSA'] as const)(
    'is believed when the project signed it (%s)',
    async (alg) => {
      expect(await verify(await signed({}, alg))).toEqual({ subject, issuedAt: (seconds - 60) * 1000 });
    },
  );

  it('is believed when the legacy shared secret signed it, where that is set', async () => {
    const token = await signedWith(bytesOf(secret));
    expect((await verify(token)).subject).toBe(subject);
    await expect(verify(token, null)).rejects.toThrow('SUPABASE_JWT_SECRET is not set');
  });

  it.each([
    ['expired', { exp: seconds - 6 }],
    ['not yet valid', { nbf: seconds + 60 }],
    ['issued in the future', { iat: seconds + 60 }],
    ['of another issuer', { iss: 'https://other.example/auth/v1' }],
    ['of an issuer that begins like ours', { iss: `${issuer}.evil.example` }],
    ['without an issuer', { iss: undefined }],
    ['for another audience', { aud: 'anon' }],
    ['without an audience', { aud: undefined }],
    ['without a subject', { sub: undefined }],
    ['with an empty subject', { sub: '' }],
    ['with a subject that is no text', { sub: 7 }],
    ['with a subject that no database stores', { sub: 'a\u0000b' }],
    ['with a subject of 129 characters', { sub: 'x'.repeat(129) }],
    ['that never expires', { exp: undefined }],
    ['whose age is not known', { iat: undefined }],
    ['whose times are text', { exp: String(seconds + 60) }],
    ['of the role anon, like a publishable key', { role: 'anon' }],
    ['of the role service_role, like a legacy secret key', { role: 'service_role' }],
    ['of an anonymous sign-in', { is_anonymous: true }],
  ])('is refused when it is one %s', async (_, changed) => {
    await expect(verify(await signed(changed))).rejects.toBeInstanceOf(Refused);
    await expect(verify(await signedWith(bytesOf(secret), 'HS256', changed))).rejects.toBeInstanceOf(Refused);
  });

  it('is refused without a signature (alg none), however it is written', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', null]) {
      await expect(verify(unsigned({ alg, typ: 'JWT' }))).rejects.toBeInstanceOf(Refused);
    }
    const token = await signed();
    await expect(verify(token.slice(0, token.lastIndexOf('.') + 1))).rejects.toBeInstanceOf(Refused);
  });

  it('is refused when a public key was taken for the shared secret (algorithm confusion)', async () => {
    const spki = await exportSPKI(pairs.RS256.publicKey);
    const forms = [spki, spki.trim(), ...published.map((key) => JSON.stringify(key))];
    for (const form of forms) {
      const token = await signedWith(bytesOf(form));
      await expect(verify(token)).rejects.toBeInstanceOf(Refused);
      await expect(verify(token, null)).rejects.toBeInstanceOf(Refused);
    }
  });

  it('is refused when the shared secret signed it by another algorithm', async () => {
    for (const alg of ['HS384', 'HS512']) {
      await expect(verify(await signedWith(bytesOf(secret.repeat(2)), alg))).rejects.toBeInstanceOf(Refused);
    }
  });

  it('is refused when a stranger signed it, with the name of a key of ours', async () => {
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'key-ES256' })
      .sign(pairs.stranger.privateKey);
    await expect(verify(token)).rejects.toThrow('ERR_JWS_SIGNATURE_VERIFICATION_FAILED');
  });

  it('is refused when it brings its own key', async () => {
    const jwk = await exportJWK(pairs.stranger.publicKey);
    const header = { alg: 'ES256', kid: 'mine', jwk, jku: 'https://evil.example/jwks.json' };
    const token = await new SignJWT(claims).setProtectedHeader(header).sign(pairs.stranger.privateKey);
    await expect(verify(token)).rejects.toThrow('ERR_JWKS_NO_MATCHING_KEY');
  });

  it('is refused when it names another key than the one that signed it', async () => {
    await expect(verify(await signed({}, 'ES256', { kid: 'key-RS256' }))).rejects.toBeInstanceOf(Refused);
    await expect(verify(await signed({}, 'ES256', { kid: '../key-ES256' }))).rejects.toBeInstanceOf(Refused);
  });

  it.each(['', '.', '..', 'a.b.c', '{}', 'Bearer', '\u0000', 'ä.ö.ü'])(
    'is refused when it is none: %j',
    async (token) => {
      await expect(verify(token)).rejects.toBeInstanceOf(Refused);
    },
  );

  it('is refused with any bit of it turned over', async () => {
    const random = seeded(7);
    for (const token of [await signed(), await signed({}, 'EdDSA'), await signedWith(bytesOf(secret))]) {
      const parts = token.split('.').map((part) => base64url.decode(part));
      for (let round = 0; round < 150; round++) {
        const changed = parts.map((part) => part.slice());
        const part = random.of(changed);
        part[random.whole(part.length)]! ^= 1 << random.whole(8);
        const forged = changed.map((bytes) => base64url.encode(bytes)).join('.');
        expect(forged).not.toBe(token);
        await expect(verify(forged)).rejects.toBeInstanceOf(Refused);
      }
    }
  });

  it('is refused with parts of two tokens put together', async () => {
    const [header, , signature] = (await signed()).split('.');
    const [, payload] = (await signed({ sub: '00000000-0000-0000-0000-000000000000' })).split('.');
    await expect(verify(`${header}.${payload}.${signature}`)).rejects.toBeInstanceOf(Refused);
  });
});

describe('the user of a token', () => {
  const token = { subject, issuedAt: now };
  const account = (changed: Partial<Account> = {}): Account => ({
    userId: 'acme',
    authId: subject,
    blockedAt: null,
    tokensValidFrom: null,
    ...changed,
  });
  const principal = (userId: string) => ({ kind: 'user', id: userId, users: [userId], campaigns: '*' });

  it('is the account that the person logs in to', () => {
    expect(userOf(token, [account()])).toEqual(principal('acme'));
    expect(userOf({ ...token, subject: subject.toUpperCase() }, [account()])).toEqual(principal('acme'));
  });

  it('is the subject itself where no account is theirs', () => {
    expect(userOf(token, [])).toEqual(principal(subject));
    const unlinked = account({ userId: subject, authId: null });
    expect(userOf(token, [unlinked])).toEqual(principal(subject));
  });

  it('is one, also where an account has their subject for its id', () => {
    const squatter = account({ userId: subject, authId: null });
    expect(userOf(token, [squatter, account()])).toEqual(principal('acme'));
  });

  it('is nobody where an account of that id is another person’s', () => {
    const other = account({ userId: subject, authId: '11111111-1111-4111-8111-111111111111' });
    expect(() => userOf(token, [other])).toThrow('another person’s');
  });

  it('is refused when the account is blocked', () => {
    expect(() => userOf(token, [account({ blockedAt: now - 1 })])).toThrow('blocked');
  });

  it('is refused when the token was issued before the revocation', () => {
    expect(() => userOf(token, [account({ tokensValidFrom: now + 1 })])).toThrow('revoked');
    expect(userOf(token, [account({ tokensValidFrom: now })])).toEqual(principal('acme'));
  });
});
