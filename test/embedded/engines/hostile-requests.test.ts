import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import OpenAI, { APIUserAbortError } from 'openai';
import { expect, test } from 'vitest';
import { startEngines } from '../../../embedded/engines/engines.ts';
import { apiKey, useEngines, wavFile } from './support.ts';

const logged: string[] = [];
/** Waiting for a line of the server's log. */
let onLog = () => {};
const server = useEngines({
  wordDelayMs: 50,
  log: (line) => {
    logged.push(line);
    onLog();
  },
});

const auth = { authorization: `Bearer ${apiKey}` };

async function loggedLine(pattern: RegExp): Promise<string> {
  for (;;) {
    const found = logged.find((line) => pattern.test(line));
    if (found !== undefined) return found;
    await new Promise<void>((resolve) => {
      onLog = resolve;
    });
  }
}

async function post(path: string, body: string | FormData, headers: Record<string, string> = {}) {
  const response = await fetch(server.engines.url + path, {
    method: 'POST',
    body,
    headers: { ...auth, ...headers },
  });
  const json = (await response.json()) as {
    error: { message: string; param: string | null; code: string | null };
  };
  return { status: response.status, error: json.error };
}

test('health needs no key and is good only after the engines have answered', async () => {
  const engines = await startEngines({ apiKey });
  try {
    const early = await fetch(`${engines.url}/healthz`);
    expect([early.status, await early.json()]).toEqual([503, { status: 'loading' }]);
    await engines.ready;
    const late = await fetch(`${engines.url}/healthz`);
    expect([late.status, await late.json()]).toEqual([200, { status: 'ok' }]);
  } finally {
    await engines.close();
  }
});

test('a request during the start is answered when the engines are ready', async () => {
  const engines = await startEngines();
  try {
    const client = new OpenAI({ apiKey: 'any', baseURL: `${engines.url}/v1`, maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'Do you have a car park?' }];
    const completion = await client.chat.completions.create({ model: 'intents', messages });
    expect(completion.choices[0]?.message.content).toMatch(/car park behind the shop/);
  } finally {
    await engines.close();
  }
});

test('closing during the start fails what waits and leaves nothing running', async () => {
  const engines = await startEngines();
  const waiting = fetch(`${engines.url}/v1/chat/completions`, { method: 'POST', body: '{}' }).then(
    () => 'answered',
    () => 'cut',
  );
  await engines.close();
  await expect(engines.ready).rejects.toThrow(/clos/);
  expect(await waiting).toBe('cut');
  await expect(fetch(`${engines.url}/healthz`)).rejects.toThrow();
});

test('a taken port is named in the error', async () => {
  const { port } = server.engines;
  await expect(startEngines({ port })).rejects.toThrow(new RegExp(`${port}.*EADDRINUSE`));
});

test('a missing key, an unknown path and a wrong method have OpenAI-shaped errors', async () => {
  const bare = await fetch(`${server.engines.url}/v1/models`);
  expect(bare.status).toBe(401);
  const { status, error } = await post('/v1/nothing', '{}');
  expect([status, error.code]).toEqual([404, 'unknown_url']);
  expect((await post('/v1/models', '{}')).status).toBe(404);
});

test.each(['', '{"model":', '[]', 'null', '"text"', '\ufeff', '{"a":1}}'])(
  'malformed JSON is a 400: %j',
  async (body) => {
    const { status, error } = await post('/v1/chat/completions', body);
    expect(status).toBe(400);
    expect(error.message).toMatch(/parse the JSON/);
  },
);

test.each([
  ['/v1/chat/completions', {}, 'model'],
  ['/v1/chat/completions', { model: 'intents' }, 'messages'],
  ['/v1/audio/speech', { model: 'flite', voice: 'rms' }, 'input'],
])('%s %j names what is missing', async (path, body, param) => {
  const { status, error } = await post(path, JSON.stringify(body));
  expect([status, error.param, error.code]).toEqual([400, param, 'missing_required_parameter']);
});

test.each([
  { role: 'user' },
  { role: 'user', content: 7 },
  { role: 'emperor', content: 'Hello' },
  { role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] },
  { role: 'user', content: 'x'.repeat(40_000) },
])('a message of the wrong shape is a 400', async (message) => {
  const { status, error } = await post(
    '/v1/chat/completions',
    JSON.stringify({ model: 'intents', messages: [message] }),
  );
  expect(status).toBe(400);
  expect(error.param).toMatch(/^messages/);
});

