import { z } from 'zod';
import { type Clock, type Random, systemClock, systemRandom } from '../call/clock.ts';
import { AttemptFailed, retryAfterMs, unlessAborted, withAttempts } from '../providers/attempts.ts';
import { bytesOf, startOfText } from '../providers/bodies.ts';
import { ProviderError, type ProviderFailure } from '../providers/ports.ts';
import { TRACEPARENT } from '../tracing/trace-context.ts';
import { builtInNames } from './built-in.ts';
import { argumentsSchema, parametersSchema } from './json-schema.ts';
import {
  AnswerTooLong,
  mostContentBytes,
  type Tool,
  type ToolContext,
  ToolError,
  type ToolResult,
} from './tool.ts';
import { isWebhookSecret, webhookHeaders } from './webhook-signature.ts';

/** A header's name, and its value without a line break. */
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'no name of a header');
const headerValue = z
  .string()
  .regex(/^[\x21-\x7e]([\x20-\x7e]{0,1998}[\x21-\x7e])?$/, 'no value of a header');

/** What a request consists of, and what carries it: not for a configuration to change. */
const ownHeaders =
  /^(webhook-.*|cf-.*|traceparent|tracestate|host|content-.*|accept|accept-encoding|connection|upgrade|te|trailer|transfer-encoding|expect|keep-alive)$/i;

/** A tool that is somewhere else: a request of its own to a server of the operator's. */
export const httpToolSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -')
    .refine((name) => !builtInNames.some((each) => each === name), {
      error: 'is the name of a built-in tool',
    }),
  /** For the model: what it does, and when to use it. */
  description: z.string().min(1).max(1_024),
  /** JSON Schema of the arguments. */
  parameters: parametersSchema,
  /** `https:`, or `http:` to this machine. Nothing that the model says gets into it: arguments stand in the body. */
  url: z
    .string()
    .max(2_048)
    .superRefine((url, context) => {
      const problem = problemOfUrl(url);
      if (problem !== null) context.addIssue(problem);
    }),
  method: z.literal('POST').default('POST'),
  /** Default 10,000: what a caller will wait for while the agent says that it looks something up. */
  timeoutMs: z.int().min(100).max(60_000).default(10_000),
  /** Sent with every request. The model is told nothing of them. */
  headers: z
    .record(headerName, headerValue)
    .refine((headers) => Object.keys(headers).length <= 20, { error: 'more than 20 headers' })
    .refine((headers) => !Object.keys(headers).some((name) => ownHeaders.test(name)), {
      error: 'a header that is set by the service itself',
    })
    .default({}),
  /** Whether the same request may be made again in a call after it has succeeded: true for what only looks something up. */
  repeatable: z.boolean().default(false),
});

export type HttpToolSettings = z.output<typeof httpToolSchema>;

/** Every definition is sent with every turn, and a model that may choose among many chooses badly. */
export const httpToolsSchema = z
  .array(httpToolSchema)
  .max(32)
  .refine((tools) => new Set(tools.map((tool) => tool.name)).size === tools.length, {
    error: 'two tools have one name',
  });

export interface HttpToolOptions {
  /** `whsec_…`; the current one first, and the one before it while it is being replaced. At least one. */
  secrets: readonly string[];
  clock?: Clock;
  random?: Random;
  /** Tells which span of the call's trace a run is. */
  trace?: { traceparentFor(idempotencyKey: string): string | null };
}

/** Attempts after the first, all of one `webhook-id`: whoever receives them does the work once. */
const maxRetries = 2;
const retriedStatuses = new Set([429, 502, 503, 504]);

/** Statuses whose body tells of the service's own credentials rather than of the request. */
const silentStatuses = new Set([401, 403, 407, 429]);

/** Characters of a refusal's body that the model is shown. */
const longestRefusal = 500;

/** Throws `TypeError` where a secret is none. */
export function httpTool(settings: HttpToolSettings, options: HttpToolOptions): Tool {
  const { secrets, clock = systemClock, random = systemRandom, trace = null } = options;
  if (secrets.length === 0 || !secrets.every(isWebhookSecret)) {
    throw new TypeError(`tool ${settings.name}: a secret is "whsec_" and base64 of 24 to 64 bytes`);
  }
  const { name, description, parameters, timeoutMs } = settings;
  return {
    definition: { name, description, parameters },
    schema: argumentsSchema(parameters),
    timeoutMs,
    repeat: settings.repeatable ? 'later' : 'once',
    run: (args, context) => request(settings, args, context, { secrets, clock, random, trace }),
  };
}

