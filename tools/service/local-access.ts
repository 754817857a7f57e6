import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { hashOfToken, newToken } from '../../src/auth/tokens.ts';

/** Tokens to try a service on this machine with. */
export interface LocalTokens {
  /** The operator's: may do everything for everybody. */
  service: string;
  /** A person's, and who that is. */
  user: string;
  userId: string;
}

/** Settings with which the Worker asks everybody for a token, and tokens that it takes; new ones each time. */
export async function localAccess(
  supabaseUrl: string,
  jwtSecret: string,
): Promise<{ settings: Record<string, string>; tokens: LocalTokens }> {
  const service = newToken('service');
  const userId = randomUUID();
  const user = await new SignJWT({ role: 'authenticated' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(userId)
    .setAudience('authenticated')
    .setIssuer(`${supabaseUrl}/auth/v1`)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(jwtSecret));
  const settings = {
    AUTH: 'required',
    SERVICE_TOKENS: await hashOfToken(service),
    SUPABASE_JWT_SECRET: jwtSecret,
  };
  return { settings, tokens: { service, user, userId } };
}
