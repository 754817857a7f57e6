import { Hono } from 'hono';
import { accepts } from 'hono/accepts';
import { cors } from 'hono/cors';
import { version } from '../package.json';
import { exposedAlerts } from './alerts/exposed.ts';
import { readAlerts } from './alerts/read.ts';
import type { AlertStatus } from './alerts/status.ts';
import { isAddressIn } from './auth/addresses.ts';
import { authenticate } from './auth/authenticate.ts';
import { credentialOf } from './auth/credential.ts';
import { isLoopback } from './auth/loopback.ts';
import { holderOf, knownSender } from './auth/nodes.ts';
import { kindOfToken } from './auth/tokens.ts';
import type { Principal } from './call/principal.ts';
import { type Config, loadConfig, missingSettings } from './config.ts';
import type { Env } from './env.ts';
import { callRoutes } from './http/calls-route.ts';
import { consoleRoutes } from './http/console.ts';
import { countRefusals } from './http/count-refusals.ts';
import { apiError } from './http/errors.ts';
import { limitRequests } from './http/limit-requests.ts';
import { nodeRoutes } from './http/nodes-route.ts';
import { recordingRoutes } from './http/recordings-route.ts';
import { usageRoutes } from './http/usage-route.ts';
import { legRoutes } from './http/ws-routes.ts';
import { describeError, log } from './log.ts';
import { exposed } from './metrics/exposed.ts';
import { expositionText, textTypes } from './metrics/exposition.ts';
import { healthReasons } from './metrics/health.ts';
import { nodeCounts, nodeStates } from './metrics/nodes.ts';
import { readCounts } from './metrics/read.ts';
import { type Counts, metricsOf } from './metrics/totals.ts';
import { settingsWithoutEffect } from './settings-without-effect.ts';

/** Strangers may ask often, and many of them; each answer asks every object that counts. */
const TOLD_FOR_MS = 5_000;
/** What strangers were told last by this isolate, by its settings. */
const told = new WeakMap<Config, Known & { at: number }>();

/** Null: the objects that know do not answer. */
interface Known {
  counts: Counts | null;
  /** Undefined: nobody is to be told of alerts, and nobody asked. */
  alerts: AlertStatus | null | undefined;
}

/** When this isolate took its first request: a Worker's clock stands still before it. */
let upSince: number | null = null;

/** The service's whole HTTP surface. */
export const router = new Hono<{ Bindings: Env }>();

router.use(countRefusals);

router.use(async (c, next) => {
  upSince ??= Date.now();
  const { ALLOWED_HOSTS, ALLOWED_ADDRESSES } = loadConfig(c.env);
  // A page may have its own name resolved to a loopback address; the name then gives it away.
  if (ALLOWED_HOSTS.length > 0 && !ALLOWED_HOSTS.includes(new URL(c.req.url).hostname)) {
    return apiError(403, 'FORBIDDEN', 'The service is not reached by this name; see ALLOWED_HOSTS');
  }
  const address = c.req.header('CF-Connecting-IP') ?? 'unknown';
  if (ALLOWED_ADDRESSES.length > 0 && !isAddressIn(address, ALLOWED_ADDRESSES)) {
    return apiError(403, 'FORBIDDEN', 'The service is not reached from this address');
  }
  await next();
});

router.use(limitRequests(knownSender));

// Not on the upgrade: a 101's headers are fixed, and browsers ask no leave for WebSockets; `Origin` is checked there.
for (const [path, method] of [
  ['/health', 'GET'],
  ['/metrics', 'GET'],
  ['/api/v1/calls', 'POST'],
] as const) {
  router.use(path, (c, next) => {
    const allowHeaders = ['Authorization', 'Content-Type', 'Idempotency-Key'];
    return cors({ origin: loadConfig(c.env).CORS_ORIGINS, allowMethods: [method], allowHeaders })(c, next);
  });
}

