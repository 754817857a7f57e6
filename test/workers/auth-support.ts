import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { vi } from 'vitest';
import { hashOfToken, newToken } from '../../src/auth/tokens.ts';
import { router } from '../../src/router.ts';
import { bindings, TestClient } from './support.ts';

/** A Worker at which everybody has to prove who they are, and the keys of its project. */
export async function guardedService() {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const published = { ...(await exportJWK(pair.publicKey)), kid: 'key-1', alg: 'ES256' };
  const tokens = {
    node: newToken('node'),
    otherNode: newToken('node'),
    service: newToken('service'),
    metrics: newToken('metrics'),
  };
  const settings = {
    ...bindings,
    AUTH: 'required',
    // The machine is busy, and its database slow.
    AUTH_TIMEOUT: '9000',
    SERVICE_TOKENS: await hashOfToken(tokens.service),
    METRICS_TOKENS: await hashOfToken(tokens.metrics),
    NODES: JSON.stringify({
      'fs-1': { tokens: [await hashOfToken(tokens.node)], users: ['user-1'], campaigns: ['campaign-1'] },
      'fs-2': { tokens: [await hashOfToken(tokens.otherNode)], users: ['user-2'] },
    }),
  };
  const seen = { keyRequests: 0 };
  const project = {
    /** Stands in for the project's Auth, whose embedded double publishes no keys. */
    listen(keys: () => Promise<Response> | Response = () => Response.json({ keys: [published] })) {
      const real = globalThis.fetch;
      vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
        const { pathname } = new URL(input instanceof Request ? input.url : String(input));
        if (pathname !== '/auth/v1/.well-known/jwks.json') return real(input, init);
        seen.keyRequests++;
        return await keys();
      });
    },
  };
  const userToken = (sub: string, claims: Record<string, unknown> = {}) => {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({
      iss: `${bindings.SUPABASE_URL}/auth/v1`,
      aud: 'authenticated',
      role: 'authenticated',
      sub,
      iat: now,
      exp: now + 3_600,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', kid: 'key-1', typ: 'JWT' })
      .sign(pair.privateKey);
  };
  /** A request to the public name of the service; where no setting is another one, of one isolate that has kept what it knows. */
  const ask = async (path: string, init: RequestInit = {}, more?: Record<string, unknown>) => {
    const env = more === undefined ? settings : { ...settings, ...more };
    return await router.request(`https://calls.example${path}`, init, env);
  };
  const upgrade = (path: string, headers: Record<string, string> = {}, more?: Record<string, unknown>) =>
    ask(path, { headers: { Upgrade: 'websocket', ...headers } }, more);
  const connect = async (path: string, headers: Record<string, string> = {}) => {
    const response = await upgrade(path, headers);
    if (response.webSocket === null) throw new Error(`no WebSocket: ${response.status}`);
    return TestClient.on(response.webSocket);
  };
  return { tokens, settings, seen, project, userToken, ask, upgrade, connect };
}

export const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

export const codeOf = async (response: Response) =>
  (await response.json<{ error: { code: string } }>()).error.code;
