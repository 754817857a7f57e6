import { createExecutionContext, reset, waitOnExecutionContext } from 'cloudflare:test';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { router } from '../../src/router.ts';
import { bindings } from './support.ts';

beforeEach(() => reset());

let hosts = 0;
/** An address that no other test has asked from: the isolate's memory is all tests'. */
const newAddress = () => `198.51.100.${++hosts}`;

async function ask(address: string, env: Record<string, unknown> = {}): Promise<Response> {
  const context = createExecutionContext();
  const settings = { ...bindings, RATE_LIMIT_PER_IP: '100', ...env };
  const headers = { 'CF-Connecting-IP': address };
  const response = await router.request('/nothing', { headers }, settings, context);
  await waitOnExecutionContext(context);
  return response;
}

async function askOften(
  times: number,
  address: string,
  env: Parameters<typeof ask>[1] = {},
): Promise<Response[]> {
  const answers: Response[] = [];
  for (let i = 0; i < times; i++) answers.push(await ask(address, env));
  return answers;
}

const passed = (answers: readonly Response[]) => answers.filter(({ status }) => status !== 429).length;
/** Without the location's own count. */
const isolateAlone = { RATE_LIMITER: undefined };

describe('requests of one address', () => {
  it('pass as many as are allowed; the next is told when to come back', async () => {
    const address = newAddress();
    const first = await ask(address, isolateAlone);
    expect(first.headers.get('RateLimit-Policy')).toBe('"address";q=100;w=60');
    expect(first.headers.get('RateLimit')).toBe('"address";r=99;t=60');
    const answers = await askOften(105, address, isolateAlone);
    expect(passed(answers)).toBe(99);
    const refused = answers.at(-1)!;
    expect(refused.status).toBe(429);
    expect(await refused.json()).toEqual({
      error: { code: 'RATE_LIMIT', message: 'More than 100 requests a minute' },
    });
    const retryAfter = Number(refused.headers.get('Retry-After'));
    expect(retryAfter).toBeGreaterThanOrEqual(1);
    expect(retryAfter).toBeLessThanOrEqual(61);
    expect(refused.headers.get('RateLimit')).toBe(`"address";r=0;t=${retryAfter}`);
  });

  it('of one /64 are counted together', async () => {
    const answers = [];
    for (let i = 0; i < 12; i++) {
      answers.push(
        await ask(`2001:db8:0:7::${i.toString(16)}`, { ...isolateAlone, RATE_LIMIT_PER_IP: '10' }),
      );
    }
    expect(passed(answers)).toBe(10);
    expect((await ask('2001:db8:0:8::1', { ...isolateAlone, RATE_LIMIT_PER_IP: '10' })).status).toBe(404);
  });

  it('are recorded in KV for a minute, without the address', async () => {
    const address = newAddress();
    // An isolate has one exchange a second: the test before may have had it.
    const keys = await vi.waitFor(
      async () => {
        await askOften(10, address, isolateAlone);
        const listed = await bindings.RATE_LIMIT_KV!.list({ prefix: 'rate/' });
        expect(listed.keys).toHaveLength(1);
        return listed.keys;
      },
      { timeout: 10_000, interval: 50 },
    );
    expect(keys[0]!.name).toMatch(/^rate\/[0-9a-f]{32}\/[0-9a-f-]{36}$/);
    expect(keys[0]!.metadata).toEqual({
      at: expect.any(Number),
      demand: expect.any(Number),
      blockedUntil: 0,
    });
    expect(keys[0]!.expiration! - Date.now() / 1000).toBeLessThanOrEqual(61);
  });
});

describe('the location', () => {
  it('refuses beyond its own count what the isolate would let pass', async () => {
    const address = newAddress();
    // The limit of wrangler.toml is 100, whatever the setting says.
    const answers = await askOften(220, address, { RATE_LIMIT_PER_IP: '1000' });
    // The minute of the clock that it counts by may turn meanwhile, and an answer that comes late holds nobody up.
    expect(passed(answers)).toBeGreaterThanOrEqual(100);
    expect(passed(answers)).toBeLessThan(220);
    const refused = answers.find(({ status }) => status === 429);
    expect(Number(refused?.headers.get('Retry-After'))).toBeLessThanOrEqual(10);
  });

  it.each([
    ['hangs', () => new Promise<RateLimitOutcome>(() => {})],
    ['fails', () => Promise.reject(new Error('down'))],
  ])('that %s holds nobody up: the isolate counts', async (_what, limit) => {
    const env = { RATE_LIMITER: { limit } as RateLimit, RATE_LIMIT_PER_IP: '5' };
    const address = newAddress();
    const context = createExecutionContext();
    const statuses = [];
    for (let i = 0; i < 7; i++) {
      const request = { headers: { 'CF-Connecting-IP': address } };
      statuses.push((await router.request('/nothing', request, { ...bindings, ...env }, context)).status);
    }
    expect(statuses).toEqual([404, 404, 404, 404, 404, 429, 429]);
  });
});

it('KV that hangs holds nobody up', async () => {
  const never = () => new Promise<never>(() => {});
  const env = { ...isolateAlone, RATE_LIMIT_PER_IP: '10', RATE_LIMIT_KV: { put: never, list: never } };
  const request = { headers: { 'CF-Connecting-IP': newAddress() } };
  const context = createExecutionContext();
  const statuses = [];
  for (let i = 0; i < 12; i++) {
    statuses.push((await router.request('/nothing', request, { ...bindings, ...env }, context)).status);
  }
  expect(statuses).toEqual([...Array(10).fill(404), 429, 429]);
});

it('0 is no limit', async () => {
  const answers = await askOften(150, newAddress(), { RATE_LIMIT_PER_IP: '0' });
  expect(passed(answers)).toBe(150);
  expect(answers[0]!.headers.has('RateLimit')).toBe(false);
});
