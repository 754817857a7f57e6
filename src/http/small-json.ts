import { systemClock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { apiError } from './errors.ts';

/** The longest wait for all of it: so few bytes come along with the headers. */
const WAIT_MS = 3_000;

/** A request's body, or the answer to one that is too large or does not come. What is no JSON is left to the schema to refuse. */
export async function readSmallJson(
  request: Request,
  mostBytes: number,
): Promise<{ json: unknown } | Response> {
  try {
    const read = await within(systemClock, WAIT_MS, (signal) => readText(request, mostBytes, signal));
    if (read === null) return apiError(413, 'TOO_LARGE', `The body has more than ${mostBytes} bytes`);
    return { json: parsed(read) };
  } catch {
    return apiError(408, 'TIMEOUT', `The body did not come within ${WAIT_MS} ms`);
  }
}

/** Null: it is too large. Rejects where the request breaks off. */
async function readText(request: Request, mostBytes: number, signal: AbortSignal): Promise<string | null> {
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
  return text + decoder.decode();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
