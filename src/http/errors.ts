import type { ErrorCode } from '../dialects/native-messages.ts';

/** Codes of HTTP errors: those of the native dialect, and what only HTTP knows. */
export type HttpErrorCode =
  | ErrorCode
  | 'NOT_FOUND'
  | 'UPGRADE_REQUIRED'
  | 'FORBIDDEN'
  | 'NOT_IMPLEMENTED'
  /** Nobody has to prove who they are (`AUTH=none`), and the request is not of this machine. */
  | 'AUTH_OFF'
  | 'RANGE_NOT_SATISFIABLE'
  /** Of calls that are to be placed. */
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'CAMPAIGN_NOT_ACTIVE'
  | 'NOT_YOURS';

/** Every HTTP error has this shape. */
export function apiError(
  status: number,
  code: HttpErrorCode,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return Response.json({ error: { code, message } }, { status, headers });
}
