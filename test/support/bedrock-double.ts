import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { type Answer, HttpDouble, type ReceivedRequest, type StreamEnd, stream } from './http-double.ts';

export { body, hang, jsonOf, refuse, stream } from './http-double.ts';

/**
 * Plays Amazon Bedrock's runtime, recorded by hand from its documentation: "InvokeModelWithResponseStream" and "ResponseStream"
 * (docs.aws.amazon.com, bedrock/latest/APIReference), "Anthropic Claude Messages API" and "Use an Amazon Bedrock API key"
 * (bedrock/latest/userguide). Every answer but the transport's own failures is given to authorised requests only: see {@link authorised}.
 */
export type BedrockDouble = HttpDouble;
export const BedrockDouble = { start: (): Promise<BedrockDouble> => HttpDouble.start() };

export const region = 'eu-central-1';
export const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'session/token==',
};
export const apiKey = 'bedrock-api-key-example';

/** As the service does: requests signed more than five minutes ago are refused. */
const longestSkewMs = 300_000;

/** Gives the answer to a request that is signed with the credentials above, or bears the API key; 403 to every other. */
export function authorised(answer: Answer, now: () => number): Answer {
  return (request, response) => {
    const refusal = refusalOf(request, now());
    if (refusal === null) return answer(request, response);
    return exception(
      403,
      refusal,
      'The request signature we calculated does not match: secret-looking',
    )(request, response);
  };
}

function refusalOf(request: ReceivedRequest, now: number): string | null {
  const { authorization } = request.headers;
  if (authorization === undefined) return 'MissingAuthenticationTokenException';
  if (authorization.startsWith('Bearer ')) {
    return authorization === `Bearer ${apiKey}` ? null : 'AccessDeniedException';
  }
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (parts === null) return 'IncompleteSignatureException';
  const [, keyId, day, signedRegion, service, signedHeaders, signature] = parts as unknown as string[];
  const time = request.headers['x-amz-date'] ?? '';
  if (keyId !== credentials.accessKeyId) return 'UnrecognizedClientException';
  if (request.headers['x-amz-security-token'] !== credentials.sessionToken) return 'ExpiredTokenException';
  const names = signedHeaders!.split(';');
  const mustBeSigned = ['host', 'x-amz-date', 'x-amz-security-token'];
  if (mustBeSigned.some((name) => !names.includes(name))) return 'InvalidSignatureException';
  if (signedRegion !== region || service !== 'bedrock' || !time.startsWith(day!)) {
    return 'InvalidSignatureException';
  }
  if (Math.abs(timeOf(time) - now) > longestSkewMs) return 'InvalidSignatureException';
  const expected = signatureOf(request, names, time, `${day}/${signedRegion}/${service}/aws4_request`);
  return timingSafeEqual(Buffer.from(expected), Buffer.from(signature!)) ? null : 'InvalidSignatureException';
}

/** "Create a signed AWS API request" (docs.aws.amazon.com, IAM/latest/UserGuide/reference_sigv-create-signed-request). */
function signatureOf(
  request: ReceivedRequest,
  names: readonly string[],
  time: string,
  scope: string,
): string {
  const canonical = [
    request.method,
    // Each segment is encoded once more than it is sent.
    request.path.split('/').map(encodeURIComponent).join('/'),
    '',
    ...names.map((name) => `${name}:${(request.headers[name] ?? '').trim().replace(/\s+/g, ' ')}`),
    '',
    names.join(';'),
    sha256(request.body),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  const key = scope
    .split('/')
    .reduce<string | Buffer>((previous, part) => hmac(previous, part), `AWS4${credentials.secretAccessKey}`);
  return hmac(key, toSign).toString('hex');
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();

/** Of `20261121T120000Z`. */
function timeOf(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

// --- answers ------------------------------------------------------------------------------------------------

export const eventStreamType = 'application/vnd.amazon.eventstream';

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)),
  (text) => new TextEncoder().encode(text),
);

function encoded(headers: Record<string, string>, body: unknown): Uint8Array {
  const typed = Object.entries(headers).map(([name, value]) => [name, { type: 'string', value }] as const);
  return codec.encode({
    headers: Object.fromEntries(typed),
    body: new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body)),
  });
}

/** An event of the Messages API in a chunk, padded as the service does against guesses by length. */
export function chunk(event: unknown): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(event)).toString('base64');
  return chunkOf({ bytes, p: 'abcdefghijklmn' });
}

/** A chunk of any content. */
export function chunkOf(content: unknown): Uint8Array {
  return encoded(
    { ':event-type': 'chunk', ':content-type': 'application/json', ':message-type': 'event' },
    content,
  );
}

/** An exception in the middle of a stream, e.g. `throttlingException`. */
export function exceptionMessage(type: string, message = 'scripted'): Uint8Array {
  return encoded(
    { ':exception-type': type, ':content-type': 'application/json', ':message-type': 'exception' },
    { message },
  );
}

/** An error that the transport of the service found. */
export function errorMessage(code: string, message = 'scripted'): Uint8Array {
  return encoded({ ':error-code': code, ':error-message': message, ':message-type': 'error' }, '');
}

/** A reply's events, see `message` of the Anthropic double. Bedrock sends no pings, and its metrics with the last event. */
export function chunks(events: readonly Record<string, unknown>[]): Uint8Array[] {
  return events
    .filter((event) => event.type !== 'ping')
    .map((event) =>
      chunk(
        event.type === 'message_stop'
          ? { ...event, 'amazon-bedrock-invocationMetrics': { inputTokenCount: 11, outputTokenCount: 7 } }
          : event,
      ),
    );
}

export function messages(items: readonly Uint8Array[], end: StreamEnd = 'complete'): Answer {
  return stream(items, eventStreamType, end);
}

/** A refusal with its status. */
export function exception(
  code: number,
  type: string,
  message = 'scripted',
  headers: Record<string, string> = {},
): Answer {
  return (_, response) => {
    response
      .writeHead(code, {
        'content-type': 'application/json',
        'x-amzn-errortype': `${type}:http://internal.amazon.com/coral/com.amazon.bedrock/`,
        ...headers,
      })
      .end(JSON.stringify({ message }));
  };
}
