import { createScheduledController, evictDurableObject, reset, runInDurableObject } from 'cloudflare:test';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AlertsDO } from '../../src/AlertsDO.ts';
import type { CostSoFar } from '../../src/alerts/cost-hours.ts';
import type { Notice } from '../../src/alerts/evaluate.ts';
import type { CountedFigures } from '../../src/alerts/figures.ts';
import { NoticeOutbox } from '../../src/alerts/outbox.ts';
import { alertsObject } from '../../src/alerts/read.ts';
import type { AlertStatus } from '../../src/alerts/status.ts';
import { systemClock, systemRandom } from '../../src/call/clock.ts';
import { loadConfig } from '../../src/config.ts';
import worker from '../../src/index.ts';
import { writeHeartbeat } from '../../src/metrics/read.ts';
import { router } from '../../src/router.ts';
import { bindings } from './support.ts';

const MINUTE = 60_000;
const secret = 'whsec_YWxlcnRzIGFyZSBzaWduZWQgd2l0aCB0aGlzIQ==';
const webhooks = [
  { shape: 'generic', url: 'http://127.0.0.1:1/generic', secrets: [secret] },
  { shape: 'slack', url: 'http://127.0.0.1:1/slack' },
  {
    shape: 'pagerduty',
    url: 'http://127.0.0.1:1/pagerduty',
    routingKey: '0123456789abcdef0123456789abcdef',
    severities: ['critical'],
  },
];

const quiet: CountedFigures = {
  ended: 100,
  failed: 0,
  answers: 100,
  latencyMs: 900,
  providerFailures: {},
  waiting: {},
  nodes: null,
};
const failing = { ...quiet, providerFailures: { openai: 11 } };
const slow = { ...quiet, latencyMs: 2_500 };

const notice: Notice = {
  id: '',
  kind: 'firing',
  rule: 'latency',
  severity: 'warning',
  title: 'Slow',
  detail: 'Very.',
  value: 0,
  threshold: 2_000,
  unit: 'ms',
  since: 0,
  at: 0,
};

interface Received {
  path: string;
  headers: Headers;
  body: string;
}
type Answer = (received: Received) => Response | Promise<Response>;

/** Whoever listens at the webhooks; by path, what is answered to the next requests. Otherwise 204. */
class Receiver {
  readonly received: Received[] = [];
  readonly answers: Record<string, Answer[]> = {};

  listen(): void {
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const request = new Request(input, init);
      const received = {
        path: new URL(request.url).pathname,
        headers: request.headers,
        body: await request.text(),
      };
      this.received.push(received);
      const answer = this.answers[received.path]?.shift();
      return answer === undefined ? new Response(null, { status: 204 }) : await answer(received);
    });
  }

  /** `type` of what came in the generic form. */
  get types(): string[] {
    return this.received.filter(({ path }) => path === '/generic').map(({ body }) => JSON.parse(body).type);
  }
}

let receiver: Receiver;
let now: number;

