import { sameText } from '../call/same-text.ts';

/**
 * Tokens that this service gives out for a long time: to nodes, to the operator's own programs, to whoever collects the metrics. 256 random
 * bits behind a word that says what it is (scanners for secrets that got into a repository find it by that). Of each only the SHA-256 is
 * kept: of so many random bits no slow hash is needed, which are for passwords.
 */
export const tokenKinds = ['node', 'service', 'metrics'] as const;
export type TokenKind = (typeof tokenKinds)[number];

/** Of a token's random part. */
const TOKEN_BYTES = 32;

const pattern = new RegExp(`^ach_(${tokenKinds.join('|')})_[A-Za-z0-9_-]{43}$`);

/** What a setting holds of a token: its SHA-256, in hexadecimal. */
export const tokenHashPattern = /^[0-9a-f]{64}$/;

/** Of which kind it claims to be; null: it is none of these tokens. */
export function kindOfToken(token: string): TokenKind | null {
  return (pattern.exec(token)?.[1] as TokenKind | undefined) ?? null;
}

export function newToken(kind: TokenKind): string {
  return `ach_${kind}_${randomText(TOKEN_BYTES)}`;
}

/** Base64url (RFC 4648 §5) of random bytes. */
export function randomText(bytes: number): string {
  const binary = String.fromCharCode(...crypto.getRandomValues(new Uint8Array(bytes)));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The SHA-256 of a token, in hexadecimal: what `printf %s TOKEN | sha256sum` prints. */
export async function hashOfToken(token: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Whether the hash is one of these. Looks at all of them, whichever it is. */
export function isOneOf(hash: string, hashes: readonly string[]): boolean {
  let found = false;
  for (const each of hashes) found = sameText(hash, each) || found;
  return found;
}
