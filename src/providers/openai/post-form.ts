import { APIConnectionTimeoutError, APIError } from 'openai';
import { bytesOf } from '../bodies.ts';
import { Watchdog } from '../watchdog.ts';
import { DEFAULT_BASE_URL, DEFAULT_TIMEOUT_MS, type OpenAiRequests } from './client.ts';
import { malformed } from './errors.ts';

/** In characters: three times a transcript of 50,000, each of them written as an escape. */
const longestAnswer = 1_000_000;

/**
 * Posts a form as the official client does, once, and reads the JSON that is answered. A call that listens makes such a request at each
 * pause, and the client's own way there takes nearly twice the CPU of the request: it composes signals, and works out lines for its
 * log though that is off. What it sends and what it makes of an answer is done here as well (`test/unit/providers/openai-post-form.test.ts`
 * holds the two against each other), and errors are of the client's own classes.
 *
 * Throws what the client throws, `ProviderError` where the answer is too long, or the signal's reason once it has fired.
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
    const response = await fetch(`${(settings.baseUrl ?? DEFAULT_BASE_URL).replace(/\/$/, '')}${path}`, {
      method: 'POST',
      headers: { Accept: 'application/json', Authorization: `Bearer ${settings.apiKey}` },
      body: form,
      signal: watchdog.signal,
    });
    const text = await wholeText(response, watchdog.signal);
    if (text === null) throw malformed(provider, 'answered with more than a transcript can have');
    if (response.ok) return JSON.parse(text);
    const error = parsed(text);
    throw APIError.generate(response.status, error, error === undefined ? text : undefined, response.headers);
  } catch (error) {
    signal.throwIfAborted();
    throw watchdog.expired === null ? error : new APIConnectionTimeoutError();
  } finally {
    watchdog.close();
  }
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

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
