/** Causes of causes that are looked at. */
const deepest = 6;

/**
 * The operating system's or Node's own code of what broke a connection, e.g. `ECONNREFUSED`, `ENOTFOUND`, `CERT_HAS_EXPIRED`, out of
 * the error's causes; null where there is none. Their messages are left alone: a vendor may repeat a key there.
 */
export function systemCode(error: unknown): string | null {
  let cause = error;
  for (let depth = 0; depth < deepest && cause instanceof Error; depth++) {
    const code = 'code' in cause ? cause.code : undefined;
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,60}$/.test(code)) return code;
    cause = cause.cause;
  }
  return null;
}
