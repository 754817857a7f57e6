import { afterEach, expect, it, vi } from 'vitest';
import { AccessError, requestCall } from '../../../src/console/access.ts';

afterEach(() => vi.unstubAllGlobals());

const granted = { callId: 'c', userId: 'acme', token: 't' };

function answering(...answers: (() => Response | Promise<Response>)[]) {
  const asked: { url: string; token: string | null; body: unknown }[] = [];
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const token = new Headers(init.headers).get('Authorization');
    asked.push({ url, token, body: JSON.parse(String(init.body)) });
    return await answers[asked.length - 1]!();
  });
  return asked;
}

it('a person’s token is exchanged for one call of theirs', async () => {
  const asked = answering(() => Response.json(granted, { status: 201 }));
  expect(await requestCall('access')).toEqual(granted);
  expect(asked).toEqual([{ url: '/api/v1/calls', token: 'Bearer access', body: {} }]);
});

it('an operator’s token is exchanged for a call of the console’s', async () => {
  const asked = answering(
    () => Response.json({ error: { code: 'BAD_MESSAGE' } }, { status: 400 }),
    () => Response.json(granted, { status: 201 }),
  );
  expect(await requestCall('access')).toEqual(granted);
  expect(asked.map(({ body }) => body)).toEqual([{}, { userId: 'console' }]);
});

it.each([
  ['a token that is not taken', () => new Response('{}', { status: 401 }), /not taken/],
  ['a token for something else', () => new Response('{}', { status: 403 }), /allows no call/],
  ['too many requests', () => new Response('{}', { status: 429 }), /refused/],
  ['a service that is not set up', () => new Response('oops', { status: 503 }), /No call/],
  ['an answer that is none', () => Response.json(['x'], { status: 201 }), /No call/],
  ['no answer', () => Promise.reject(new TypeError('no network')), /cannot be reached/],
])('%s is explained', async (_, answer, title) => {
  answering(answer);
  const error = await requestCall('access').catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(AccessError);
  expect((error as AccessError).why).toMatchObject({ kind: 'problem', title: expect.stringMatching(title) });
});