router.get('/health', async (c) => {
  const config = loadConfig(c.env);
  const now = Date.now();
  const operator = await isOperator(c.req.raw, config);
  const { counts, alerts } = await (operator ? knownNow : knownLately)(c.env, config, now);
  const nodes = counts?.nodes ?? [];
  const missing = missingSettings(config, c.env);
  const idle = settingsWithoutEffect(c.env);
  const closed = config.AUTH === 'none' && !isLoopback(c.req.raw);
  const reasons = healthReasons({ counts, alerts, missing, closed, now });
  return c.json({
    status: reasons.length > 0 ? 'degraded' : 'ok',
    timestamp: now,
    version,
    // Null: not known.
    activeCalls: counts?.totals.active ?? null,
    uptime: Math.floor((now - (upSince ?? now)) / 1000),
    // How the service is set up is not for strangers.
    ...(operator
      ? {
          ...(reasons.length > 0 ? { reasons } : {}),
          ...(nodes.length > 0 ? { nodes: nodeCounts(nodes, now) } : {}),
          ...(alerts ? { alerts } : {}),
          ...(missing.length > 0 ? { missingSettings: missing } : {}),
          ...(idle.length > 0 ? { settingsWithoutEffect: idle } : {}),
        }
      : {}),
  });
});

router.get('/metrics', async (c) => {
  const config = loadConfig(c.env);
  const principal = await authenticate(c.req.raw, config, 'route');
  if (principal instanceof Response) return principal;
  if (!readsMetrics(principal)) return apiError(403, 'FORBIDDEN', 'The counts are the operator’s');
  const now = Date.now();
  const [counts, alerts] = await Promise.all([countsNow(c.env, config, now), readAlerts(c.env)]);
  if (counts === null) {
    return apiError(503, 'INTERNAL_ERROR', 'The counts cannot be had at the moment', { 'Retry-After': '5' });
  }
  const { totals, nodes } = counts;
  const wanted = accepts(c, {
    header: 'Accept',
    supports: ['application/json', 'application/openmetrics-text', 'text/plain'],
    default: 'application/json',
  });
  if (wanted === 'application/json') return c.json({ ...metricsOf(totals), nodes: nodeStates(nodes, now) });
  const format = wanted === 'text/plain' ? 'prometheus' : 'openmetrics';
  const metrics = [...exposed(totals, nodes, now, version), ...exposedAlerts(alerts)];
  return c.text(expositionText(metrics, format), 200, {
    'Content-Type': textTypes[format],
  });
});

router.route('/ws', legRoutes);
router.route('/console', consoleRoutes);
router.route('/api/v1/calls', callRoutes);
router.route('/api/v1/recordings', recordingRoutes);
router.route('/api/v1/nodes', nodeRoutes);
router.route('/api/v1/usage', usageRoutes);

router.notFound(() => apiError(404, 'NOT_FOUND', 'There is nothing at this path'));

router.onError((error) => {
  log('error', 'request failed', { error: describeError(error) });
  return apiError(500, 'INTERNAL_ERROR', 'Something failed here');
});

/** Null: the objects that count do not answer. */
async function countsNow(env: Env, { METRICS_SHARDS: shards }: Config, now: number): Promise<Counts | null> {
  try {
    return await readCounts(env, shards, now);
  } catch (error) {
    log('error', 'the counts could not be read', { error: describeError(error) });
    return null;
  }
}

async function knownNow(env: Env, config: Config, now: number): Promise<Known> {
  const asksAlerts = config.ALERT_WEBHOOKS.length > 0;
  const [counts, alerts] = await Promise.all([
    countsNow(env, config, now),
    asksAlerts ? readAlerts(env) : undefined,
  ]);
  return { counts, alerts };
}

/** As {@link knownNow}, up to five seconds ago. */
async function knownLately(env: Env, config: Config, now: number): Promise<Known> {
  const last = told.get(config);
  if (last !== undefined && now - last.at < TOLD_FOR_MS) return last;
  // While this request asks, others are told what was known before it.
  if (last !== undefined) last.at = now;
  const known = await knownNow(env, config, now);
  told.set(config, { ...known, at: now });
  return known;
}

function readsMetrics({ kind }: Principal): boolean {
  return kind === 'anonymous' || kind === 'service' || kind === 'metrics';
}

/** Whether the request is of this machine, or of the operator's programs. Asks neither database nor keys: `/health` is open to everybody. */
async function isOperator(request: Request, config: Config): Promise<boolean> {
  if (isLoopback(request)) return true;
  const { token } = credentialOf(request, false) ?? {};
  if (token === undefined || kindOfToken(token) === null) return false;
  return await holderOf(token, null, null, config).then(readsMetrics, () => false);
}
