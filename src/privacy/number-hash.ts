import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { encodeBase64 } from '../audio/base64.ts';

/** One number has one form: E.164 where it has a country's code, else its digits. */
function normalNumber(number: string): string {
  const compact = number.replace(/[\s().\-/]/g, '').replace(/^00(?=\d)/, '+');
  return parsePhoneNumberFromString(compact)?.number ?? compact;
}

/**
 * What a telephone number is matched by where nobody has to read it: HMAC-SHA256 under a secret key. Without a key a hash protects nothing:
 * there are no more numbers than can be tried in a minute.
 */
export async function hashNumber(secret: string, number: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, encoder.encode(`phone:${normalNumber(number)}`));
  return `hmac:${encodeBase64(new Uint8Array(mac)).replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_')}`;
}