async function request(
  settings: HttpToolSettings,
  args: unknown,
  context: ToolContext,
  options: Required<Omit<HttpToolOptions, 'trace'>> & { trace: HttpToolOptions['trace'] | null },
): Promise<ToolResult> {
  const { clock, random, secrets } = options;
  const { signal, idempotencyKey } = context;
  const traceparent = options.trace?.traceparentFor(idempotencyKey) ?? null;
  const body = JSON.stringify({ call: callOf(context), tool: settings.name, arguments: args });
  const attempt = async (): Promise<string> => {
    const signed = await webhookHeaders(idempotencyKey, clock.now(), body, secrets);
    const headers = {
      ...settings.headers,
      'content-type': 'application/json',
      accept: 'application/json, text/plain',
      ...(traceparent === null ? {} : { [TRACEPARENT]: traceparent }),
      ...signed,
    };
    // Not followed: a redirect would carry the body and the headers to an address that nobody has configured.
    const init = { method: settings.method, headers, body, redirect: 'manual' as const, signal };
    const response = await fromServer(unlessAborted(fetch(settings.url, init), signal), settings, signal);
    if (!response.ok) throw await refusalOf(response, settings, clock, signal);
    return fromServer(contentOf(response, signal), settings, signal);
  };
  try {
    return { ok: true, content: await withAttempts(attempt, { maxRetries, clock, random, signal }) };
  } catch (error) {
    throw error instanceof ProviderError ? new ToolError(error.message) : error;
  }
}

/** What the tool's server is told of the call. */
function callOf({ call }: ToolContext) {
  return {
    callId: call.callId,
    userId: call.userId,
    campaignId: call.campaignId,
    phoneNumber: call.phoneNumber,
    startTime: new Date(call.startTime).toISOString(),
  };
}

/** The connection may be refused or break before the answer, or in the middle of it. */
async function fromServer<T>(
  answer: Promise<T>,
  settings: HttpToolSettings,
  signal: AbortSignal,
): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ToolError) throw error;
    throw new AttemptFailed(failureOf(settings, 'unavailable', "The tool's server cannot be reached."), true);
  }
}

async function refusalOf(
  response: Response,
  settings: HttpToolSettings,
  clock: Clock,
  signal: AbortSignal,
): Promise<AttemptFailed> {
  const { status } = response;
  const again = retriedStatuses.has(status);
  const tells = status >= 400 && status < 500 && !silentStatuses.has(status) && isReadable(response);
  // Read even where it is not shown: a body that nobody takes keeps its connection.
  const told = (await startOfText(response, tells ? longestRefusal : 0, signal)).trim();
  const message = `The tool's server answered with status ${status}${told === '' ? '.' : `: ${told}`}`;
  const error = failureOf(settings, again ? 'unavailable' : 'rejected', message, status);
  return new AttemptFailed(error, again, again ? retryAfterMs(response.headers, clock) : 0);
}

function failureOf(settings: HttpToolSettings, failure: ProviderFailure, message: string, status?: number) {
  return new ProviderError(`tool/${settings.name}`, failure, message, status === undefined ? {} : { status });
}

/** Throws `AnswerTooLong` as soon as it is, and `ToolError` where the model cannot read it. */
async function contentOf(response: Response, signal: AbortSignal): Promise<string> {
  if (response.body === null) return noContent;
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const piece of bytesOf(response.body as ReadableStream<Uint8Array>, signal)) {
    bytes += piece.length;
    if (bytes > mostContentBytes) throw new AnswerTooLong();
    text += decoder.decode(piece, { stream: true });
  }
  if (bytes === 0) return noContent;
  if (!isReadable(response)) throw new ToolError("The tool's server answered neither JSON nor plain text.");
  return (text + decoder.decode()).trim() || noContent;
}

const noContent = 'Done.';

function isReadable(response: Response): boolean {
  const type = (response.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
  return (
    type === 'text/plain' || type === 'application/json' || /^application\/[a-z0-9.-]+\+json$/.test(type)
  );
}

function problemOfUrl(text: string): string | null {
  const url = URL.parse(text);
  if (url === null) return 'is no URL';
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback)) {
    return 'must begin with https:// (http:// is for this machine only)';
  }
  if (url.username !== '' || url.password !== '') return 'must not hold a user or a password: use "headers"';
  if (url.hash !== '') return 'must not have a fragment';
  if (/[{}]/.test(text)) return 'is no template: arguments are sent in the body';
  return null;
}
