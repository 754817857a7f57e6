import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { ApiError, apiErrors } from './api-error.ts';

export const bodyLimits = {
  /** A JSON body. OpenAI has no documented bound; 200 messages of 4,096 characters fit. */
  jsonBytes: 1024 * 1024,
  /** An audio file: OpenAI's documented 25 MB. */
  fileBytes: 25 * 1024 * 1024,
  /** What a multipart body may have beside its file. */
  multipartExtraBytes: 64 * 1024,
  /** Held for all requests together. */
  allBytes: 256 * 1024 * 1024,
  /** Read and dropped of a body that is too large, so that its sender gets to read the answer. */
  discardedBytes: 128 * 1024 * 1024,
} as const;

/** Bytes that the requests of one server hold at the moment. */
export class BodyBudget {
  #held = 0;
  readonly #limit: number;

  constructor(limit: number = bodyLimits.allBytes) {
    this.#limit = limit;
  }

  /** @throws {ApiError} 429 if that were too many. */
  take(bytes: number): void {
    if (this.#held + bytes > this.#limit) throw apiErrors.busy();
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/**
 * Reads a request's body and lends it to `use`; the budget has it back afterwards.
 *
 * @throws {ApiError} 413 for more than `limit` bytes; 429 if the server holds too much already.
 */
export async function withBody<T>(
  request: IncomingMessage,
  limit: number,
  budget: BodyBudget,
  use: (body: Uint8Array<ArrayBuffer>) => Promise<T>,
): Promise<T> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  let taken = 0;
  let refusal: ApiError | null = null;
  try {
    for await (const chunk of request as AsyncIterable<Uint8Array>) {
      total += chunk.length;
      if (refusal === null && total > limit) refusal = apiErrors.tooLarge(limit);
      if (refusal === null) {
        try {
          budget.take(chunk.length);
          taken += chunk.length;
          chunks.push(chunk);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          refusal = error;
        }
      }
      if (refusal !== null) {
        chunks.length = 0;
        if (total > bodyLimits.discardedBytes) break;
      }
    }
    if (refusal !== null) throw refusal;
    const body = new Uint8Array(total);
    let at = 0;
    for (const chunk of chunks.splice(0)) {
      body.set(chunk, at);
      at += chunk.length;
    }
    return await use(body);
  } finally {
    budget.give(taken);
  }
}

/**
 * Parses a JSON body.
 *
 * @throws {ApiError} 400, naming the first field that is missing or wrong.
 */
export function parseJson<Schema extends z.ZodType>(body: Uint8Array, schema: Schema): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw apiErrors.malformedJson();
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw apiErrors.malformedJson();
  return parseFields(value as Record<string, unknown>, schema);
}

/** A multipart form: its text fields, and the first file of each name. */
export interface Form {
  fields: Record<string, string>;
  files: Map<string, Uint8Array>;
}

/**
 * Parses a `multipart/form-data` body with Node's own parser.
 *
 * @throws {ApiError} 400 if it is none or is broken.
 */
export async function parseForm(
  body: Uint8Array<ArrayBuffer>,
  contentType: string | undefined,
): Promise<Form> {
  if (contentType === undefined || !/^multipart\/form-data\b/i.test(contentType)) {
    throw new ApiError(400, 'The body must be multipart/form-data with a boundary.');
  }
  const form: Form = { fields: Object.create(null) as Record<string, string>, files: new Map() };
  let entries: Iterable<[string, string | Blob]>;
  try {
    entries = (await new Response(body, { headers: { 'content-type': contentType } }).formData()).entries();
  } catch (cause) {
    throw new ApiError(400, 'Could not parse the multipart form of your request.', { cause });
  }
  for (const [name, value] of entries) {
    if (typeof value === 'string') form.fields[name] = value;
    else if (!form.files.has(name)) form.files.set(name, new Uint8Array(await value.arrayBuffer()));
  }
  return form;
}

/** Checks fields against a schema. @throws {ApiError} 400, as {@link parseJson}. */
export function parseFields<Schema extends z.ZodType>(
  value: Record<string, unknown>,
  schema: Schema,
): z.infer<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const [field] = issue.path;
  const param = issue.path.join('.');
  if (typeof field === 'string' && value[field] === undefined) throw apiErrors.missing(field);
  throw apiErrors.invalid(param, issue.message);
}
