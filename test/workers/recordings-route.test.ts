import { beforeAll, describe, expect, it } from 'vitest';
import { router } from '../../src/router.ts';
import { bindings, database } from './support.ts';

const callId = `heard-${crypto.randomUUID()}`;
const key = `recordings/2026/11/21/${callId}.wav`;
const bytes = Uint8Array.from({ length: 1_000 }, (_, i) => i % 251);

beforeAll(async () => {
  await bindings.RECORDINGS.put(key, bytes, { httpMetadata: { contentType: 'audio/wav' } });
  const row = (id: string, recording: string | null) => ({
    call_id: id,
    user_id: 'user-1',
    start_time: new Date(0).toISOString(),
    recording,
  });
  const { error } = await database()
    .from('call_logs')
    .insert([
      row(callId, key),
      row(`${callId}.unrecorded`, null),
      row(`${callId}.deleted`, `${key}.gone`),
      row(`${callId}.elsewhere`, 'secrets/key'),
      row('0031', key),
    ]);
  expect(error).toBeNull();
});

const ask = (id: string, headers: Record<string, string> = {}, method = 'GET', env: object = bindings) =>
  Promise.resolve(router.request(`http://localhost/api/v1/recordings/${id}`, { method, headers }, env));

const bodyOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());
const codeOf = async (response: Response) => (await response.json<{ error: { code: string } }>()).error.code;

describe('GET /api/v1/recordings/{callId}', () => {
  it('is the recording, for no shared cache', async () => {
    const response = await ask(callId);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'audio/wav',
      'content-length': '1000',
      'accept-ranges': 'bytes',
      'cache-control': 'private, no-cache',
      'content-disposition': `inline; filename="${callId}.wav"`,
      etag: expect.stringMatching(/^"/),
    });
    expect(await bodyOf(response)).toEqual(bytes);
  });

  it.each([
    ['bytes=0-9', 0, 10],
    ['bytes=990-', 990, 10],
    ['bytes=-5', 995, 5],
    ['bytes=990-2000', 990, 10],
  ])('sends the range %s', async (range, from, length) => {
    const response = await ask(callId, { Range: range });
    expect(response.status).toBe(206);
    expect(response.headers.get('Content-Range')).toBe(`bytes ${from}-${from + length - 1}/1000`);
    expect(response.headers.get('Content-Length')).toBe(String(length));
    expect(await bodyOf(response)).toEqual(bytes.subarray(from, from + length));
  });

  it('refuses a range behind the end, as JSON', async () => {
    const response = await ask(callId, { Range: 'bytes=1000-' });
    expect(response.status).toBe(416);
    expect(response.headers.get('Content-Range')).toBe('bytes */1000');
    expect(await codeOf(response)).toBe('RANGE_NOT_SATISFIABLE');
  });

  it('sends the whole where the range is of another recording', async () => {
    const etag = (await ask(callId)).headers.get('ETag')!;
    const same = await ask(callId, { Range: 'bytes=0-9', 'If-Range': etag });
    expect(same.status).toBe(206);
    const other = await ask(callId, { Range: 'bytes=0-9', 'If-Range': '"another"' });
    expect([other.status, (await bodyOf(other)).length]).toEqual([200, 1000]);
  });

  it('is not sent again to who has it', async () => {
    const etag = (await ask(callId)).headers.get('ETag')!;
    const response = await ask(callId, { 'If-None-Match': etag });
    expect(response.status).toBe(304);
    expect((await bodyOf(response)).length).toBe(0);
    expect((await ask(callId, { 'If-None-Match': '"another"' })).status).toBe(200);
  });

  it('answers HEAD with the size alone', async () => {
    const response = await ask(callId, { Range: 'bytes=0-9' }, 'HEAD');
    expect(response.status).toBe(200);
    expect(response.headers.get('Content-Length')).toBe('1000');
    expect((await bodyOf(response)).length).toBe(0);
  });

  it.each([
    ['of a call that was not recorded', `${callId}.unrecorded`],
    ['that has been deleted', `${callId}.deleted`],
    ['of a call that nobody knows', `${callId}.unknown`],
  ])('%s is not there', async (_, id) => {
    const response = await ask(id);
    expect(response.status).toBe(404);
    expect(await codeOf(response)).toBe('NOT_FOUND');
  });

  it('never sends what is no recording, whatever the row says', async () => {
    await bindings.RECORDINGS.put('secrets/key', 'secret');
    expect((await ask(`${callId}.elsewhere`)).status).toBe(503);
  });

  it('takes no id for a number', async () => {
    expect((await ask('0031')).status).toBe(200);
    expect((await ask('31')).status).toBe(404);
  });

  it('refuses what is no call id', async () => {
    const response = await ask('..%2F..%2Fsecrets');
    expect(response.status).toBe(400);
    expect(await codeOf(response)).toBe('BAD_MESSAGE');
  });

  it.each([
    ['hangs', () => new Promise(() => {})],
    ['fails', () => Promise.reject(new Error('internal error (10001)'))],
  ])('says so when the bucket %s', async (_, head) => {
    const response = await ask(callId, {}, 'GET', { ...bindings, RECORDINGS: { head } });
    expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '5']);
    expect(await codeOf(response)).toBe('INTERNAL_ERROR');
  });

  it('says so when the database does not answer', async () => {
    const env = { ...bindings, SUPABASE_URL: 'http://127.0.0.1:9' };
    const response = await ask(callId, {}, 'GET', env);
    expect(response.status).toBe(503);
    expect(await codeOf(response)).toBe('INTERNAL_ERROR');
  });
});
