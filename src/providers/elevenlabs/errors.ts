import { z } from 'zod';
import type { Clock } from '../../call/clock.ts';
import { AttemptFailed, answerDetails, isTransientStatus } from '../attempts.ts';
import { type AnswerDetails, ProviderError, type ProviderFailure } from '../ports.ts';
import { failureOfStatus } from '../vendor-socket.ts';

/** Characters of a vendor's message that are kept. */
const longestMessage = 300;

/**
 * What a code means, whichever way it came. HTTP: elevenlabs.io/docs/eleven-api/resources/errors, `detail.code`, before it
 * `detail.status` (help.elevenlabs.io, "API - Error Code 400 or 401"). Socket: the `error` beside `message` and `code: 1008`.
 * `again`: another attempt may end better. Whatever is not listed follows from its status.
 */
const knownCodes: Record<string, { failure: ProviderFailure; again: boolean }> = {
  // Comes with status 401, though the key is good; it does not pass while a call lasts.
  quota_exceeded: { failure: 'rate_limited', again: false },
  insufficient_credits: { failure: 'rate_limited', again: false },
  concurrent_limit_exceeded: { failure: 'rate_limited', again: true },
  too_many_concurrent_requests: { failure: 'rate_limited', again: true },
  rate_limit_exceeded: { failure: 'rate_limited', again: true },
  system_busy: { failure: 'rate_limited', again: true },
  // Five contexts of one socket are in use: the next attempt has another socket.
  max_active_conversations: { failure: 'rate_limited', again: true },
  invalid_api_key: { failure: 'unauthorized', again: false },
  missing_api_key: { failure: 'unauthorized', again: false },
  needs_authorization: { failure: 'unauthorized', again: false },
  missing_permissions: { failure: 'unauthorized', again: false },
  detected_unusual_activity: { failure: 'unauthorized', again: false },
  voice_not_found: { failure: 'rejected', again: false },
  voice_id_does_not_exist: { failure: 'rejected', again: false },
  invalid_voice_id: { failure: 'rejected', again: false },
  model_not_found: { failure: 'rejected', again: false },
  invalid_parameters: { failure: 'rejected', again: false },
  invalid_input_message: { failure: 'rejected', again: false },
  max_character_limit_exceeded: { failure: 'rejected', again: false },
  // The socket had been silent for too long.
  input_timeout_exceeded: { failure: 'unavailable', again: true },
};

const code = z.string().max(200);
const text = z.string().max(100_000);
const bodySchema = z.object({
  detail: z.union([
    text,
    z.object({ code: code.nullish(), status: code.nullish(), message: text.nullish() }),
    // FastAPI's own validation.
    z.array(z.object({ msg: text })).max(100),
  ]),
});

/** An HTTP answer that is none of speech. */
export function failureOfResponse(
  provider: string,
  response: { status: number; headers: { get(name: string): string | null } },
  body: string,
  clock: Clock,
): AttemptFailed {
  const { status } = response;
  const { code, message } = detailOf(body);
  const known = code === null ? undefined : knownCodes[code];
  const failure = known?.failure ?? (status === 402 ? 'rate_limited' : failureOfStatus(status));
  return new AttemptFailed(
    failed(provider, failure, code, message ?? `status ${status}`, {
      status,
      ...answerDetails(response.headers, clock),
    }),
    known?.again ?? isTransientStatus(status),
  );
}

/** An error that came as a message of a socket. */
export function failureOfMessage(
  provider: string,
  error: string,
  message: string | null,
  code: number | null,
): AttemptFailed {
  // RFC 6455: 1008 is a policy's violation, of which the codes that are not listed are a request's own.
  const fallback =
    code === 1008
      ? { failure: 'rejected' as const, again: false }
      : { failure: 'unavailable' as const, again: true };
  const { failure, again } = knownCodes[error] ?? fallback;
  return new AttemptFailed(failed(provider, failure, error, message ?? ''), again);
}

/** A connection that is lost, as `VendorSocket` tells it. A used-up quota may be told by the close frame's reason alone. */
export function failureOfLoss(provider: string, error: ProviderError): AttemptFailed {
  return /\(1\d{3} [^)]*\bquota\b/i.test(error.message)
    ? failureOfMessage(provider, 'quota_exceeded', null, null)
    : new AttemptFailed(error, error.failure === 'unavailable');
}

function failed(
  provider: string,
  failure: ProviderFailure,
  code: string | null,
  message: string,
  answer: AnswerDetails = {},
): ProviderError {
  const said = [code?.slice(0, 100), message.slice(0, longestMessage)].filter(Boolean).join(': ');
  return new ProviderError(
    provider,
    failure,
    // A part of the key may be repeated.
    `${provider}: ${failure === 'unauthorized' ? `the key was refused${code === null ? '' : ` (${code.slice(0, 100)})`}` : said}`,
    answer,
  );
}

function detailOf(body: string): { code: string | null; message: string | null } {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { code: null, message: body === '' ? null : body };
  }
  const parsed = bodySchema.safeParse(json);
  if (!parsed.success) return { code: null, message: null };
  const { detail } = parsed.data;
  if (typeof detail === 'string') return { code: null, message: detail };
  if (Array.isArray(detail)) return { code: null, message: detail.map(({ msg }) => msg).join('; ') };
  // `code` is the newer; where it is a generic one, the older says more.
  const code = [detail.code, detail.status].find((each) => each && knownCodes[each]) ?? detail.code;
  return { code: code ?? detail.status ?? null, message: detail.message ?? null };
}
