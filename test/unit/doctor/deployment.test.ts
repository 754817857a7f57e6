import { describe, expect, it } from 'vitest';
import { examineDeployment } from '../../../tools/doctor/deployment.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const start = Date.UTC(2026, 10, 21);

const json =
  (body: unknown, status = 200) =>
  () =>
    Response.json(body, { status });
const healthy = (more: object = {}) =>
  json({ status: 'ok', timestamp: start, version: '1.0.0', activeCalls: 3, uptime: 9, ...more });
const told = { nodes: { up: 2, draining: 0, failing: 0, silent: 0 } };

/** A running service, by path; a path with `!` is what strangers are told. */
async function examined(
  answers: Record<string, () => Response | Promise<Response>>,
  options: { token?: string | null; clock?: FakeClock } = {},
) {
  const asked: string[] = [];
  const answering: Record<string, () => Response | Promise<Response>> = {
    '/health': healthy(told),
    '/metrics': json({}),
    '/metrics!': json({ error: { code: 'UNAUTHORIZED' } }, 401),
    ...answers,
  };
  const { token = 'a-metrics-token', clock = new FakeClock(start) } = options;
  const findings = await examineDeployment({
    ...{ url: new URL('https://calls.example/anything'), token, version: '1.0.0', clock },
    ...{ limitMs: 1_000, signal: new AbortController().signal },
    fetch: async (input, init) => {
      const { origin, pathname } = new URL(String(input));
      const shown = new Headers(init?.headers).get('Authorization');
      asked.push(`${origin}${pathname} ${shown}`);
      expect(init?.redirect).toBe('manual');
      const answer = answering[`${pathname}${shown === null ? '!' : ''}`] ?? answering[pathname]!;
      return await answer();
    },
  });
  const of = (what: string) => findings.find((finding) => finding.what === what);
  return { findings, asked, of };
}

describe('a running service', () => {
  it('that is well has nothing to mend, and is shown the token where it is needed', async () => {
    const { findings, asked } = await examined({});
    expect(findings.map(({ what, result }) => `${what} ${result}`)).toEqual([
      '/health ok',
      'clock ok',
      'who may ok',
      '/metrics ok',
      'nodes ok',
    ]);
    expect(asked).toEqual([
      'https://calls.example/health Bearer a-metrics-token',
      'https://calls.example/metrics null',
      'https://calls.example/metrics Bearer a-metrics-token',
    ]);
  });

  it('tells strangers little, which is no failure', async () => {
    const { findings } = await examined({ '/health': healthy() }, { token: null });
    expect(findings.map(({ result }) => result)).toEqual(['ok', 'ok', 'ok', 'untried']);
  });

  it.each<[string, Record<string, () => Response>, string, string, RegExp]>([
    ['is degraded', { '/health': healthy({ ...told, status: 'degraded' }) }, '/health', 'failed', /degraded/],
    ['is another service', { '/health': () => new Response('<html>') }, '/health', 'failed', /right address/],
    ['is set up wrongly', { '/health': json({ error: {} }, 500) }, '/health', 'failed', /wrangler tail/],
    [
      'has older code',
      { '/health': healthy({ ...told, version: '0.9' }) },
      'version',
      'warning',
      /npm run deploy/,
    ],
    [
      'has another clock',
      { '/health': healthy({ ...told, timestamp: start - 60_000 }) },
      'clock',
      'warning',
      /by 60 s.*timedatectl/,
    ],
    [
      'lacks a setting',
      { '/health': healthy({ ...told, missingSettings: ['OPENAI_API_KEY'] }) },
      'settings',
      'failed',
      /secret:set .*OPENAI_API_KEY/,
    ],
    [
      'has a setting in vain',
      { '/health': healthy({ ...told, settingsWithoutEffect: [{ setting: 'LLM_X', because: 'y' }] }) },
      'LLM_X',
      'warning',
      /no effect there: y/,
    ],
    ['lets everybody in', { '/metrics!': json({}) }, 'who may', 'failed', /AUTH/],
    [
      'lets nobody in',
      { '/metrics!': json({ error: { code: 'AUTH_OFF' } }, 503) },
      'who may',
      'failed',
      /AUTH is none/,
    ],
    ['knows no such token', { '/metrics': json({}, 401) }, '/metrics', 'failed', /METRICS_TOKENS/],
    ['has no nodes', { '/health': healthy() }, 'nodes', 'warning', /heartbeat/],
    [
      'has a silent node',
      { '/health': healthy({ nodes: { up: 1, draining: 0, failing: 0, silent: 1 } }) },
      'nodes',
      'warning',
      /1 silent.*bin\/healthy/,
    ],
    [
      'has no node left',
      { '/health': healthy({ nodes: { up: 0, draining: 1, failing: 1, silent: 0 } }) },
      'nodes',
      'failed',
      /1 failing/,
    ],
  ])('that %s is told so, with what mends it', async (_, answers, what, result, text) => {
    const finding = (await examined(answers)).of(what);
    expect(finding?.result).toBe(result);
    expect(`${finding?.says} ${finding?.mend}`).toMatch(text);
  });

  it('that is not reached, or says nothing, is told so', async () => {
    const refused = Object.assign(new TypeError('fetch failed'), {
      cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }),
    });
    const broken = await examined({ '/health': () => Promise.reject(refused) });
    expect(broken.findings).toMatchObject([{ result: 'failed', says: 'not reached (ECONNREFUSED)' }]);
    const clock = new FakeClock(start);
    const hanging = examined(
      {
        '/health': () =>
          new Promise<Response>((_, reject) => {
            void clock.advance(1_000).then(() => reject(new Error('aborted')));
          }),
      },
      { clock },
    );
    expect((await hanging).findings).toMatchObject([{ says: 'no answer within 1000 ms' }]);
    expect(clock.pending).toBe(0);
  });
});
