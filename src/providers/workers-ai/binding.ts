import { z } from 'zod';
import type { Clock, Random } from '../../call/clock.ts';
import { AttemptFailed, answerDetails, isTransientStatus, unlessAborted, withAttempts } from '../attempts.ts';
import { startOfText } from '../bodies.ts';
import { type AnswerDetails, ProviderError, type ProviderFailure } from '../ports.ts';
import { malformed } from '../streamed-request.ts';
import { failureOfStatus } from '../vendor-socket.ts';
import { Watchdog } from '../watchdog.ts';

/** What is used of the Worker's `AI` binding, type `Ai` of `@cloudflare/workers-types`. */
export interface WorkersAi {
  run(model: string, inputs: Record<string, unknown>, options: WorkersAiOptions): Promise<unknown>;
}

export interface WorkersAiOptions {
  /** The model's answer as it came: its status, type and `Retry-After` are known, and an error is not thrown. */
  returnRawResponse?: boolean;
  /**
   * Fails with 429 and code 3040 where there is no capacity, in place of a queue: a caller waits for no queue
   * (developers.cloudflare.com/workers-ai/features/reject-if-busy/).
   */
  rejectIfBusy?: boolean;
  signal?: object;
}

/** What each port needs to reach Workers AI. */
export interface WorkersAiSettings {
  ai: WorkersAi;
  /** The longest wait for the head of one attempt's answer: a hung attempt leaves time for another one. Default 4,000. */
  timeoutMs?: number;
  /** Attempts after the first on 408, 409, 429, 5xx and broken connections. Default 3. */
  maxRetries?: number;
}

const defaultTimeoutMs = 4_000;
const defaultMaxRetries = 3;

/** Characters of an error's body that are read, and of its message that are kept. */
const longestErrorBody = 10_000;
const longestMessage = 300;

/**
 * developers.cloudflare.com/workers-ai/platform/errors/, by internal code; 5035 is of the changelog of 2026-07-28. `again`: another
 * attempt may end better.
 */
const knownCodes: Record<number, { status: number; again: boolean }> = {
  5007: { status: 400, again: false },
  5004: { status: 400, again: false },
  3003: { status: 400, again: false },
  5018: { status: 403, again: false },
  5016: { status: 403, again: false },
  3023: { status: 403, again: false },
  3041: { status: 403, again: false },
  5035: { status: 403, again: false },
  5005: { status: 405, again: false },
  5019: { status: 405, again: false },
  3042: { status: 404, again: false },
  3006: { status: 413, again: false },
  3007: { status: 408, again: true },
  3008: { status: 408, again: true },
  // The day's free allocation is used up: it does not come back while a call lasts.
  3036: { status: 429, again: false },
  3040: { status: 429, again: true },
};

/** What the binding itself understands of an error's body, and what follows `errors` in streams. */
const errorSchema = z.union([
  z.object({ internalCode: z.number(), description: z.string().nullish(), message: z.string().nullish() }),
  z.object({ errors: z.array(z.object({ code: z.number().nullish(), message: z.string() })).min(1) }),
]);

export interface ModelRun {
  settings: WorkersAiSettings;
  model: string;
  clock: Clock;
  random: Random;
  signal: AbortSignal;
}

/**
 * Runs a model until it answers with a status of success. `inputs` are made for each attempt, since a stream among them can be read
 * once. Throws `ProviderError`; anything once the signal has fired. The body is to be read with {@link bytesOf} or the like, since a
 * binding need not heed the signal.
 */
export function runModel(run: ModelRun, inputs: () => Record<string, unknown>): Promise<Response> {
  const { settings, clock, random, signal } = run;
  const options = { maxRetries: settings.maxRetries ?? defaultMaxRetries, clock, random, signal };
  return withAttempts(() => attempt(run, inputs()), options);
}

export function providerOf(model: string): string {
  return `workers-ai/${model}`;
}

