import { base64url, CompactSign } from 'jose';
import { describe, expect, it } from 'vitest';
import { CALL_TOKEN_PREFIX, CallTokens } from '../../../src/auth/call-tokens.ts';
import { seeded } from '../../support/random.ts';

const tokens = new CallTokens('sb_secret_of_the_project');
const call = { callId: 'call-1', userId: 'acme', campaignId: 'survey', expiresAt: 1_700_000_000_000 };

describe('a single-call token', () => {
  it('says which call it is for, and no two are the same', async () => {
    const [one, two] = await Promise.all([tokens.mint(call), tokens.mint(call)]);
    expect(await tokens.read(one)).toEqual({ ...call, tokenId: expect.any(String) });
    expect((await tokens.read(one))!.tokenId).not.toBe((await tokens.read(two))!.tokenId);
    expect(await tokens.read(await tokens.mint({ ...call, campaignId: null }))).toMatchObject({
      campaignId: null,
    });
  });

  it('fits into a subprotocol and into an address as it is', async () => {
    // RFC 9110 §5.6.2 and RFC 3986 §2.3.
    expect(await tokens.mint(call)).toMatch(/^[A-Za-z0-9._-]+$/);
  });

  it('of another service is none', async () => {
    expect(await new CallTokens('another secret').read(await tokens.mint(call))).toBeNull();
  });

  it('is none with any bit of it turned over', async () => {
    const random = seeded(11);
    const token = await tokens.mint(call);
    const parts = token
      .slice(CALL_TOKEN_PREFIX.length)
      .split('.')
      .map((part) => base64url.decode(part));
    for (let round = 0; round < 300; round++) {
      const changed = parts.map((part) => part.slice());
      const part = random.of(changed);
      part[random.whole(part.length)]! ^= 1 << random.whole(8);
      const forged = CALL_TOKEN_PREFIX + changed.map((bytes) => base64url.encode(bytes)).join('.');
      expect(await tokens.read(forged)).toBeNull();
    }
  });

  it('is none that somebody has signed with the secret itself, or with nothing', async () => {
    const claims = { call: 'call-1', sub: 'acme', campaign: null, jti: 'x', expiresAt: 1 };
    const bytes = new TextEncoder().encode(JSON.stringify(claims));
    const signed = await new CompactSign(bytes)
      .setProtectedHeader({ alg: 'HS256', typ: 'ach-call+jwt' })
      .sign(new TextEncoder().encode('sb_secret_of_the_project'));
    expect(await tokens.read(CALL_TOKEN_PREFIX + signed)).toBeNull();
    const header = base64url.encode(JSON.stringify({ alg: 'none', typ: 'ach-call+jwt' }));
    expect(await tokens.read(`${CALL_TOKEN_PREFIX}${header}.${base64url.encode(bytes)}.`)).toBeNull();
  });

  it.each(['', CALL_TOKEN_PREFIX, `${CALL_TOKEN_PREFIX}a.b.c`, `${CALL_TOKEN_PREFIX}${'a'.repeat(3_000)}`])(
    'is none without the rest: %#',
    async (text) => {
      expect(await tokens.read(text)).toBeNull();
    },
  );
});
