import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError, apiErrors } from './api-error.ts';
import { BodyBudget } from './body.ts';
import { type Exchange, sendJson } from './exchange.ts';

/** Answers a request, or throws what is told as an error. */
export type Route = (exchange: Exchange) => Promise<void>;

export interface RouterOptions {
  apiKey: string | undefined;
  log: (line: string) => void;
  /** Fires when the server closes. */
  closing: AbortSignal;
  /** Longest time of one request, ms. */
  requestMs: number;
  /** By method and path, e.g. `POST /v1/audio/speech`; a path that ends with a slash stands for all below it. */
  routes: Readonly<Record<string, Route>>;
  /** Answered without a key. */
  publicRoutes: readonly string[];
}

/** The listener of a `node:http` server: key, route, time limit, and every failure in OpenAI's form. */
export function createListener(
  options: RouterOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const budget = new BodyBudget();
  return (request, response) => {
    void answer(options, budget, request, response);
  };
}

async function answer(
  options: RouterOptions,
  budget: BodyBudget,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedAt = performance.now();
  const gone = new AbortController();
  const expired = new AbortController();
  const timer = setTimeout(() => expired.abort(apiErrors.timedOut()), options.requestMs);
  response.once('close', () => gone.abort(new Error('the client is gone')));
  // An aborted upload is reported through the body's reader and `close`; unheard, it would end the process.
  request.on('error', () => {});
  response.on('error', () => {});
  const path = pathOf(request);
  const name = `${request.method ?? ''} ${path.slice(0, 200)}`;
  let fault = '';
  try {
    const signal = AbortSignal.any([gone.signal, expired.signal, options.closing]);
    signal.throwIfAborted();
    const route = findRoute(options.routes, request.method ?? '', path);
    if (!options.publicRoutes.includes(`${request.method} ${path}`)) authorise(request, options.apiKey);
    if (route === undefined) throw apiErrors.unknownUrl(request.method ?? '', path.slice(0, 200));
    await route({ request, response, signal, budget });
  } catch (error) {
    fault = error instanceof Error ? error.message : String(error);
    if (gone.signal.aborted) response.destroy();
    else fail(response, error);
  } finally {
    clearTimeout(timer);
    const tookMs = Math.round(performance.now() - startedAt);
    const detail = fault === '' ? '' : `: ${JSON.stringify(fault.slice(0, 300))}`;
    options.log(`${name} ${gone.signal.aborted ? 'aborted' : response.statusCode} ${tookMs} ms${detail}`);
  }
}

function fail(response: ServerResponse, error: unknown): void {
  // A stream that has begun can only be cut: its client then knows that it is not whole.
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const told =
    error instanceof ApiError
      ? error
      : new ApiError(500, 'The server had an error while processing your request.');
  // Whatever is left of the request's body is not read.
  response.setHeader('connection', 'close');
  sendJson(response, told.status, told.body);
}

function findRoute(routes: Readonly<Record<string, Route>>, method: string, path: string): Route | undefined {
  const name = `${method} ${path}`;
  if (Object.hasOwn(routes, name)) return routes[name];
  const folder = name.slice(0, name.lastIndexOf('/') + 1);
  return folder.length < name.length && Object.hasOwn(routes, folder) ? routes[folder] : undefined;
}

/** The path without query, as sent; a request line without one gives `/`. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split(/[?#]/, 1)[0] || '/';
}

function authorise(request: IncomingMessage, apiKey: string | undefined): void {
  if (apiKey === undefined) return;
  const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (given === undefined) throw apiErrors.missingKey();
  const digest = (value: string) => createHash('sha256').update(value).digest();
  if (!timingSafeEqual(digest(given), digest(apiKey))) throw apiErrors.wrongKey();
}