async function attempt(run: ModelRun, inputs: Record<string, unknown>): Promise<Response> {
  const { settings, model, clock, signal } = run;
  const provider = providerOf(model);
  const head = new Watchdog(clock, signal);
  head.expect('answer', settings.timeoutMs ?? defaultTimeoutMs);
  try {
    const running = settings.ai.run(model, inputs, {
      returnRawResponse: true,
      rejectIfBusy: true,
      signal: head.signal,
    });
    const response = await unlessAborted(running, head.signal);
    if (!(response instanceof Response)) {
      throw new AttemptFailed(malformed(provider, 'answered with no response'), false);
    }
    if (response.ok) return response;
    throw failureOfResponse(
      provider,
      response,
      await startOfText(response, longestErrorBody, head.signal),
      clock,
    );
  } catch (error) {
    if (signal.aborted || error instanceof AttemptFailed) throw error;
    if (head.expired !== null) {
      throw new AttemptFailed(new ProviderError(provider, 'timeout', `${provider}: ${head.expired}`), true);
    }
    throw failureOfThrown(provider, error);
  } finally {
    // Not closed: the body heeds its signal, which fires with the caller's.
    head.relax();
  }
}

function failureOfResponse(provider: string, response: Response, body: string, clock: Clock): AttemptFailed {
  const { status } = response;
  const told = errorIn(body);
  return new AttemptFailed(
    toError(provider, failureOfStatus(status), told.message ?? `status ${status}`, told.code, {
      status,
      ...answerDetails(response.headers, clock),
    }),
    (told.code === null ? undefined : knownCodes[told.code]?.again) ?? isTransientStatus(status),
  );
}

/** The binding's errors begin with the code: `3040: Capacity temporarily exceeded, please try again.` */
function failureOfThrown(provider: string, error: unknown): AttemptFailed {
  const message = error instanceof Error ? error.message : String(error);
  const code = Number(/^(\d{4}): /.exec(message)?.[1] ?? Number.NaN);
  const known = knownCodes[code];
  // Without a code it is the connection's; an unknown code is of the request, as most of them are.
  if (Number.isNaN(code)) return new AttemptFailed(toError(provider, 'unavailable', message, null), true);
  if (known === undefined) return new AttemptFailed(toError(provider, 'rejected', message, null), false);
  return new AttemptFailed(
    toError(provider, failureOfStatus(known.status), message, null, known),
    known.again,
  );
}

/** An error as an event of a stream that had begun well, or null where the event is none. */
export function failureInStream(provider: string, event: unknown): ProviderError | null {
  const parsed = errorSchema.safeParse(event);
  if (!parsed.success) return null;
  const { code, message } = flatten(parsed.data);
  const known = code === null ? undefined : knownCodes[code];
  const failure = known === undefined ? 'unavailable' : failureOfStatus(known.status);
  return toError(provider, failure, message ?? 'an error', code, known);
}

function errorIn(body: string): { code: number | null; message: string | null } {
  try {
    const parsed = errorSchema.safeParse(JSON.parse(body));
    return parsed.success ? flatten(parsed.data) : { code: null, message: null };
  } catch {
    return { code: null, message: body === '' ? null : body };
  }
}

function flatten(error: z.infer<typeof errorSchema>): { code: number | null; message: string | null } {
  if ('internalCode' in error) {
    return { code: error.internalCode, message: error.description ?? error.message ?? null };
  }
  const [first] = error.errors;
  return { code: first?.code ?? null, message: first?.message ?? null };
}

function toError(
  provider: string,
  failure: ProviderFailure,
  message: string,
  code: number | null,
  answer: AnswerDetails = {},
): ProviderError {
  const said = `${code === null ? '' : `${code}: `}${message.slice(0, longestMessage)}`;
  return new ProviderError(provider, failure, `${provider}: ${said}`, answer);
}

/** What an answer's body or a stream of it threw. */
export function toProviderError(provider: string, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  if (error instanceof SyntaxError) return malformed(provider, 'sent what is no JSON');
  return new ProviderError(provider, 'unavailable', `${provider}: the connection broke`, { cause: error });
}
