import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { httpTool, httpToolSchema, httpToolsSchema } from '../../../src/tools/http-tool.ts';
import type { ToolCallFacts, ToolResult, ToolRun } from '../../../src/tools/tool.ts';
import { ToolBox } from '../../../src/tools/tool-box.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  type Answer,
  body,
  HttpDouble,
  hang,
  json,
  jsonOf,
  refuse,
  stream,
} from '../../support/http-double.ts';

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const call: ToolCallFacts = {
  callId: 'call-1',
  userId: 'user-1',
  campaignId: 'campaign-1',
  phoneNumber: '+14155550100',
  startTime: 1_700_000_000_000,
  metadata: { token: 'not for the tool' },
};

let double: HttpDouble;
let clock: FakeClock;
let recorded: ToolRun[];
beforeEach(async () => {
  double = await HttpDouble.start();
  clock = new FakeClock(Date.now());
  recorded = [];
});
afterEach(async () => {
  expect(double.unexpected).toEqual([]);
  expect(clock.pending).toBe(0);
  await double.close();
});

const configuration = (settings: object = {}) => ({
  name: 'book',
  description: 'Books a table.',
  parameters: { type: 'object', properties: { day: { type: 'string' } }, required: ['day'] },
  url: `${double.baseUrl}/book`,
  headers: { Authorization: 'Bearer hunter2' },
  ...settings,
});

function box(settings?: object, trace?: NonNullable<Parameters<typeof httpTool>[1]['trace']>): ToolBox {
  const tool = httpTool(httpToolSchema.parse(configuration(settings)), {
    secrets: [secret],
    clock,
    ...(trace === undefined ? {} : { trace }),
    random: { id: () => 'id', fraction: () => 0.5 },
  });
  return new ToolBox({
    tools: [tool],
    call,
    actions: { hangUp: () => {}, transfer: () => false, pressDigits: () => false },
    clock,
    onRun: (run) => recorded.push(run),
    onError: (error) => expect.fail(`not for the log: ${String(error)}`),
  });
}

const friday = { id: 'request-1', name: 'book', arguments: '{"day":"Friday"}' };
const book = (settings?: object): Promise<ToolResult> => box(settings).run(friday);
const script = (...answers: Answer[]) => double.script('/book', ...answers);
const refusal = (status: number, headers: Record<string, string> = {}, content = ''): Answer => {
  return (_, response) => void response.writeHead(status, headers).end(content);
};

/** Resolves once the pause after a failed attempt has begun: the tool's own time is the other timer. */
const pause = () => vi.waitUntil(() => clock.pending === 2, { interval: 1 });

describe('a tool over HTTP', () => {
  it("is asked by a request that the standard's own library accepts", async () => {
    script(json({ number: 7 }));
    expect(await book()).toEqual({ ok: true, content: '{"number":7}' });
    const [request] = double.requests;
    expect(request!.method).toBe('POST');
    expect(request!.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: 'Bearer hunter2',
      'webhook-id': recorded[0]!.idempotencyKey,
    });
    expect(new Webhook(secret).verify(request!.body.toString(), request!.headers)).toEqual({
      call: {
        callId: 'call-1',
        userId: 'user-1',
        campaignId: 'campaign-1',
        phoneNumber: '+14155550100',
        startTime: '2023-11-14T22:13:20.000Z',
      },
      tool: 'book',
      arguments: { day: 'Friday' },
    });
  });

  it('is not asked at all for arguments that do not fit', async () => {
    const result = await box().run({ ...friday, arguments: '{"day":7}' });
    expect(result).toEqual({ ok: false, content: expect.stringContaining('day: ') });
    expect(double.requests).toEqual([]);
  });

  it('may answer in plain text, in JSON of its own type, in pieces, or not at all', async () => {
    const euro = Buffer.from('1 €');
    script(
      body(' Booked.\n', 'text/plain; charset=utf-8'),
      body('{"a":1}', 'application/vnd.book+json'),
      stream([euro.subarray(0, 3), euro.subarray(3)], 'text/plain'),
      refusal(204),
      body('', 'text/plain'),
    );
    const contents: string[] = [];
    for (let i = 0; i < 5; i++) contents.push((await book()).content);
    expect(contents).toEqual(['Booked.', '{"a":1}', '1 €', 'Done.', 'Done.']);
  });

  it('is not quoted where it answers a web page', async () => {
    script(body('<html>', 'text/html'));
    expect(await book()).toEqual({
      ok: false,
      content: "The tool's server answered neither JSON nor plain text.",
    });
  });
});

