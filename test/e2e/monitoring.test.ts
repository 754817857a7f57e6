import { CorePaths } from 'miniflare';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashOfToken, newToken } from '../../src/auth/tokens.ts';
import { HeldCall } from '../sip/support/held-call.ts';
import { LoopbackNetwork } from '../sip/support/processes.ts';
import { SipProxy } from '../sip/support/proxy.ts';
import { SipSocket, token } from '../sip/support/sip.ts';
import { SipNode } from '../sip/support/sipp.ts';
import { type Laptop, startLaptop } from '../support/laptop.ts';
import { askedBy, dashboard, monitoringFile, writtenRules } from '../support/monitoring.ts';
import { Prometheus } from '../support/prometheus.ts';

/**
 * A real Prometheus with the shipped rules, which scrapes what `npm start` runs and the real Kamailio, while calls are made: what the
 * dashboard and the rules ask has answers.
 */
const stop = new AbortController();
const network = new LoopbackNetwork();
let laptop: Laptop;
let node: SipNode;
let proxy: SipProxy;
let trunk: SipSocket;
let stranger: SipSocket;
let prometheus: Prometheus;
/** As a node's timer does, so long as it runs: however long the calls take, it is not silent. */
let heart: NodeJS.Timeout;

const tokens = { service: newToken('service'), metrics: newToken('metrics'), node: newToken('node') };

/** A model that the embedded engine does not have fails each time, and the next one answers; what the others charge is known. */
const settings = async () => ({
  AUTH: 'required',
  SERVICE_TOKENS: await hashOfToken(tokens.service),
  METRICS_TOKENS: await hashOfToken(tokens.metrics),
  NODES: JSON.stringify({ 'fs-1': { tokens: [await hashOfToken(tokens.node)], users: ['caller'] } }),
  LLM_MODEL: 'gpt-no-such-model',
  LLM_FALLBACK_MODEL: 'intents',
  PRICES: JSON.stringify({ 'openai/moonshine-tiny': { perMinute: 0.1 }, 'openai/flite': { characters: 10 } }),
});

/** The shipped example, with these addresses in it; each second a sample. */
function configuration(): string {
  return monitoringFile('prometheus.yml')
    .replaceAll(/(scrape|evaluation)_interval: 15s/g, '$1_interval: 1s')
    .replace('scheme: https', 'scheme: http')
    .replace('/etc/prometheus/callhandler-token', 'token')
    .replace("'calls.example.com'", `'${new URL(laptop.url).host}'`)
    .replace("'10.0.0.11:9273', '10.0.0.12:9273'", `'${proxy.address}:${proxy.metricsPort}'`);
}

async function startProxy(): Promise<void> {
  node = new SipNode({ name: 'node1', address: network.address(2), attributes: 'maxload=1' });
  await node.start();
  proxy = await SipProxy.start({ network, nodes: [node.entry], monitors: ['127.0.0.1'] });
  [trunk, stranger] = await Promise.all([SipSocket.open(proxy.trunk), SipSocket.open(proxy.stranger)]);
}

beforeAll(async () => {
  [laptop] = await Promise.all([startLaptop(stop.signal, await settings()), startProxy()]);
  prometheus = await Prometheus.start({
    'prometheus.yml': configuration(),
    'alerts.yml': monitoringFile('alerts.yml'),
    token: tokens.metrics,
  });
  // What follows is seen to rise from what was before.
  await prometheus.until('callhandler_calls_started_total', (value) => value === 0);
  await prometheus.until('up{job="kamailio"}', (value) => value === 1);
  await Promise.all([callService(), callProxy()]);
  await prometheus.until('callhandler_call_duration_seconds_count', (value) => value === calls);
  // Rates are of two samples, and the sums are worked out of what was scraped before.
  await prometheus.until('count_over_time(callhandler_provider_failures_total[1m]) >= 3', () => true);
  await prometheus.until('count_over_time(callhandler_refusals_total{at="request"}[1m]) >= 3', () => true);
  await prometheus.until('changes(instance:callhandler_provider_failures:sum[1m])', (value) => value > 0);
});

afterAll(async () => {
  stop.abort();
  clearInterval(heart);
  trunk?.close();
  stranger?.close();
  await Promise.all([prometheus?.stop(), proxy?.stop(), node?.kill(), laptop?.close()]);
});

const calls = 2;

async function callService(): Promise<void> {
  const question = await laptop.speech('Where can I park my car?');
  expect((await beat()).status).toBe(204);
  // The last one may find nobody any more.
  heart = setInterval(() => void beat().catch(() => {}), 5_000);
  expect((await ask(CorePaths.SCHEDULED, null)).status).toBe(200);
  expect((await ask('/metrics', null)).status).toBe(401);
  await Promise.all(
    Array.from({ length: calls }, () =>
      laptop.call({
        headers: bearer(tokens.service),
        script: async (leg) => {
          await leg.waitForGreeting();
          await leg.say(question, 'Where can I park my car?');
          await leg.waitForReply();
        },
      }),
    ),
  );
}

