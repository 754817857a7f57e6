import { Hono } from 'hono';
import * as assets from '../../dist/console/assets.js';
import { loadConfig } from '../config.ts';
import type { Env } from '../env.ts';
import { apiError } from './errors.ts';

/** Everything from this origin, nothing inline; `data:` is the icon, `blob:` the recording that was made in the page. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  'media-src blob:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const headers = {
  'Content-Security-Policy': policy,
  'Permissions-Policy': 'microphone=(self), screen-wake-lock=(self), camera=(), geolocation=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** Its address changes with its content. */
const forever = 'public, max-age=31536000, immutable';

const files = [
  ['style.css', 'text/css; charset=utf-8', assets.style],
  ['app.js', 'text/javascript; charset=utf-8', assets.app],
  ['worklet.js', 'text/javascript; charset=utf-8', assets.worklet],
] as const;

/** The console page, where the setting `CONSOLE` allows it. */
export const consoleRoutes = new Hono<{ Bindings: Env }>();

consoleRoutes.use(async (c, next) => {
  if (!loadConfig(c.env).CONSOLE) return apiError(404, 'NOT_FOUND', 'The console is off; see CONSOLE');
  await next();
});

consoleRoutes.get('/', (c) => {
  const etag = `"${assets.version}"`;
  const cached = { ...headers, 'Cache-Control': 'no-cache', ETag: etag };
  if (c.req.header('If-None-Match') === etag) return c.body(null, 304, cached);
  return c.body(assets.page, 200, { ...cached, 'Content-Type': 'text/html; charset=utf-8' });
});

for (const [name, type, text] of files) {
  consoleRoutes.get(`/${name}`, (c) =>
    c.body(text, 200, {
      ...headers,
      'Content-Type': type,
      // A page of another version asks for what is not here any more: it gets the newest, and must ask again.
      'Cache-Control': c.req.query('v') === assets.version ? forever : 'no-cache',
    }),
  );
}
