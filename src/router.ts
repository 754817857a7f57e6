import { Hono } from 'hono';
import { accepts } from 'hono/accepts';
import { cors } from 'hono/cors';
import { version } from '../package.json';
import { isAddressIn } from './auth/addresses.ts';
import { authenticate } from './auth/authenticate.ts';
import { credentialOf } from './auth/credential.ts';
import { isLoopback } from './auth/loopback.ts';
import { holderOf, nodeOfRequest } from './auth/nodes.ts';
import { kindOfToken } from './auth/tokens.ts';
import type { Principal } from './call/principal.ts';
import { type Config, loadConfig, missingSettings } from './config.ts';
import type { Env } from './env.ts';
import { callRoutes } from './http/calls-route.ts';
import { consoleRoutes } from './http/console.ts';
import { apiError } from './http/errors.ts';
import { limitRequests } from './http/limit-requests.ts';
import { nodeRoutes } from './http/nodes-route.ts';
import { recordingRoutes } from './http/recordings-route.ts';
import { legRoutes } from './http/ws-routes.ts';
import { describeError, log } from './log.ts';
import { everyNodeDown, nodeCounts, prometheusNodes } from './metrics/nodes.ts';
import { readNodes, readTotals } from './metrics/read.ts';
import { metricsOf, prometheusText, recentErrorRate } from './metrics/totals.ts';
import { settingsWithoutEffect } from './settings-without-effect.ts';

/** Above this share of failed calls the service is degraded (contract). */
const DEGRADED_ERROR_RATE = 0.05;

/** When this isolate took its first request: a Worker's clock stands still before it. */
let upSince: number | null = null;

/** The service's whole HTTP surface. */
export const router = new Hono<{ Bindings: Env }>();

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

router.use(limitRequests(nodeOfRequest));

// Not on the upgrade: a 101's headers are fixed, and browsers ask no leave for WebSockets; `Origin` is checked there.
for (const [path, method] of [
  ['/health', 'GET'],
  ['/metrics', 'GET'],
  ['/api/v1/calls', 'POST'],
] as const) {
  router.use(path, (c, next) => {
    const allowHeaders = ['Authorization', 'Content-Type'];
    return cors({ origin: loadConfig(c.env).CORS_ORIGINS, allowMethods: [method], allowHeaders })(c, next);
  });
}

router.get('/health', async (c) => {
  const config = loadConfig(c.env);
  const now = Date.now();
  const [totals, nodes] = await Promise.all([
    readTotals(c.env, config.METRICS_SHARDS, now),
    readNodes(c.env, config.METRICS_SHARDS),
  ]);
  const missing = missingSettings(config, c.env);
  const idle = settingsWithoutEffect(c.env);
  const closed = config.AUTH === 'none' && !isLoopback(c.req.raw);
  const degraded =
    recentErrorRate(totals) > DEGRADED_ERROR_RATE ||
    missing.length > 0 ||
    closed ||
    everyNodeDown(nodes, now);
  return c.json({
    status: degraded ? 'degraded' : 'ok',
    timestamp: now,
    version,
    activeCalls: totals.active,
    uptime: Math.floor((now - (upSince ?? now)) / 1000),
    // How the service is set up is not for strangers.
    ...((await isOperator(c.req.raw, config))
      ? {
          ...(nodes.length > 0 ? { nodes: nodeCounts(nodes, now) } : {}),
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
  const totals = await readTotals(c.env, config.METRICS_SHARDS, now);
  const wanted = accepts(c, {
    header: 'Accept',
    supports: ['application/json', 'text/plain', 'application/openmetrics-text'],
    default: 'application/json',
  });
  if (wanted !== 'application/json') {
    const nodes = await readNodes(c.env, config.METRICS_SHARDS);
    return c.text(prometheusText(totals) + prometheusNodes(nodes, now), 200, {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    });
  }
  return c.json(metricsOf(totals));
});

router.route('/ws', legRoutes);
router.route('/console', consoleRoutes);
router.route('/api/v1/calls', callRoutes);
router.route('/api/v1/recordings', recordingRoutes);
router.route('/api/v1/nodes', nodeRoutes);

router.notFound(() => apiError(404, 'NOT_FOUND', 'There is nothing at this path'));

router.onError((error) => {
  log('error', 'request failed', { error: describeError(error) });
  return apiError(500, 'INTERNAL_ERROR', 'Something failed here');
});

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
