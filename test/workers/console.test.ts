import { describe, expect, it } from 'vitest';
import { router } from '../../src/router.ts';
import { bindings, fetchWorker } from './support.ts';

/** With the setting on, as the launcher has it. */
const fetchPage = async (path: string, headers: Record<string, string> = {}) =>
  router.fetch(new Request(`http://localhost${path}`, { headers }), { ...bindings, CONSOLE: 'true' });

/** Every address in the page. */
const addresses = (html: string) =>
  [...html.matchAll(/(?:href|src|data-worklet)="([^"#]+)"/g)].map(([, address]) => address!);

describe('/console', () => {
  it('is not there unless it is asked for: whoever reaches it may call', async () => {
    for (const path of ['/console', '/console/app.js']) {
      const response = await fetchWorker(path);
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({ error: { code: 'NOT_FOUND', message: expect.any(String) } });
    }
  });

  it('is a page whose parts all come from here and are kept for ever', async () => {
    const response = await fetchPage('/console');
    expect(response.status).toBe(200);
    expect(response.headers.get('Content-Type')).toBe('text/html; charset=utf-8');
    const parts = addresses(await response.text()).filter((address) => address.startsWith('/console/'));
    expect(parts.length).toBe(3);
    for (const part of parts) {
      const file = await fetchPage(part);
      expect(file.status).toBe(200);
      expect(file.headers.get('Cache-Control')).toContain('immutable');
      expect(file.headers.get('Content-Type')).toMatch(
        part.includes('.css') ? /^text\/css/ : /^text\/javascript/,
      );
      expect((await file.text()).length).toBeGreaterThan(1_000);
    }
    const stale = await fetchPage('/console/app.js?v=of-last-year');
    expect(stale.headers.get('Cache-Control')).toBe('no-cache');
  });

  it('allows nothing inline, nothing from elsewhere, and no frame around it', async () => {
    const { headers } = await fetchPage('/console');
    const policy = headers.get('Content-Security-Policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
    expect(headers.get('Permissions-Policy')).toContain('microphone=(self)');
  });

  it('is not sent again to a browser that has it', async () => {
    const etag = (await fetchPage('/console')).headers.get('ETag')!;
    const again = await fetchPage('/console', { 'If-None-Match': etag });
    expect(again.status).toBe(304);
    expect(await again.text()).toBe('');
  });

  it('weighs less than 100 KB in all', async () => {
    const page = await (await fetchPage('/console')).text();
    const parts = addresses(page).filter((address) => address.startsWith('/console/'));
    const texts = [page];
    for (const part of parts) texts.push(await (await fetchPage(part)).text());
    expect(new TextEncoder().encode(texts.join('')).length).toBeLessThan(100_000);
  });
});
