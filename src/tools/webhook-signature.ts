import { decodeBase64, encodeBase64 } from '../audio/base64.ts';

/**
 * Requests signed as Standard Webhooks has it, with HMAC-SHA256 ("Signature scheme", "Webhook headers";
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md), so that whoever receives them can
 * check them with a library of that standard.
 */

const prefix = 'whsec_';

/** The standard's bounds, in bytes. */
const shortestSecret = 24;
const longestSecret = 64;

/** Whether it is a secret: `whsec_` and base64 of 24 to 64 bytes. */
export function isWebhookSecret(secret: string): boolean {
  return keyOf(secret) !== null;
}

/**
 * The headers that sign one attempt.
 *
 * @param id the same in every attempt; without a dot.
 * @param at milliseconds since the epoch, of this attempt.
 * @param secrets the current one, and the one before it while it is being replaced. Throws `TypeError` where one is no secret.
 */
export async function webhookHeaders(
  id: string,
  at: number,
  body: string,
  secrets: readonly string[],
): Promise<Record<string, string>> {
  const timestamp = String(Math.floor(at / 1000));
  // Copied: the runtimes' own types disagree on what is encoded into.
  const signed = new Uint8Array(new TextEncoder().encode(`${id}.${timestamp}.${body}`));
  const signatures = await Promise.all(secrets.map((secret) => signatureOf(secret, signed)));
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}

async function signatureOf(secret: string, signed: Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = keyOf(secret);
  if (bytes === null) throw new TypeError('no webhook secret');
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return `v1,${encodeBase64(new Uint8Array(await crypto.subtle.sign('HMAC', key, signed)))}`;
}

function keyOf(secret: string): Uint8Array<ArrayBuffer> | null {
  if (!secret.startsWith(prefix)) return null;
  const bytes = decodeBase64(secret.slice(prefix.length));
  if (bytes === null || bytes.length < shortestSecret || bytes.length > longestSecret) return null;
  return new Uint8Array(bytes);
}