beforeEach(async () => {
  await reset();
  // Tomorrow: no alarm goes off by itself, each is run by the test.
  now = Date.now() + 24 * 60 * MINUTE;
  vi.useFakeTimers({ toFake: ['Date'], now });
  receiver = new Receiver();
  receiver.listen();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** The object, as if it had just been started again: nothing of it is in memory. */
async function withAlerts<T>(
  use: (alerts: AlertsDO, storage: DurableObjectStorage) => T | Promise<T>,
  set: object[] = webhooks,
): Promise<T> {
  const env = { ...bindings, ALERT_WEBHOOKS: JSON.stringify(set) } as typeof bindings;
  return await runInDurableObject(alertsObject(bindings), (_, state) =>
    use(new AlertsDO(state, env), state.storage),
  );
}

function goOn(ms: number): void {
  now += ms;
  vi.setSystemTime(now);
}

async function evaluate(
  counts: CountedFigures | null,
  at = now,
  cost: CostSoFar | null = null,
): Promise<void> {
  await withAlerts((alerts) => alerts.evaluate({ at, counts, cost }));
}

/** The alarm, if it is due. */
async function runAlarm(set = webhooks): Promise<void> {
  await withAlerts(async (alerts, storage) => {
    const at = await storage.getAlarm();
    if (at === null || at > now) return;
    await storage.deleteAlarm();
    await alerts.alarm();
  }, set);
}

/** A minute later, a look; then whatever is due is sent. */
async function look(counts: CountedFigures | null): Promise<void> {
  goOn(MINUTE);
  await evaluate(counts);
  await runAlarm();
}

async function lookFor(minutes: number, counts: CountedFigures): Promise<void> {
  for (let i = 0; i < minutes; i++) await look(counts);
}

const status = (): Promise<AlertStatus> => withAlerts((alerts) => alerts.status());

describe('an alert', () => {
  it('reaches each webhook once, signed, and its end as well', async () => {
    await look(failing);
    await lookFor(6, quiet);
    expect(receiver.received.map(({ path }) => path).sort()).toEqual([
      '/generic',
      '/generic',
      '/pagerduty',
      '/pagerduty',
      '/slack',
      '/slack',
    ]);
    expect(receiver.types).toEqual(['alert.firing', 'alert.resolved']);
    for (const { path, body, headers } of receiver.received) {
      if (path !== '/generic') {
        expect(headers.has('webhook-signature')).toBe(false);
        continue;
      }
      const age = now - Number(headers.get('webhook-timestamp')) * 1_000;
      vi.setSystemTime(now - age);
      expect(new Webhook(secret).verify(body, Object.fromEntries(headers))).toMatchObject({
        data: { rule: 'provider-failures', source: 'ai-call-handler' },
      });
      expect(() => new Webhook(secret).verify(`${body} `, Object.fromEntries(headers))).toThrow();
    }
    expect(await status()).toMatchObject({ firing: [], waiting: {} });
  });

  it('is told once, however often the minute is looked at, and at the same time', async () => {
    goOn(MINUTE);
    const at = now;
    await Promise.all(Array.from({ length: 5 }, () => evaluate(failing, at)));
    await runAlarm();
    await evaluate(failing, at);
    await evaluate(quiet, at - 1_000);
    await runAlarm();
    expect(receiver.types).toEqual(['alert.firing']);
  });

  it('of cost is told when an hour that was dear is over, and its end an hour later', async () => {
    const cost = { microUsd: 0, callSeconds: 0 };
    const hour = async (dollars: number) => {
      for (let i = 0; i < 20; i++) {
        goOn(3 * MINUTE);
        cost.microUsd += (dollars * 1_000_000) / 20;
        cost.callSeconds += 180;
        await evaluate(quiet, now, cost);
        await runAlarm();
      }
    };
    goOn(60 * MINUTE - (now % (60 * MINUTE)) - MINUTE);
    for (let i = 0; i < 25; i++) await hour(10);
    await hour(31);
    expect(receiver.received).toEqual([]);
    await hour(10);
    expect(receiver.types).toEqual(['alert.firing']);
    expect(receiver.received[0]!.body).toContain('The last whole hour cost $31.00, where $10.00 is usual.');
    await hour(10);
    expect(receiver.types).toEqual(['alert.firing', 'alert.resolved']);
  });

  it('goes to those who want alerts as grave as it', async () => {
    await lookFor(6, slow);
    // The pager has critical ones only.
    expect(receiver.received.map(({ path }) => path).sort()).toEqual(['/generic', '/slack']);
  });

  it('that fires, and what waits, is told to whoever asks', async () => {
    receiver.answers['/slack'] = [() => new Response(null, { status: 500 })];
    await look(failing);
    expect(await status()).toEqual({
      evaluatedAt: now,
      firing: [{ rule: 'provider-failures', severity: 'critical', since: now }],
      waiting: { slack: 1 },
    });
  });
});

describe('a receiver', () => {
  /** Ids and times of what came in the generic form. */
  const attempts = () => receiver.received.filter(({ path }) => path === '/generic');

  it.each<[what: string, answer: Answer]>([
    ['that fails', () => new Response('no', { status: 500 })],
    ['that cuts off', () => Promise.reject(new TypeError('connection reset'))],
  ])('%s is told again, a little later each time, under the same id', async (_, answer) => {
    receiver.answers['/generic'] = Array.from({ length: 4 }, () => answer);
    await look(failing);
    expect(attempts()).toHaveLength(1);
    // Half of what is waited may be left to chance.
    for (const [least, most] of [
      [1_000, 2_000],
      [2_000, 4_000],
      [4_000, 8_000],
      [8_000, 16_000],
    ] as const) {
      const before = attempts().length;
      goOn(least - 1);
      await runAlarm();
      expect(attempts()).toHaveLength(before);
      await evaluate(failing);
      goOn(most - least + 1);
      await runAlarm();
      expect(attempts()).toHaveLength(before + 1);
    }
    expect(new Set(attempts().map(({ headers }) => headers.get('webhook-id'))).size).toBe(1);
    expect(new Set(attempts().map(({ headers }) => headers.get('webhook-timestamp'))).size).toBe(5);
    expect((await status()).waiting).toEqual({});
    // Nobody else was told twice.
    expect(receiver.received.filter(({ path }) => path === '/slack')).toHaveLength(1);
  });

  it('that asks to be left alone is, for so long, and an hour at most', async () => {
    const busy = (seconds: string) => () =>
      new Response(null, { status: 429, headers: { 'Retry-After': seconds } });
    receiver.answers['/generic'] = [busy('120'), busy('86400')];
    await look(failing);
    goOn(119_000);
    await evaluate(failing);
    await runAlarm();
    expect(attempts()).toHaveLength(1);
    goOn(1_000);
    await evaluate(failing);
    await runAlarm();
    expect(attempts()).toHaveLength(2);
    goOn(60 * MINUTE - 1);
    await evaluate(failing);
    await runAlarm();
    expect(attempts()).toHaveLength(2);
    goOn(1);
    await evaluate(failing);
    await runAlarm();
    expect(attempts()).toHaveLength(3);
    expect((await status()).waiting).toEqual({});
  });

  it('that is not there any more is asked once an hour, and other alerts do not wait for it', async () => {
    receiver.answers['/generic'] = [() => new Response('channel_not_found', { status: 404 })];
    await look(failing);
    await lookFor(6, { ...failing, latencyMs: 3_000 });
    expect(receiver.types).toEqual(['alert.firing', 'alert.firing']);
    expect(attempts().map(({ body }) => JSON.parse(body).data.rule)).toEqual([
      'provider-failures',
      'latency',
    ]);
    goOn(60 * MINUTE);
    await runAlarm();
    expect(attempts().map(({ body }) => JSON.parse(body).data.rule)[2]).toBe('provider-failures');
  });

  it('that redirects is not followed: what is signed is for one address', async () => {
    receiver.answers['/generic'] = [
      () => new Response(null, { status: 307, headers: { Location: 'https://elsewhere.example/' } }),
    ];
    await look(failing);
    expect(attempts()).toHaveLength(1);
    expect((await status()).waiting).toEqual({ generic: 1 });
  });

  it('that was away hears of the beginning before the end', async () => {
    const down = () => new Response(null, { status: 503 });
    receiver.answers['/generic'] = Array.from({ length: 50 }, () => down);
    await look(failing);
    await lookFor(6, quiet);
    expect(new Set(receiver.types)).toEqual(new Set(['alert.firing']));
    expect((await status()).waiting).toEqual({ generic: 2 });
    receiver.answers['/generic'] = [];
    receiver.received.length = 0;
    goOn(5 * MINUTE);
    await runAlarm();
    expect(receiver.types).toEqual(['alert.firing', 'alert.resolved']);
    expect((await status()).waiting).toEqual({});
  });

  it('that was away is not reminded of what it has not heard', async () => {
    const down = () => new Response(null, { status: 503 });
    receiver.answers['/generic'] = Array.from({ length: 50 }, () => down);
    await look(failing);
    goOn(4 * 60 * MINUTE);
    await look(failing);
    expect((await status()).waiting).toEqual({ generic: 1 });
    expect(receiver.received.filter(({ path }) => path === '/slack')).toHaveLength(2);
  });

  it('that never comes back does not fill the storage, and is told the newest', async () => {
    await withAlerts((_, storage) => {
      const outbox = new NoticeOutbox({ sql: storage.sql, clock: systemClock, random: systemRandom });
      for (let i = 0; i < 250; i++) outbox.put('generic', { ...notice, id: `latency-${i}-firing`, value: i });
      expect(outbox.waiting()).toEqual({ generic: 200 });
    });
    await look(quiet);
    const values = receiver.received.map(({ body }) => JSON.parse(body).data.value);
    expect(values).toEqual(Array.from({ length: 200 }, (_, i) => i + 50));
  });
});

describe('the object', () => {
  it('that is thrown out of memory forgets nothing', async () => {
    receiver.answers['/generic'] = [() => new Response(null, { status: 500 })];
    await look(failing);
    const before = await status();
    await evictDurableObject(alertsObject(bindings));
    expect(await status()).toEqual(before);
    goOn(2_000);
    await runAlarm();
    expect(receiver.types).toEqual(['alert.firing', 'alert.firing']);
    const [first, second] = receiver.received.filter(({ path }) => path === '/generic');
    expect(second!.headers.get('webhook-id')).toBe(first!.headers.get('webhook-id'));
    await look(failing);
    expect(receiver.types).toHaveLength(2);
  });

  it('sends nothing to a webhook that is not set any more', async () => {
    receiver.answers['/generic'] = [() => new Response(null, { status: 500 })];
    await look(failing);
    goOn(MINUTE);
    await runAlarm(webhooks.slice(1));
    expect((await status()).waiting).toEqual({});
    expect(receiver.types).toEqual(['alert.firing']);
  });
});

describe('each minute', () => {
  const NODES = JSON.stringify({ 'fs-1': { tokens: ['0'.repeat(64)], users: '*' } });
  const withNode = { ...bindings, NODES } as typeof bindings;
  const minute = (env = bindings) => worker.scheduled(createScheduledController({ cron: '* * * * *' }), env);
  const metrics = async () => {
    const init = { headers: { Accept: 'text/plain' } };
    return (await router.request('http://localhost/metrics', init, withNode)).text();
  };

  it('the deployment’s own figures are looked at, and /metrics says when, and of what', async () => {
    expect(await metrics()).toContain('\ncallhandler_alerts_evaluated_timestamp_seconds 0\n');
    const report = { state: 'failing' as const, calls: 0, maxCalls: 1, callsPerSecond: 0 };
    const heartbeat = { ...report, name: 'fs-1', idleCpu: 0, loadAverage: 0, cores: 1 };
    for (let i = 0; i < 2; i++) {
      goOn(MINUTE);
      await writeHeartbeat(bindings, loadConfig(bindings).METRICS_SHARDS, { ...heartbeat, at: now });
      await minute(withNode);
    }
    const text = await metrics();
    expect(text).toContain(`\ncallhandler_alerts_evaluated_timestamp_seconds ${now / 1_000}\n`);
    expect(text).toContain('\ncallhandler_alert_firing{rule="nodes-down",severity="critical"} 1\n');
    expect(text).toContain('\ncallhandler_alert_firing{rule="latency",severity="warning"} 0\n');
  });

  it('/health says where nobody looks, if somebody is to be told', async () => {
    const health = async (more: object) => {
      const env = { ...bindings, ...more };
      return (await router.request('http://localhost/health', {}, env)).json();
    };
    const told = { ALERT_WEBHOOKS: JSON.stringify(webhooks) };
    expect(await health({})).not.toHaveProperty('reasons');
    expect(await health(told)).toMatchObject({ status: 'degraded', reasons: [{ reason: 'no alerts' }] });
    await minute();
    expect(await health(told)).toMatchObject({
      status: 'ok',
      alerts: { evaluatedAt: now, firing: [], waiting: {} },
    });
    goOn(5 * MINUTE + 1);
    expect(await health(told)).toMatchObject({ status: 'degraded', reasons: [{ reason: 'no alerts' }] });
  });

  it('a look that fails is the platform’s to count', async () => {
    const broken = { ...bindings, ALERTS: undefined } as unknown as typeof bindings;
    const controller = createScheduledController({ cron: '* * * * *' });
    await expect(worker.scheduled(controller, broken)).rejects.toThrow();
  });
});
