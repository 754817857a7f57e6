/** The body of every failed request, as OpenAI's API has it. */
export interface ApiErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

/**
 * A request that cannot be answered, with the status and body that OpenAI's API has for it, so that the official
 * client raises the same typed error.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly body: ApiErrorBody;

  constructor(
    status: number,
    message: string,
    details: { type?: string; param?: string; code?: string; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.status = status;
    const type = details.type ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
    this.body = { error: { message, type, param: details.param ?? null, code: details.code ?? null } };
  }
}

export const apiErrors = {
  missingKey: () =>
    new ApiError(401, "You didn't provide an API key: send it as a header, `Authorization: Bearer KEY`."),
  wrongKey: () => new ApiError(401, 'Incorrect API key provided.', { code: 'invalid_api_key' }),
  unknownUrl: (method: string, path: string) =>
    new ApiError(404, `Unknown request URL: ${method} ${path}`, { code: 'unknown_url' }),
  unknownModel: (model: string) =>
    new ApiError(404, `The model \`${model}\` does not exist or you do not have access to it.`, {
      code: 'model_not_found',
    }),
  wrongModel: (model: string, path: string) =>
    new ApiError(404, `The model \`${model}\` cannot be used with ${path}.`, {
      param: 'model',
      code: 'model_not_found',
    }),
  malformedJson: () =>
    new ApiError(400, 'We could not parse the JSON body of your request: it must be one JSON object.'),
  missing: (param: string) =>
    new ApiError(400, `Missing required parameter: '${param}'.`, {
      param,
      code: 'missing_required_parameter',
    }),
  invalid: (param: string, message: string) =>
    new ApiError(400, `Invalid '${param}': ${message}`, { param, code: 'invalid_value' }),
  tooLarge: (limit: number) =>
    new ApiError(413, `Maximum content size limit (${limit} bytes) exceeded.`, { code: 'content_too_large' }),
  busy: () =>
    new ApiError(429, 'The engine is busy and its queue is full.', {
      type: 'requests',
      code: 'rate_limit_exceeded',
    }),
  timedOut: () => new ApiError(503, 'The request took longer than it may.', { code: 'timeout' }),
  closing: () => new ApiError(503, 'The server is closing.', { code: 'closing' }),
} as const;
