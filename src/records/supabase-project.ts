import { createClient, type PostgrestSingleResponse, type SupabaseClient } from '@supabase/supabase-js';
import { z } from 'zod';
import { RecordsError } from './call-records.ts';

export interface SupabaseOptions {
  /** `SUPABASE_URL`: the project's address, http or https. */
  url: string;
  /** `SUPABASE_SERVICE_ROLE_KEY`: `sb_secret_…`, or the legacy JWT of the role `service_role`. */
  key: string;
  /** Longest wait for one answer, in milliseconds. */
  timeoutMs: number;
  /** The runtime's own by default. */
  fetch?: typeof fetch;
}

/** Calls one SQL function of `supabase/migrations`: one request and one transaction. Rejects with `RecordsError`. */
export type CallFunction = <Answer>(
  name: string,
  args: Record<string, unknown>,
  answer: z.ZodType<Answer>,
  signal: AbortSignal,
) => Promise<Answer>;

/** Longest piece of a database's message that is passed on, in characters. */
const MESSAGE_CHARACTERS = 500;

/** A client that keeps no session. @throws Error where `url` is no http or https address. */
export function connectProject(options: Omit<SupabaseOptions, 'timeoutMs'>): SupabaseClient {
  const sendRequest: typeof fetch = options.fetch ?? ((input, init) => fetch(input, init));
  return createClient(options.url, options.key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    // A redirect would carry the key to another host; a Supabase project sends none.
    global: { fetch: (input, init) => sendRequest(input, { ...init, redirect: 'manual' }) },
  });
}

/**
 * Values for PostgREST's operator `in`, each in quotes: to the embedded database an id like `007` or a number like `+15550100` would else
 * be a number.
 */
export function exactly(values: readonly string[]): string {
  return `(${values.map((value) => `"${value.replace(/[\\"]/g, '\\$&')}"`).join(',')})`;
}

/**
 * A Supabase project's SQL functions. An abort by the caller's signal is a `RecordsError` as well, retryable, its cause the
 * signal's reason.
 * @throws Error where `url` is no http or https address.
 */
export function createFunctionCalls(options: SupabaseOptions): CallFunction {
  const client = connectProject(options);
  return async (name, args, answer, signal) => {
    const timeout = AbortSignal.timeout(options.timeoutMs);
    const response = await client.rpc(name, args).abortSignal(AbortSignal.any([signal, timeout]));
    if (response.error === null) {
      const parsed = answer.safeParse(response.data);
      if (parsed.success) return parsed.data;
    }
    if (signal.aborted) {
      throw new RecordsError(`${name}: aborted`, { retryable: true, code: null, cause: signal.reason });
    }
    if (timeout.aborted && response.status === 0) {
      const message = `${name}: no answer within ${options.timeoutMs} ms`;
      throw new RecordsError(message, { retryable: true, code: null, cause: timeout.reason });
    }
    throw recordsError(name, response);
  };
}

/**
 * supabase-js reports every failure in the same shape, and a few as success (a 404 without a body, a 200 that is
 * no JSON): status 0 is a request that never arrived, a body that is not PostgREST's own comes as a message alone.
 */
const failureSchema = z.object({
  message: z.string().catch(''),
  code: z.string().min(1).nullable().catch(null),
});

function recordsError(name: string, response: PostgrestSingleResponse<unknown>): RecordsError {
  const { status } = response;
  if (response.error === null || (status >= 200 && status < 300)) {
    const message = `${name}: the answer (${status}) is not that of a Supabase project`;
    // 204 is what supabase-js makes of a 404 without a body: the address is wrong.
    return new RecordsError(message, { retryable: status !== 204, code: null });
  }
  const failure = failureSchema.catch({ message: '', code: null }).parse(response.error);
  const where = status === 0 ? 'no connection' : `status ${status}`;
  return new RecordsError(`${name}: ${where}: ${failure.message.slice(0, MESSAGE_CHARACTERS)}`, {
    retryable: isRetryable(status, failure.code, name),
    code: failure.code,
  });
}

/** Whether the same request may succeed later. Pure; exported for its test. */
export function isRetryable(status: number, code: string | null, name: string): boolean {
  // The turns came before the call's row did, or its cost before its end: `started` or `ended` is still on its way.
  if ((name === 'call_conversation' || name === 'call_costed') && code === '23503') return true;
  // Classes of SQLSTATE that stand for the request itself, whatever HTTP status they come with: wrong data,
  // constraint, statement or privilege, limit exceeded.
  if (code !== null && /^(21|22|23|42|54)[0-9A-Z]{3}$/.test(code)) return false;
  // 401 to 404 and the other 4xx: key, table or function is wrong and stays so; 3xx: the address is.
  return status === 0 || status === 408 || status === 425 || status === 429 || status >= 500;
}
