import { Hono } from 'hono';
import { accepts } from 'hono/accepts';
import { cors } from 'hono/cors';
import { version } from '../package.json';
import { loadConfig, missingSettings } from './config.ts';
import type { Env } from './env.ts';
import { consoleRoutes } from './http/console.ts';
import { apiError } from './http/errors.ts';
import { RateLimiter } from './http/rate-limit.ts';
import { recordingRoutes } from './http/recordings-route.ts';
import { legRoutes } from './http/ws-routes.ts';
import { describeError, log } from './log.ts';
import { readTotals } from './metrics/read.ts';
import { metricsOf, prometheusText, recentErrorRate } from './metrics/totals.ts';
import { settingsWithoutEffect } from './settings-without-effect.ts';

/** Above this share of failed calls the service is degraded (contract). */
const DEGRADED_ERROR_RATE = 0.05;

const requests = new RateLimiter();
/** When this isolate took its first request: a Worker's clock stands still before it. */
let upSince: number | null = null;

/** The service's whole HTTP surface. */
export const router = new Hono<{ Bindings: Env }>();

router.use(async (c, next) => {
  upSince ??= Date.now();
  const { RATE_LIMIT_PER_IP, ALLOWED_HOSTS } = loadConfig(c.env);
  // A page may have its own name resolved to a loopback address; the name then gives it away.
  if (ALLOWED_HOSTS.length > 0 && !ALLOWED_HOSTS.includes(new URL(c.req.url).hostname)) {
    return apiError(403, 'FORBIDDEN', 'The service is not reached by this name; see ALLOWED_HOSTS');
  }
  const address = c.req.header('CF-Connecting-IP') ?? 'unknown';
  const retryAfter = requests.take(address, RATE_LIMIT_PER_IP, Date.now());
  if (retryAfter !== null) {
    return apiError(429, 'RATE_LIMIT', `More than ${RATE_LIMIT_PER_IP} requests a minute`, {
      'Retry-After': String(retryAfter),
    });
  }
  await next();
});

// Not on the upgrade: a 101's headers are fixed, and browsers ask no leave for WebSockets; `Origin` is checked there.
for (const path of ['/health', '/metrics']) {
  router.use(path, (c, next) =>
    cors({ origin: loadConfig(c.env).CORS_ORIGINS, allowMethods: ['GET'] })(c, next),
  );
}

router.get('/health', async (c) => {
  const config = loadConfig(c.env);
  const now = Date.now();
  const totals = await readTotals(c.env, config.METRICS_SHARDS, now);
  const missing = missingSettings(config, c.env);
  const idle = settingsWithoutEffect(c.env);
  const degraded = recentErrorRate(totals) > DEGRADED_ERROR_RATE || missing.length > 0;
  return c.json({
    status: degraded ? 'degraded' : 'ok',
    timestamp: now,
    version,
    activeCalls: totals.active,
    uptime: Math.floor((now - (upSince ?? now)) / 1000),
    ...(missing.length > 0 ? { missingSettings: missing } : {}),
    ...(idle.length > 0 ? { settingsWithoutEffect: idle } : {}),
  });
});

router.get('/metrics', async (c) => {
  const totals = await readTotals(c.env, loadConfig(c.env).METRICS_SHARDS, Date.now());
  const wanted = accepts(c, {
    header: 'Accept',
    supports: ['application/json', 'text/plain', 'application/openmetrics-text'],
    default: 'application/json',
  });
  if (wanted !== 'application/json') {
    return c.text(prometheusText(totals), 200, {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    });
  }
  return c.json(metricsOf(totals));
});

router.route('/ws', legRoutes);
router.route('/console', consoleRoutes);
router.route('/api/v1/recordings', recordingRoutes);

router.notFound(() => apiError(404, 'NOT_FOUND', 'There is nothing at this path'));

router.onError((error) => {
  log('error', 'request failed', { error: describeError(error) });
  return apiError(500, 'INTERNAL_ERROR', 'Something failed here');
});