const bearer = (secret: string) => ({ Authorization: `Bearer ${secret}` });

/** POST where there is a body. */
async function ask(path: string, secret: string | null, body?: string): Promise<Response> {
  const headers = { 'Content-Type': 'application/json', ...(secret === null ? {} : bearer(secret)) };
  const sent = body === undefined ? {} : { method: 'POST', body };
  return await fetch(new URL(path, laptop.url), { headers, ...sent });
}

function beat(): Promise<Response> {
  const heartbeat = { state: 'up', calls: 3, maxCalls: 100, callsPerSecond: 1 };
  const load = { idleCpu: 80, loadAverage: 0.5, cores: 8 };
  return ask('/api/v1/nodes/heartbeat', tokens.node, JSON.stringify({ ...heartbeat, ...load }));
}

/** One call is taken, the next one finds the node full, and a stranger is not heard. */
async function callProxy(): Promise<void> {
  const call = await HeldCall.place(trunk, proxy);
  await HeldCall.place(trunk, proxy);
  stranger.send(stranger.request('OPTIONS', proxy, token()), proxy);
  await prometheus.until('kamailio_node_calls', (value) => value === 1);
  await call.hangUp();
}

/** What is not there while all is well. */
const onlyInTrouble = new Set([
  'callhandler_alert_notices_waiting',
  'callhandler_calls_failed_total',
  'callhandler_outbox_waiting',
  'callhandler_service_failures_total',
  'kamailio_node_failures_total',
]);
const metricsIn = (expr: string) =>
  [...expr.matchAll(/\b(?:instance:)?(?:callhandler|kamailio)_[a-zA-Z0-9_:]+/g)].map(([name]) => name);

describe('the dashboard', () => {
  it('is answered: each question, with numbers', async () => {
    const silent: string[] = [];
    for (const { title, targets } of dashboard().panels) {
      for (const { expr } of targets) {
        const samples = await prometheus.query(askedBy(expr));
        const numbers = samples.filter(({ value }) => Number.isFinite(value) && value >= 0);
        if (numbers.length > 0 && numbers.length === samples.length) continue;
        if (samples.length === 0 && metricsIn(expr).some((name) => onlyInTrouble.has(name))) continue;
        silent.push(`${title}: ${expr} is ${JSON.stringify(samples)}`);
      }
    }
    expect(silent).toEqual([]);
  });

  it('is told what happened', async () => {
    const panel = (title: string) => dashboard().panels.find((each) => each.title === title)!;
    const shown = async (title: string, question = 0) =>
      await prometheus.query(askedBy(panel(title).targets[question]!.expr));
    const [latency] = await shown('Wait for an answer, 5 minutes');
    const own = (await (await ask('/metrics', tokens.metrics)).json()) as { averageLatency: number };
    expect(latency!.value).toBeCloseTo(own.averageLatency / 1_000, 1);
    expect(await shown('Failed calls, 5 minutes')).toMatchObject([{ value: 0 }]);
    expect(await shown('Nodes that take calls')).toMatchObject([{ value: 1 }]);
    const [failures] = await shown('Provider failures, last minute');
    expect(failures!.value).toBeGreaterThanOrEqual(calls);
    // A cost that is there for the first time is no rate yet.
    const costs = await prometheus.query('callhandler_provider_cost_dollars_total');
    expect(costs.map(({ labels }) => labels.provider).sort()).toEqual([
      'openai/flite',
      'openai/moonshine-tiny',
    ]);
    for (const { value } of costs) expect(value).toBeGreaterThan(0);
    expect(await shown('Turned away, and sent on to another node')).toMatchObject([
      { labels: { reason: 'full' } },
    ]);
  });
});

describe('the rules', () => {
  it('are all worked out, and only the watchdog fires', async () => {
    const rules = await prometheus.rules();
    expect(rules).toHaveLength(writtenRules().length);
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(rules.filter(({ state }) => state === 'firing').map(({ name }) => name)).toEqual(['Watchdog']);
  });

  it('ask for nothing that is not there', async () => {
    const names = await prometheus.names();
    const asked = new Set(writtenRules().flatMap(({ expr }) => metricsIn(expr)));
    const missing = [...asked].filter((name) => !names.has(name) && !onlyInTrouble.has(name));
    expect(missing).toEqual([]);
    expect(asked.size).toBeGreaterThan(20);
  });
});