test('a JSON body that is too large is a 413', async () => {
  const { status } = await post(
    '/v1/chat/completions',
    JSON.stringify({ model: 'x'.repeat(2 * 1024 * 1024) }),
  );
  expect(status).toBe(413);
});

test('a broken multipart form is a 400', async () => {
  const path = '/v1/audio/transcriptions';
  expect((await post(path, 'no form', { 'content-type': 'text/plain' })).status).toBe(400);
  expect((await post(path, 'no form', { 'content-type': 'multipart/form-data' })).status).toBe(400);
  expect(
    (await post(path, '--x\r\ngarbage', { 'content-type': 'multipart/form-data; boundary=x' })).status,
  ).toBe(400);
  const noFile = new FormData();
  noFile.set('model', 'whisper-1');
  const missing = await post(path, noFile);
  expect([missing.status, missing.error.param]).toEqual([400, 'file']);
  const noModel = new FormData();
  noModel.set('file', wavFile(new Int16Array(8000), 8000));
  expect((await post(path, noModel)).error.param).toBe('model');
});

test('a chat stream that the client aborts ends at the server too', async () => {
  const client = server.client();
  const controller = new AbortController();
  const stream = await client.chat.completions.create(
    { model: 'intents', messages: [{ role: 'user', content: 'When are you open?' }], stream: true },
    { signal: controller.signal },
  );
  logged.length = 0;
  const words: string[] = [];
  try {
    for await (const chunk of stream) {
      words.push(chunk.choices[0]?.delta.content ?? '');
      if (words.length === 3) controller.abort();
    }
  } catch (error) {
    expect(error).toBeInstanceOf(APIUserAbortError);
  }
  expect(words.length).toBeLessThan(10);
  await loggedLine(/chat\/completions aborted/);
});

test('speech that the client aborts is not spoken to its end', async () => {
  logged.length = 0;
  const controller = new AbortController();
  const sentence = 'This is one of very many sentences that nobody will wait for. ';
  const response = await server
    .client()
    .audio.speech.create(
      { model: 'flite', voice: 'rms', input: sentence.repeat(60), response_format: 'pcm' },
      { signal: controller.signal },
    );
  await response.body!.getReader().read();
  controller.abort();
  await loggedLine(/audio\/speech aborted/);
  const again = await server
    .client()
    .audio.speech.create({ model: 'flite', voice: 'rms', input: 'Hello.', response_format: 'pcm' });
  expect((await again.arrayBuffer()).byteLength).toBeGreaterThan(10_000);
});

test('an upload that is cut leaves the server well', async () => {
  logged.length = 0;
  const upload = httpRequest(`${server.engines.url}/v1/audio/transcriptions`, {
    method: 'POST',
    headers: { ...auth, 'content-type': 'multipart/form-data; boundary=x', 'content-length': '1000000' },
  });
  upload.on('error', () => {});
  upload.write('--x\r\n');
  await once(upload, 'socket').then(([socket]) => once(socket, 'connect'));
  await new Promise<void>((resolve) => upload.write('more', () => resolve()));
  upload.destroy();
  await loggedLine(/transcriptions aborted/);
  expect((await fetch(`${server.engines.url}/healthz`)).status).toBe(200);
});

test('what is no HTTP leaves the server well', async () => {
  const socket = connect(server.engines.port, '127.0.0.1');
  socket.write('\u0000\u0001 nonsense\r\n\r\n');
  socket.resume();
  await once(socket, 'close');
  expect((await fetch(`${server.engines.url}/healthz`)).status).toBe(200);
});

test('too many requests at once are refused with 429, the others answered', async () => {
  const body = JSON.stringify({ model: 'flite', voice: 'kal', input: 'One.', response_format: 'pcm' });
  const statuses = await Promise.all(
    Array.from({ length: 150 }, async () => {
      const response = await fetch(`${server.engines.url}/v1/audio/speech`, {
        method: 'POST',
        body,
        headers: auth,
      });
      await response.arrayBuffer();
      return response.status;
    }),
  );
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(72);
});
