import { reset } from 'cloudflare:test';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { version } from '../../package.json';
import { loadConfig } from '../../src/config.ts';
import { metricsShard } from '../../src/metrics/read.ts';
import { noTotals } from '../../src/metrics/totals.ts';
import { router } from '../../src/router.ts';
import { bindings, fetchWorker } from './support.ts';

// The runtime is shared with the other files' calls.
beforeAll(() => reset());

describe('the HTTP surface', () => {
  it('answers /health with the contract’s fields', async () => {
    const response = await fetchWorker('/health');
    expect(response.status).toBe(200);
    const health = await response.json<Record<string, unknown>>();
    expect(health).toEqual({
      status: 'ok',
      timestamp: expect.any(Number),
      version,
      activeCalls: expect.any(Number),
      uptime: expect.any(Number),
    });
    expect(Math.abs(Number(health.timestamp) - Date.now())).toBeLessThan(5_000);
  });

  it('names in /health the settings that are missing, and those that do nothing', async () => {
    const settings = { ...bindings, STT_FALLBACK_PROVIDER: 'deepgram', TTS_FALLBACK_VOICE: 'v' };
    const response = await router.request('/health', {}, settings);
    expect(await response.json()).toMatchObject({
      status: 'degraded',
      missingSettings: ['DEEPGRAM_API_KEY'],
      settingsWithoutEffect: [{ setting: 'TTS_FALLBACK_VOICE' }],
    });
    const call = await router.request('/ws/call-session', { headers: { Upgrade: 'websocket' } }, settings);
    expect([call.status, await call.text()]).toEqual([503, expect.stringContaining('DEEPGRAM_API_KEY')]);
  });

  it('turns degraded when more than 5 % of the calls ended lately have failed, and tells the operator why', async () => {
    const { METRICS_SHARDS } = loadConfig(bindings);
    const now = Date.now();
    const report = async (from: number, to: number, failed: boolean) => {
      for (let i = from; i < to; i++) {
        await metricsShard(bindings, i % METRICS_SHARDS, METRICS_SHARDS).report({
          call: `h${i}`,
          startedAt: now - 1_000,
          at: now,
          aliveUntil: now,
          end: { at: now, reason: failed ? 'error' : 'hangup', failed },
          sums: {},
        });
      }
    };
    const health = async () => (await fetchWorker('/health')).json<Record<string, unknown>>();
    await report(0, 19, false);
    await report(19, 20, true);
    expect(await health()).toMatchObject({ status: 'ok' });
    await report(20, 21, true);
    expect(await health()).toMatchObject({
      status: 'degraded',
      reasons: [
        {
          reason: 'error rate',
          // Calls of other files may end meanwhile.
          detail: expect.stringMatching(
            /^2 of the \d+ calls that ended in the last 5 minutes failed, [\d.]+ % \(error: 2\); more than 5 %$/,
          ),
        },
      ],
    });
    const stranger = await router.request(
      'https://calls.example/health',
      {},
      { ...bindings, AUTH: 'required' },
    );
    expect(await stranger.json()).not.toHaveProperty('reasons');
  });

  it('answers /metrics with the contract’s fields, and as Prometheus text on request', async () => {
    const json = await (await fetchWorker('/metrics')).json<Record<string, unknown>>();
    expect(Object.keys(json).slice(0, 5).sort()).toEqual([
      'activeCalls',
      'averageCallDuration',
      'averageLatency',
      'errorRate',
      'totalCalls',
    ]);
    const text = await fetchWorker('/metrics', { headers: { Accept: 'text/plain' } });
    expect(text.headers.get('Content-Type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await text.text()).toMatch(/^callhandler_calls_active \d+$/m);
    // As Prometheus asks.
    const Accept =
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
    const open = await fetchWorker('/metrics', { headers: { Accept } });
    expect(open.headers.get('Content-Type')).toBe(
      'application/openmetrics-text; version=1.0.0; charset=utf-8',
    );
    expect(await open.text()).toMatch(/\n# EOF\n$/);
    // What a browser's client sends that wants JSON.
    const both = await fetchWorker('/metrics', { headers: { Accept: 'application/json, text/plain, */*' } });
    expect(both.headers.get('Content-Type')).toContain('application/json');
  });

  it('asks the objects that count once in five seconds, however often strangers ask for /health', async () => {
    let reads = 0;
    const read = async () => {
      reads++;
      return { totals: { ...noTotals, active: 7 }, nodes: [] };
    };
    const METRICS = { idFromName: (name: string) => name, get: () => ({ read }) };
    const settings = { ...bindings, METRICS, METRICS_SHARDS: '1' };
    const now = vi.spyOn(Date, 'now');
    const at = Date.now();
    const ask = async (host: string, ms: number) => {
      now.mockReturnValue(at + ms);
      const { activeCalls } = await (await router.request(`${host}/health`, {}, settings)).json<{
        activeCalls: number;
      }>();
      return [activeCalls, reads];
    };
    const counts = [];
    for (let ms = 0; ms <= 5_000; ms += 1_000) counts.push(await ask('https://calls.example', ms));
    expect(counts).toEqual([...Array(5).fill([7, 1]), [7, 2]]);
    // The operator sees what is so now.
    expect(await ask('http://localhost', 5_000)).toEqual([7, 3]);
    expect(await ask('http://localhost', 5_000)).toEqual([7, 4]);
    now.mockRestore();
  });

  it.each([
    ['hang', () => new Promise(() => {})],
    ['fail', () => Promise.reject(new Error('overloaded'))],
  ])('says that it is not well where the objects that count %s', async (_, read) => {
    const settings = {
      ...bindings,
      METRICS: { idFromName: (name: string) => name, get: () => ({ read }) },
    };
    const health = await router.request('/health', {}, settings);
    expect(health.status).toBe(200);
    expect(await health.json()).toMatchObject({
      status: 'degraded',
      activeCalls: null,
      reasons: [{ reason: 'counts unavailable' }],
    });
    const metrics = await router.request('/metrics', {}, settings);
    expect([metrics.status, metrics.headers.get('Retry-After')]).toEqual([503, '5']);
    expect(await metrics.json()).toMatchObject({ error: { code: 'INTERNAL_ERROR' } });
  });

  it.each(['/', '/nothing', '/ws', '/ws/other', '/metrics/x'])('answers %s with a JSON 404', async (path) => {
    const response = await fetchWorker(path);
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ error: { code: 'NOT_FOUND', message: expect.any(String) } });
  });

  it('lets only pages of the configured origins read it', async () => {
    const stranger = await fetchWorker('/health', { headers: { Origin: 'https://stranger.example' } });
    expect(stranger.headers.get('Access-Control-Allow-Origin')).toBeNull();
    const ours = await fetchWorker('/health', { headers: { Origin: 'https://console.example' } });
    expect(ours.headers.get('Access-Control-Allow-Origin')).toBe('https://console.example');
  });
});

describe('the upgrade', () => {
  it('is required on /ws/call-session', async () => {
    const response = await fetchWorker('/ws/call-session');
    expect(response.status).toBe(426);
    expect(await response.json()).toMatchObject({ error: { code: 'UPGRADE_REQUIRED' } });
  });

  it('is refused to pages of other origins', async () => {
    const response = await fetchWorker('/ws/call-session', {
      headers: { Upgrade: 'websocket', Origin: 'https://stranger.example' },
    });
    expect(response.status).toBe(403);
    const ours = await fetchWorker('/ws/call-session', {
      headers: { Upgrade: 'websocket', Origin: 'https://console.example' },
    });
    expect(ours.status).toBe(101);
    ours.webSocket?.accept();
    ours.webSocket?.close(1000);
    // Another port of the same host is another server's page.
    const neighbour = await fetchWorker('/ws/call-session', {
      headers: { Upgrade: 'websocket', Origin: 'http://localhost:3000' },
    });
    expect(neighbour.status).toBe(403);
  });

  it('is granted to the origin that FreeSWITCH’s modules send, which is our own host', async () => {
    for (const Origin of ['https://localhost', 'ws://localhost:80', 'http://localhost']) {
      const response = await fetchWorker('/ws/call-session', { headers: { Upgrade: 'websocket', Origin } });
      expect(response.status).toBe(101);
      response.webSocket?.accept();
      response.webSocket?.close(1000);
    }
  });

  it.each(['..', 'a%2Fb', 'a%20b', 'x'.repeat(129), ''])('refuses the call id %j', async (id) => {
    const response = await fetchWorker(`/ws/call-session?callId=${id}`, {
      headers: { Upgrade: 'websocket' },
    });
    expect(response.status).toBe(400);
  });
});
