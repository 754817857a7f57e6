import { Hono } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import { systemClock } from '../call/clock.ts';
import { maySee } from '../call/principal.ts';
import { within } from '../call/within.ts';
import { loadConfig } from '../config.ts';
import { callIdSchema } from '../dialects/native-messages.ts';
import type { Env } from '../env.ts';
import { describeError, log } from '../log.ts';
import { bucketsOf } from '../regions/namespaces.ts';
import { homeOf } from '../regions/settings.ts';
import { apiError } from './errors.ts';
import { findRecording, LookupError, type RecordingRow } from './recordings-lookup.ts';
import { matchesNoneOf, parseRange } from './recordings-range.ts';

/** The longest wait for the bucket to begin its answer. */
const BUCKET_MS = 5_000;

/**
 * `GET` and `HEAD /{callId}`: a call's recording, whole or a range of it. No shared cache keeps it, and a private one asks
 * each time.
 */
export const recordingRoutes = new Hono<{ Bindings: Env }>();

recordingRoutes.get('/:callId', async (c) => {
  const config = loadConfig(c.env);
  const principal = await authenticate(c.req.raw, config, 'route');
  if (principal instanceof Response) return principal;
  const callId = callIdSchema.safeParse(c.req.param('callId'));
  if (!callId.success) {
    return apiError(400, 'BAD_MESSAGE', `callId: ${callId.error.issues[0]?.message}`);
  }
  const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key } = config;
  if (url === undefined || key === undefined) {
    return apiError(503, 'INTERNAL_ERROR', 'The service is not set up: it has no database');
  }
  let row: RecordingRow | null;
  try {
    row = await findRecording({ url, key }, callId.data, c.req.raw.signal);
  } catch (error) {
    if (!(error instanceof LookupError)) throw error;
    log('error', 'a recording could not be looked up', { error: describeError(error) });
    return apiError(503, 'INTERNAL_ERROR', 'The database does not answer', { 'Retry-After': '5' });
  }
  // Who may not hear it does not learn that it is there.
  const there = row !== null && row.recording !== null && maySee(principal, row.userId, row.campaignId);
  try {
    const buckets = there ? bucketsOf(c.env, homeOf(config.REGIONS, row!.userId)) : [];
    for (const bucket of buckets) {
      const object = await asked(() => bucket.head(row!.recording!));
      if (object !== null) return await answer(c.req.raw, bucket, object);
    }
    return apiError(404, 'NOT_FOUND', 'There is no recording of this call');
  } catch (error) {
    log('error', 'a recording could not be read', { error: describeError(error) });
    return apiError(503, 'INTERNAL_ERROR', 'The bucket does not answer', { 'Retry-After': '5' });
  }
});

const asked = <T>(ask: () => Promise<T>) => within(systemClock, BUCKET_MS, ask);

async function answer(request: Request, bucket: R2Bucket, object: R2Object): Promise<Response> {
  const { httpEtag: etag, size } = object;
  const headers = new Headers({
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'private, no-cache',
    // No page but the service's own plays them.
    'Cross-Origin-Resource-Policy': 'same-origin',
    ETag: etag,
    'Last-Modified': object.uploaded.toUTCString(),
    'X-Content-Type-Options': 'nosniff',
  });
  if (matchesNoneOf(request.headers.get('If-None-Match') ?? undefined, etag)) {
    return new Response(null, { status: 304, headers });
  }
  const name = object.key.slice(object.key.lastIndexOf('/') + 1);
  headers.set('Content-Type', object.httpMetadata?.contentType ?? 'application/octet-stream');
  headers.set('Content-Disposition', `inline; filename="${name}"`);
  const isHead = request.method === 'HEAD';
  const condition = request.headers.get('If-Range');
  // Ranges are those of a GET (RFC 9110 §14.2), of the object that the condition names.
  const wanted = isHead || (condition !== null && condition !== etag) ? null : request.headers.get('Range');
  const range = parseRange(wanted ?? undefined, size);
  if (range === 'unsatisfiable') {
    return apiError(416, 'RANGE_NOT_SATISFIABLE', `The recording has ${size} bytes`, {
      'Content-Range': `bytes */${size}`,
      'Accept-Ranges': 'bytes',
    });
  }
  const part = range === 'whole' ? { offset: 0, length: size } : range;
  headers.set('Content-Length', String(part.length));
  if (isHead) return new Response(null, { headers });
  const found = await asked(() =>
    bucket.get(object.key, {
      ...(range === 'whole' ? {} : { range }),
      onlyIf: { etagMatches: object.etag },
    }),
  );
  if (found === null || !('body' in found)) {
    return apiError(503, 'INTERNAL_ERROR', 'The recording was replaced just now', { 'Retry-After': '1' });
  }
  if (range !== 'whole') {
    headers.set('Content-Range', `bytes ${range.offset}-${range.offset + range.length - 1}/${size}`);
  }
  return new Response(found.body, { status: range === 'whole' ? 200 : 206, headers });
}
