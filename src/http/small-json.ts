import { systemClock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { apiError } from './errors.ts';

/** The longest wait for all of a body: so few bytes come along with the headers. */
const BODY_MS = 3_000;

/** A body of some hundred bytes, or the answer to one that is larger or does not come. What is no JSON is left to the schema to refuse. */
export async function readSmallJson(
  request: Request,
  mostBytes: number,
): Promise<{ json: unknown } | Response> {
  const read = within(systemClock, BODY_MS, (signal) => readText(request, mostBytes, signal));
  const text = await read.catch(() => 'late' as const);
  if (text === 'late') return apiError(408, 'TIMEOUT', `The body did not come within ${BODY_MS} ms`);
  if (text === null) return apiError(413, 'TOO_LARGE', `The body has more than ${mostBytes} bytes`);
  try {
    return { json: JSON.parse(text.read) };
  } catch {
    return { json: undefined };
  }
}

/** Null: it is too large. Rejects where the request breaks off. */
async function readText(
  request: Request,
  mostBytes: number,
  signal: AbortSignal,
): Promise<{ read: string } | null> {
  const reader = request.body?.getReader();
  signal.addEventListener('abort', () => void reader?.cancel(signal.reason).catch(() => {}));
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    if (bytes > mostBytes) {
      await reader.cancel();
      return null;
    }
    text += decoder.decode(value, { stream: true });
  }
  return { read: text + decoder.decode() };
}