describe('the trace of a call', () => {
  it('is told to the tool’s server: each attempt belongs to the one run', async () => {
    script(refusal(503), json({ number: 7 }));
    const trace = {
      traceparentFor: (key: string) => `00-${'a'.repeat(32)}-${key.slice(-4).padStart(16, '0')}-01`,
    };
    const result = box({}, trace).run(friday);
    await pause();
    await clock.advance(200);
    await result;
    const expected = trace.traceparentFor(recorded[0]!.idempotencyKey!);
    expect(double.requests.map(({ headers }) => headers.traceparent)).toEqual([expected, expected]);
  });

  it('is not where the call has none', async () => {
    script(json({ number: 7 }));
    await box({}, { traceparentFor: () => null }).run(friday);
    expect(double.requests[0]!.headers).not.toHaveProperty('traceparent');
  });
});

describe('a tool over HTTP that fails', () => {
  it.each([429, 502, 503, 504])(
    'does not book twice: after status %i it is asked again under the same id',
    async (status) => {
      script(refusal(status), refusal(status), json({ number: 7 }));
      const result = book();
      await pause();
      await clock.advance(200);
      await double.received(1);
      await pause();
      await clock.advance(400);
      expect(await result).toEqual({ ok: true, content: '{"number":7}' });
      const [first, ...others] = double.requests;
      for (const other of others) {
        expect(other.headers['webhook-id']).toBe(first!.headers['webhook-id']);
        expect(other.body).toEqual(first!.body);
        expect(jsonOf(other)).toHaveProperty('tool');
      }
      expect(others).toHaveLength(2);
    },
  );

  it('signs each attempt with its own time, or a slow one would be taken for a replay', async () => {
    script(refusal(503, { 'retry-after': '3' }), json({}));
    const result = book();
    await pause();
    await clock.advance(2_999);
    expect(double.requests).toHaveLength(1);
    await clock.advance(1);
    await result;
    const [first, second] = double.requests;
    const seconds = (request: typeof first) => Number(request!.headers['webhook-timestamp']);
    expect(seconds(second) - seconds(first)).toBe(3);
    new Webhook(secret).verify(second!.body.toString(), second!.headers);
  });

  it('is asked at most three times', async () => {
    script(refusal(503), refuse(), refusal(503));
    const result = book();
    await pause();
    await clock.advance(200);
    await double.received(1);
    await pause();
    await clock.advance(400);
    expect(await result).toEqual({ ok: false, content: "The tool's server answered with status 503." });
    expect(double.requests).toHaveLength(3);
  });

  it('is asked again after an answer that broke off in the middle', async () => {
    script(stream(['{"numb'], 'application/json', 'cut'), json({ number: 7 }));
    const result = book();
    await pause();
    await clock.advance(200);
    expect(await result).toEqual({ ok: true, content: '{"number":7}' });
  });

  it('is told to the model where there is no server', async () => {
    const tools = box();
    await double.close();
    const result = tools.run(friday);
    for (const ms of [200, 400]) {
      await pause();
      await clock.advance(ms);
    }
    expect(await result).toEqual({ ok: false, content: "The tool's server cannot be reached." });
    double = await HttpDouble.start();
  });

  it.each([400, 404, 409, 422, 500])('is not asked again after status %i', async (status) => {
    script(refusal(status));
    expect(await book()).toEqual({ ok: false, content: `The tool's server answered with status ${status}.` });
    expect(double.requests).toHaveLength(1);
  });

  it('tells the model the reason of a refusal, cut, so that it can ask for something else', async () => {
    script(refusal(409, { 'content-type': 'text/plain' }, `Friday is full.${'!'.repeat(5_000)}`));
    const { content } = await book();
    expect(content).toMatch(/^The tool's server answered with status 409: Friday is full\.!/);
    expect(content.length).toBeLessThan(600);
  });

  it.each([401, 403, 500])(
    'does not tell the model of credentials or of what broke inside: %i',
    async (status) => {
      script(refusal(status, { 'content-type': 'text/plain' }, 'Bearer hunter2 is wrong at db.ts:7'));
      expect((await book()).content).toBe(`The tool's server answered with status ${status}.`);
    },
  );

  it.each([301, 302, 307, 308])(
    'is not followed elsewhere, with the caller in the body: status %i',
    async (status) => {
      script(refusal(status, { location: `${double.baseUrl}/elsewhere` }));
      expect(await book()).toEqual({
        ok: false,
        content: `The tool's server answered with status ${status}.`,
      });
      expect(double.requests).toHaveLength(1);
    },
  );
});

describe('a tool over HTTP that does not end', () => {
  it('is given up in its time, and its connection let go', async () => {
    script(hang());
    const result = book({ timeoutMs: 4_000 });
    const request = await double.received(0);
    await clock.advance(4_000);
    expect((await result).content).toContain('No answer within 4 seconds');
    await request.gone;
  });

  it('is given up in its time in the middle of the answer', async () => {
    script(stream(['{'], 'application/json', 'hang'));
    const result = book({ timeoutMs: 4_000 });
    const request = await double.received(0);
    await clock.advance(4_000);
    expect((await result).ok).toBe(false);
    await request.gone;
  });

  it('is given up in its time while it waits to ask again', async () => {
    script(refusal(503, { 'retry-after': '5' }));
    const result = book({ timeoutMs: 4_000 });
    await pause();
    await clock.advance(4_000);
    expect((await result).content).toContain('No answer within 4 seconds');
    expect(double.requests).toHaveLength(1);
  });

  it('is let go when the call ends', async () => {
    script(hang());
    const tools = box();
    const result = tools.run(friday);
    const request = await double.received(0);
    tools.close();
    expect((await result).content).toContain('The call ended first');
    await request.gone;
  });

  it('does not fill the memory: an answer is read no further than it may be long', async () => {
    script(stream(Array(9).fill('x'.repeat(1_024)), 'text/plain', 'hang'));
    expect(await book({ repeatable: true })).toEqual({
      ok: false,
      content: 'The answer is longer than 8192 bytes. Ask for less.',
    });
    await double.requests[0]!.gone;
  });
});

describe('the configuration of a tool over HTTP', () => {
  it('has defaults that are safe: never twice, in ten seconds', () => {
    const { method, timeoutMs, repeatable } = httpToolSchema.parse(configuration());
    expect({ method, timeoutMs, repeatable }).toEqual({
      method: 'POST',
      timeoutMs: 10_000,
      repeatable: false,
    });
    expect(httpTool(httpToolSchema.parse(configuration()), { secrets: [secret] }).repeat).toBe('once');
  });

  it.each([
    'https://example.com/tool?key=1',
    'https://[2001:db8::1]:8443/',
    'http://localhost:8787/x',
    'http://127.0.0.1/x',
    'http://[::1]:1/x',
  ])('takes the address %s', (url) => {
    expect(httpToolSchema.safeParse(configuration({ url })).success).toBe(true);
  });

  it.each([
    ['http://example.com/', 'https://'],
    ['http://127.0.0.1.example.com/', 'https://'],
    ['http://localhost.example.com/', 'https://'],
    ['http://localhost@example.com/', 'https://'],
    ['ftp://example.com/', 'https://'],
    ['javascript:alert(1)', 'https://'],
    ['https://user:secret@example.com/', 'password'],
    ['https://example.com/#x', 'fragment'],
    ['https://example.com/{day}', 'template'],
    ['example.com', 'no URL'],
  ])('refuses the address %s', (url, message) => {
    expect(httpToolSchema.safeParse(configuration({ url })).error?.message).toContain(message);
  });

  it.each([
    { 'Webhook-Id': 'mine' },
    { 'webhook-signature': 'v1,x' },
    { Host: 'internal' },
    { Traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
    { 'Content-Length': '0' },
    { 'X-A': 'a\r\nX-B: b' },
    { 'X A': 'a' },
    { 'X-A': 'é' },
    Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`x-${i}`, 'a'])),
  ])('refuses headers that would break or forge a request: %j', (headers) => {
    expect(httpToolSchema.safeParse(configuration({ headers })).success).toBe(false);
  });

  it.each([
    { name: 'book a table' },
    { name: 'hang_up' },
    { description: '' },
    { method: 'GET' },
    { timeoutMs: 61_000 },
    { secret: 'x' },
  ])('refuses %j', (settings) => {
    expect(httpToolSchema.safeParse(configuration(settings)).success).toBe(false);
  });

  it('refuses two tools of one name, with which no call could begin', () => {
    const two = [configuration(), configuration({ description: 'Books it again.' })];
    expect(httpToolsSchema.safeParse(two).error?.message).toContain('one name');
    expect(httpToolsSchema.safeParse([two[0], configuration({ name: 'other' })]).success).toBe(true);
  });

  it('says which word of the JSON Schema is not kept', () => {
    const parameters = { type: 'object', properties: { day: { type: 'string', maxLenght: 3 } } };
    const [issue] = httpToolSchema.safeParse(configuration({ parameters })).error!.issues;
    expect(issue!.path).toEqual(['parameters', 'properties', 'day']);
    expect(issue!.message).toContain('"maxLenght"');
  });

  it('refuses to send anything unsigned', () => {
    const settings = httpToolSchema.parse(configuration());
    expect(() => httpTool(settings, { secrets: [] })).toThrow('tool book');
    expect(() => httpTool(settings, { secrets: [secret, 'plain'] })).toThrow('tool book');
  });
});
