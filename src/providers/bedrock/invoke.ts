import { AwsV4Signer } from 'aws4fetch';
import { z } from 'zod';
import { type Clock, systemRandom } from '../../call/clock.ts';
import { AttemptFailed, answerDetails, isTransientStatus, withAttempts } from '../attempts.ts';
import { startOfText } from '../bodies.ts';
import { ProviderError } from '../ports.ts';
import { malformed } from '../streamed-request.ts';
import { Watchdog } from '../watchdog.ts';
import { exceptionError, toProviderError } from './errors.ts';

/** An access key of IAM, permanent or, with a session token, temporary: requests are signed with it. */
export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** "Use an Amazon Bedrock API key": sent as a bearer token. */
export interface BedrockApiKey {
  apiKey: string;
}

export interface InvokeOptions {
  provider: string;
  url: string;
  region: string;
  credentials: AwsCredentials | BedrockApiKey;
  /** Of one attempt, until the head of its answer. */
  timeoutMs: number;
  /** Attempts after the first. */
  maxRetries: number;
  clock: Clock;
  /** Of the whole request: the body that is returned ends with it. */
  signal: AbortSignal;
}

/** Characters of an error's body that are read. */
const longestErrorBody = 16 * 1024;

const errorSchema = z.object({ message: z.string().optional(), Message: z.string().optional() });

/**
 * Posts a JSON body, signed anew at each attempt (AWS Signature Version 4), and returns the body of a stream of events. Throws
 * `ProviderError`, or the reason of the signal.
 */
export function invoke(options: InvokeOptions, body: string): Promise<ReadableStream<Uint8Array>> {
  return withAttempts(() => tryOnce(options, body), { ...options, random: systemRandom });
}

async function tryOnce(options: InvokeOptions, body: string): Promise<ReadableStream<Uint8Array>> {
  const { provider, clock, signal } = options;
  const watchdog = new Watchdog(clock, signal);
  watchdog.expect('answer', options.timeoutMs);
  try {
    const { method, url, headers } = await signed(options, body);
    const response = await fetch(url, { method, headers, body, signal: watchdog.signal });
    if (!response.ok) throw await refusalOf(provider, response, clock, watchdog.signal);
    const type = response.headers.get('content-type') ?? '';
    if (!/^application\/vnd\.amazon\.eventstream\b/i.test(type) || response.body === null) {
      throw malformed(provider, `answered with ${type.slice(0, 100)}`);
    }
    // Not closed: the body lives on until the signal of the whole request fires, as it does at the end of each.
    watchdog.relax();
    return response.body;
  } catch (error) {
    watchdog.close();
    signal.throwIfAborted();
    if (error instanceof AttemptFailed || error instanceof ProviderError) throw error;
    if (watchdog.expired === null) throw new AttemptFailed(toProviderError(provider, error), true);
    const late = new ProviderError(provider, 'timeout', `${provider}: ${watchdog.expired}`);
    throw new AttemptFailed(late, true);
  }
}

async function signed(
  { url, region, credentials, clock }: InvokeOptions,
  body: string,
): Promise<{ method: string; url: string; headers: Headers }> {
  const headers = new Headers({
    'content-type': 'application/json',
    'x-amzn-bedrock-accept': 'application/json',
  });
  if ('apiKey' in credentials) {
    headers.set('authorization', `Bearer ${credentials.apiKey}`);
    return { method: 'POST', url, headers };
  }
  const request = await new AwsV4Signer({
    method: 'POST',
    url,
    headers,
    body,
    accessKeyId: credentials.accessKeyId,
    secretAccessKey: credentials.secretAccessKey,
    ...(credentials.sessionToken === undefined ? {} : { sessionToken: credentials.sessionToken }),
    service: 'bedrock',
    region,
    datetime: new Date(clock.now()).toISOString().replace(/[:-]|\.\d{3}/g, ''),
  }).sign();
  return { method: request.method, url: request.url.toString(), headers: request.headers };
}

async function refusalOf(
  provider: string,
  response: Response,
  clock: Clock,
  signal: AbortSignal,
): Promise<AttemptFailed> {
  const { status, headers } = response;
  // Of the form `ThrottlingException:http://…` ("AWS restJson1 protocol", section "Operation error serialization").
  const name = (headers.get('x-amzn-errortype') ?? '').split(/[:#]/)[0]!;
  const message = messageOf(await startOfText(response, longestErrorBody, signal));
  const error = exceptionError(provider, name || `status ${status}`, message, {
    status,
    ...answerDetails(headers, clock),
  });
  // A model that failed is told with 424, a quota that is used up with 400.
  const again = isTransientStatus(status) || status === 424 || error.failure === 'rate_limited';
  return new AttemptFailed(error, again);
}

function messageOf(body: string): string {
  try {
    const { data } = errorSchema.safeParse(JSON.parse(body));
    return data?.message ?? data?.Message ?? '';
  } catch {
    return '';
  }
}
