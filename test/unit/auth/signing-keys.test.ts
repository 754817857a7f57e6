import { exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { KeysUnavailable, SigningKeys } from '../../../src/auth/signing-keys.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const minutes = 60_000;
const jwks: Record<'old' | 'new', JWK> = {} as Record<'old' | 'new', JWK>;

beforeAll(async () => {
  for (const kid of ['old', 'new'] as const) {
    const { publicKey } = await generateKeyPair('ES256', { extractable: true });
    jwks[kid] = { ...(await exportJWK(publicKey)), kid, alg: 'ES256' };
  }
});

/** Keys behind a project that a test scripts. */
function project() {
  const clock = new FakeClock();
  const far = { requests: 0, failures: 0, answer: (): Promise<Response> | Response => published('old') };
  const keys = new SigningKeys({
    url: 'https://project.example/auth/v1/.well-known/jwks.json',
    clock,
    timeoutMs: 3_000,
    fetch: async () => {
      far.requests++;
      return await far.answer();
    },
    onFailure: () => far.failures++,
  });
  const ask = async (kid: string, header: Partial<JWTHeaderParameters> = {}) =>
    await keys.get({ alg: 'ES256', kid, ...header }, { payload: '', signature: '' });
  return { clock, far, ask };
}

const published = (...kids: ('old' | 'new')[]) => Response.json({ keys: kids.map((kid) => jwks[kid]) });
const down = () => Promise.reject(new TypeError('no connection'));

describe('the keys of a project', () => {
  it('are fetched once for all tokens of ten minutes', async () => {
    const { clock, far, ask } = project();
    for (let i = 0; i < 100; i++) await ask('old');
    await clock.advance(10 * minutes - 1);
    await ask('old');
    expect(far.requests).toBe(1);
    await clock.advance(1);
    await ask('old');
    expect(far.requests).toBe(2);
  });

  it('are fetched anew for a key that is not among them: it was changed', async () => {
    const { clock, far, ask } = project();
    await ask('old');
    await clock.advance(minutes);
    far.answer = () => published('old', 'new');
    expect(await ask('new')).toMatchObject({ type: 'public' });
    expect(far.requests).toBe(2);
  });

  it('are not fetched for every name of a key that a stranger makes up', async () => {
    const { clock, far, ask } = project();
    await ask('old');
    for (let i = 0; i < 300; i++) {
      await expect(ask(`made-up-${i}`)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
      await clock.advance(200);
    }
    // A minute: at the start, and every thirty seconds.
    expect(far.requests).toBe(2);
  });

  it('are used for an hour beyond their time while the project is down, and no longer', async () => {
    const { clock, far, ask } = project();
    await ask('old');
    far.answer = down;
    await clock.advance(69 * minutes);
    expect(await ask('old')).toMatchObject({ type: 'public' });
    await clock.advance(minutes);
    await expect(ask('old')).rejects.toBeInstanceOf(KeysUnavailable);
    far.answer = () => published('old');
    await clock.advance(5_000);
    expect(await ask('old')).toMatchObject({ type: 'public' });
  });

  it('that cannot be had fail at once for five seconds: a flood of tokens is no flood of requests', async () => {
    const { clock, far, ask } = project();
    far.answer = down;
    for (let i = 0; i < 50; i++) await expect(ask('old')).rejects.toBeInstanceOf(KeysUnavailable);
    expect([far.requests, far.failures]).toEqual([1, 1]);
    await clock.advance(5_000);
    await expect(ask('old')).rejects.toBeInstanceOf(KeysUnavailable);
    expect(far.requests).toBe(2);
  });

  it('are waited for so long and no longer', async () => {
    const { clock, far, ask } = project();
    far.answer = () => new Promise(() => {});
    const asked = ask('old').catch((error: unknown) => error);
    await clock.advance(3_000);
    expect(await asked).toBeInstanceOf(KeysUnavailable);
  });

  it.each([
    ['another status', () => new Response('{}', { status: 500 })],
    ['a redirect', () => new Response(null, { status: 302, headers: { Location: 'https://evil.example' } })],
    ['no JSON', () => new Response('<html>')],
    ['no keys', () => Response.json({ keys: 'none' })],
    ['too much', () => Response.json({ keys: [], filling: 'x'.repeat(70_000) })],
  ])('are not taken from %s', async (_, answer) => {
    const { far, ask } = project();
    far.answer = answer;
    await expect(ask('old')).rejects.toBeInstanceOf(KeysUnavailable);
  });

  it('never verify by a shared secret, whatever the project publishes', async () => {
    const { far, ask } = project();
    far.answer = () => Response.json({ keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'old', alg: 'HS256' }] });
    await expect(ask('old', { alg: 'HS256' })).rejects.toMatchObject({ code: 'ERR_JOSE_NOT_SUPPORTED' });
    await expect(ask('old')).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  });
});
