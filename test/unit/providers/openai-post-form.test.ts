import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
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
  type StreamEnd,
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

function theirs(settings?: Partial<OpenAiRequests['settings']>): Promise<unknown> {
  const client = createOpenAiClient(requests(settings).settings);
  const body = { file: file(), model: 'gpt-transcribe', response_format: 'json' as const };
  const keywords = ['Calzone', '"Ä"\r\n'];
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
  const { method, path, headers } = request;
  const kind = headers['content-type']?.split(';')[0];
  const told = Object.entries(headers).filter(
    ([name]) => !/^(content-type|content-length|transfer-encoding|user-agent|x-stainless-.*)$/.test(name),
  );
  return { method, path, kind, headers: Object.fromEntries(told), fields };
}

/** What came of a request, as the ports see it. */
async function outcome(request: Promise<unknown>) {
  try {
    return { answer: await request };
  } catch (thrown) {
    const { failure, status, message, retryAfterMs, requestId } = toProviderError(provider, thrown, clock);
    return { failure, status, retryAfterMs, requestId, message };
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
    ['an error of another server', refused(422, '{"detail": "no file"}')],
    ['an error of another server, with a word for it', refused(422, '{"error": "no file"}')],
    ['an error whose message breaks off', refused(401, '{"error": {"mess', {}, 'cut')],
    ['an error that says nothing', (_, response) => void response.writeHead(503).end()],
  ])('has the client’s end with %s', async (_, answer) => {
    double.script(path, answer, answer);
    const end = await outcome(ours());
    expect(end).toEqual(await outcome(theirs()));
  });

  it('counts the status of an answer that never ends, breaks off, or is too long', async () => {
    double.script(
      path,
      refused(429, '{', asked, 'hang'),
      refused(429, '{"error": {"mess', asked, 'cut'),
      refused(502, 'x'.repeat(2_000_000)),
    );
    const limited = { failure: 'rate_limited', status: 429, retryAfterMs: 7_000 };
    const fetching = vi.spyOn(globalThis, 'fetch');
    const late = outcome(ours({ timeoutMs: 900 }));
    await fetching.mock.results[0]!.value;
    fetching.mockRestore();
    await clock.advance(900);
    expect(await late).toMatchObject(limited);
    await double.requests[0]!.gone;
    expect(await outcome(ours())).toMatchObject(limited);
    expect(await outcome(ours())).toMatchObject({ failure: 'unavailable', status: 502 });
  });

  it.each([
    ['JSON that breaks off', '{"text": "4111 1111', 'application/json'],
    ['a text', 'my card is 4111 1111', 'text/plain'],
    ['nothing', '', 'application/json'],
  ])('does not repeat %s', async (_, content, type) => {
    double.script(path, body(content, type));
    const message = `${provider}: answered with no JSON`;
    expect(await outcome(ours())).toMatchObject({ failure: 'malformed', message });
  });

  it('tells nothing of a base address that cannot be asked', async () => {
    const baseUrl = double.baseUrl.replace('://', '://user:secret@');
    expect(await outcome(ours({ baseUrl }))).toMatchObject({ message: `${provider}: Connection error.` });
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

  it.each(['/', '?api-version=preview', '/?api-version=preview'])(
    'takes a base address that ends in %s',
    async (end) => {
      const baseUrl = `${double.baseUrl}${end}`;
      double.script(`${path}${end.replace('/', '')}`, json({ text: 'a' }), json({ text: 'a' }));
      expect(await ours({ baseUrl })).toEqual({ text: 'a' });
      expect(await theirs({ baseUrl })).toEqual({ text: 'a' });
      expect(double.requests).toHaveLength(2);
    },
  );
});

/** An error whose body is cut, or hangs, after what there is of it. */
function refused(
  code: number,
  content: string,
  headers: Record<string, string> = {},
  end: StreamEnd = 'complete',
): Answer {
  return (_, response) => {
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    if (end === 'complete') response.end(content);
    else response.write(content, () => end === 'cut' && response.destroy());
  };
}
