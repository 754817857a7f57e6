import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemRandom } from '../../../src/call/clock.ts';
import { createOpenAiClient, type OpenAiRequests } from '../../../src/providers/openai/client.ts';
import { toProviderError } from '../../../src/providers/openai/errors.ts';
import { postForm } from '../../../src/providers/openai/post-form.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  type Answer,
  body,
  formOf,
  hang,
  json,
  OpenAiDouble,
  type ReceivedRequest,
  refuse,
  status,
  stream,
} from '../../support/openai-double.ts';

const path = '/audio/transcriptions';
const provider = 'openai/gpt-transcribe';
const bytes = Uint8Array.from({ length: 70_001 }, (_, i) => (i * 7919) % 256);
const file = () => new File([bytes], 'speech.wav', { type: 'audio/wav' });

let double: OpenAiDouble;
let clock: FakeClock;
let abort: AbortController;
beforeEach(async () => {
  double = await OpenAiDouble.start();
  clock = new FakeClock();
  abort = new AbortController();
});
afterEach(async () => {
  expect(clock.pending).toBe(0);
  expect(double.unexpected).toEqual([]);
  await double.close();
});

function requests(settings: Partial<OpenAiRequests['settings']> = {}): OpenAiRequests {
  const all = { apiKey: 'the key', baseUrl: double.baseUrl, model: 'gpt-transcribe', ...settings };
  return { provider, settings: all, clock, random: systemRandom };
}

function ours(settings?: Partial<OpenAiRequests['settings']>): Promise<unknown> {
  const form = new FormData();
  form.append('file', file());
  form.append('model', 'gpt-transcribe');
  form.append('response_format', 'json');
  for (const keyword of ['Calzone', '"Ä"\r\n']) form.append('keywords[]', keyword);
  return postForm(requests(settings), path, form, abort.signal);
}

function theirs(settings: Partial<OpenAiRequests['settings']> = {}): Promise<unknown> {
  const client = createOpenAiClient({ ...requests().settings, ...settings });
  const body = { file: file(), model: 'gpt-transcribe', response_format: 'json' as const };
  const keywords = ['Calzone', '"Ä"\r\n'];
  // The signal ends what hangs, as the watchdog of a session does.
  return client.audio.transcriptions.create({ ...body, keywords }, { signal: abort.signal });
}

async function sent(request: ReceivedRequest) {
  const form = await formOf(request);
  const fields = await Promise.all(
    [...form].map(async ([name, value]) => {
      if (typeof value === 'string') return [name, value];
      const sentFile = value as File;
      return [name, sentFile.name, sentFile.type, Buffer.from(await sentFile.arrayBuffer()).toString('hex')];
    }),
  );
  const { authorization, accept } = request.headers;
  const kind = request.headers['content-type']?.split(';')[0];
  return { method: request.method, path: request.path, authorization, accept, kind, fields };
}

/** What came of a request, as the ports see it. */
async function outcome(request: Promise<unknown>) {
  try {
    return { answer: await request };
  } catch (thrown) {
    const { failure, status, message, retryAfterMs, requestId } = toProviderError(provider, thrown, clock);
    // What a runtime says of a connection is its own.
    return { failure, status, retryAfterMs, requestId, message: status === undefined ? '' : message };
  }
}

describe('a form posted to OpenAI', () => {
  it('is what the official client sends', async () => {
    double.script(path, json({ text: 'a' }), json({ text: 'a' }));
    await ours();
    await theirs();
    const [one, other] = await Promise.all(double.requests.map(sent));
    expect(one).toEqual(other);
    expect(one!.fields.map(([name]) => name)).toEqual([
      'file',
      'model',
      'response_format',
      'keywords[]',
      'keywords[]',
    ]);
  });

  const asked = { 'retry-after': '7', 'x-request-id': 'req_1' };
  it.each<[string, Answer]>([
    ['a transcript', json({ text: 'Ärger 🍕', usage: { type: 'duration', seconds: 2 } })],
    ['null', json(null)],
    ['JSON that breaks off', body('{"text": ', 'application/json')],
    ['a connection that breaks off', stream(['{"text": "Hel'], 'application/json', 'cut')],
    ['a connection that is refused', refuse()],
    ['a bad request', status(400, 'Audio file is too short', { 'x-request-id': 'req_1' })],
    ['a wrong key', status(401, 'Incorrect API key provided: the key')],
    ['a file that is too large', status(413)],
    ['too many requests', status(429, 'later', asked)],
    ['too many requests, to the millisecond', status(429, 'later', { ...asked, 'retry-after-ms': '1250.5' })],
    ['a failing server', status(500, 'oops')],
    [
      'a gateway’s page',
      (_, response) => void response.writeHead(502, { 'content-type': 'text/html' }).end('<html>bad'),
    ],
    ['an error that says nothing', (_, response) => void response.writeHead(503).end()],
  ])('has the client’s end with %s', async (_, answer) => {
    double.script(path, answer, answer);
    const end = await outcome(ours());
    expect(end).toEqual(await outcome(theirs()));
  });

  it.each<[string, Answer]>([
    ['before the head', hang()],
    ['within the body', stream(['{"text": "Hel'], 'application/json', 'hang')],
  ])('is given up when its time is over %s, and let go of', async (_, answer) => {
    double.script(path, answer);
    const end = outcome(ours({ timeoutMs: 900 }));
    const received = await double.received(0);
    await clock.advance(900);
    expect(await end).toMatchObject({ failure: 'timeout', status: undefined });
    await received.gone;
  });

  it('throws the signal’s reason, and lets go, when the caller no longer waits', async () => {
    double.script(path, hang());
    const end = ours();
    const received = await double.received(0);
    abort.abort(new Error('the call is over'));
    await expect(end).rejects.toThrow('the call is over');
    await received.gone;
  });

  it('reads no more of an answer than a transcript can have', async () => {
    double.script(path, body(`{"text": "${'x'.repeat(1_100_000)}"}`, 'application/json'));
    expect(await outcome(ours())).toMatchObject({ failure: 'malformed' });
  });

  it('takes a base address with a slash at its end', async () => {
    double.script(path, json({ text: 'a' }));
    expect(await ours({ baseUrl: `${double.baseUrl}/` })).toEqual({ text: 'a' });
  });
});
