import { errorCodes } from '../dialects/native-messages.ts';

/** Codes of HTTP errors: those of the native dialect, and what only HTTP knows. */
export const httpErrorCodes = [
  ...errorCodes,
  'NOT_FOUND',
  'UPGRADE_REQUIRED',
  'FORBIDDEN',
  'NOT_IMPLEMENTED',
  /** Nobody has to prove who they are (`AUTH=none`), and the request is not of this machine. */
  'AUTH_OFF',
  'RANGE_NOT_SATISFIABLE',
  /** Of calls that are to be placed. */
  'IDEMPOTENCY_KEY_REUSED',
  'CAMPAIGN_NOT_ACTIVE',
  'NOT_YOURS',
] as const;
export type HttpErrorCode = (typeof httpErrorCodes)[number];

/** Every HTTP error has this shape. */
export function apiError(
  status: number,
  code: HttpErrorCode,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return Response.json({ error: { code, message } }, { status, headers });
}

/** The code of an answer made by {@link apiError}; `other` of any other one. Reads it. */
export async function apiErrorCode(response: Response): Promise<HttpErrorCode | 'other'> {
  try {
    const { error } = await response.json<{ error?: { code?: unknown } }>();
    return httpErrorCodes.find((code) => code === error?.code) ?? 'other';
  } catch {
    return 'other';
  }
}
