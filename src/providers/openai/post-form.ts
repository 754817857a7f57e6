import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { bytesOf, startOfText } from '../bodies.ts';
import { Watchdog } from '../watchdog.ts';
import { DEFAULT_BASE_URL, DEFAULT_TIMEOUT_MS, type OpenAiRequests } from './client.ts';
import { malformed } from './errors.ts';

/** In characters: three times a transcript of 50,000, each of them written as an escape. */
const longestAnswer = 1_000_000;
/** What an error says is kept to 300 characters; a gateway may answer with a whole page. */
const longestError = 10_000;

/** Requests without any are refused by some gateways. */
const USER_AGENT = 'ai-call-handler';

/**
 * Posts a form to OpenAI, once, and reads the JSON that is answered. A call that listens makes such a request at each pause, and the
 * official client takes much more of the CPU for it: it composes signals, and works out lines for its log though that is off. So this is
 * not the client, but sends what it sends, less what it tells of itself, and fails with its errors
 * (`test/unit/providers/openai-post-form.test.ts` holds the two against each other).
 *
 * Throws what the client throws; `ProviderError` where the answer is no JSON, or too long; the signal's reason once it has fired.
 */
export async function postForm(
  { provider, settings, clock }: OpenAiRequests,
  path: string,
  form: FormData,
  signal: AbortSignal,
): Promise<unknown> {
  const watchdog = new Watchdog(clock, signal);
  watchdog.expect('answer', settings.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  try {
    const { apiKey, baseUrl = DEFAULT_BASE_URL } = settings;
    const headers = {
      Accept: 'application/json',
      Authorization: `Bearer ${apiKey}`,
      'User-Agent': USER_AGENT,
    };
    const request = { method: 'POST', headers, body: form, signal: watchdog.signal };
    const response = await fetch(addressOf(baseUrl, path), request).catch((cause) => {
      throw connectionError(cause);
    });
    // Whatever comes of its body, the status counts.
    if (!response.ok) throw statusError(response, await startOfText(response, longestError, watchdog.signal));
    const text = await wholeText(response, watchdog.signal);
    if (text === null) throw malformed(provider, 'answered with more than a transcript can have');
    const answer = parsed(text);
    // What stands there is not repeated: it may be what the caller has said.
    if (answer === undefined) throw malformed(provider, 'answered with no JSON');
    return answer;
  } catch (error) {
    signal.throwIfAborted();
    const answered = error instanceof APIError && error.status !== undefined;
    throw watchdog.expired === null || answered ? error : new APIConnectionTimeoutError();
  } finally {
    watchdog.close();
  }
}

/** The path goes before what the base address asks for, as Azure's `?api-version=` does. */
function addressOf(base: string, path: string): URL {
  const url = new URL(base);
  url.pathname = url.pathname.replace(/\/$/, '') + path;
  return url;
}

/** What a runtime says of a connection may hold the address, with what stands in it. */
function connectionError(cause: unknown): APIConnectionError {
  const late = cause instanceof Error && /timed? ?out/i.test(`${cause} ${cause.cause ?? ''}`);
  return late
    ? new APIConnectionTimeoutError()
    : new APIConnectionError(cause instanceof Error ? { cause } : {});
}

function statusError({ status, headers }: Response, text: string): APIError {
  const error = parsed(text);
  if (typeof error !== 'object' || error === null) return APIError.generate(status, undefined, text, headers);
  // OpenAI's own stand in `error`, other servers' may be all there is.
  const whole = 'error' in error && error.error !== null ? error : { error };
  return APIError.generate(status, whole, undefined, headers);
}

/** A body as text; null if it is too long. */
async function wholeText({ body }: Response, signal: AbortSignal): Promise<string | null> {
  if (body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of bytesOf(body as ReadableStream<Uint8Array>, signal)) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > longestAnswer) return null;
  }
  return text + decoder.decode();
}

/** Undefined: it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
