import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  ask,
  begin,
  connected,
  databaseIs,
  expectDeliveredOnce,
  greeting,
  hangUp,
  nextId,
  question,
  ringAfter,
  untilTried,
} from './outage-support.ts';
import { database, scriptVendor } from './support.ts';

const answer = 'We close at half past five.';
const said = [greeting, question, answer];

/** The database is a real one; the service reaches it through a proxy that fails. */
beforeAll(() => databaseIs('none'));
afterEach(async () => {
  vi.restoreAllMocks();
  await databaseIs('none');
});

/** The service waits a hundredth of the time for the database: an answer that never comes is not worth waiting for. */
function shortTimeouts(): void {
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => timeout(ms / 100));
}

const rowOf = async (callId: string) =>
  (await database().from('call_logs').select('*').eq('call_id', callId).maybeSingle()).data;

describe('a database that is down', () => {
  it.each(['down', 'reset', 'status 500', 'status 503', 'status 429', 'cut', 'hang', 'late'] as const)(
    'from before the call until after it (%s): the caller hears nothing of it, and all of it arrives once',
    async (fault) => {
      scriptVendor({ transcripts: [question], answer });
      shortTimeouts();
      await databaseIs(fault);
      const callId = nextId();
      const client = await connected(callId);
      await begin(client, callId);
      await ask(client);
      await hangUp(client);
      const errors = client.ofType('error');
      await untilTried(callId, ['log cost', 'log ended', 'log started']);
      // For hours.
      for (let hour = 1; hour <= 3; hour++) await ringAfter(callId, hour * 3_600_000);
      await untilTried(callId, ['log cost', 'log ended', 'log started']);
      // What the answer did not tell was carried out all the same.
      const carriedOut = fault === 'late' || fault === 'cut';
      expect(await rowOf(callId)).toEqual(carriedOut ? expect.objectContaining({ status: 'ended' }) : null);
      await databaseIs('none');
      await expectDeliveredOnce(callId, said);
      expect(errors).toEqual([]);
    },
  );

  it('at the start of a call has its row as soon as it is back', async () => {
    scriptVendor({ transcripts: [question], answer });
    await databaseIs('down');
    const callId = nextId();
    const client = await connected(callId);
    await begin(client, callId);
    await untilTried(callId, ['log started']);
    expect(await rowOf(callId)).toBeNull();
    await databaseIs('none');
    await ask(client);
    await vi.waitFor(async () => expect((await rowOf(callId))?.status).toBe('active'), {
      timeout: 10_000,
      interval: 100,
    });
    await hangUp(client);
    await expectDeliveredOnce(callId, said);
  });

  it('in the middle has the transcript of the call in progress when it is back', async () => {
    scriptVendor({ transcripts: [question, question], answer });
    const callId = nextId();
    const client = await connected(callId);
    await begin(client, callId);
    await vi.waitFor(async () => expect((await rowOf(callId))?.status).toBe('active'), { timeout: 5_000 });
    await databaseIs('status 503');
    await ask(client);
    await untilTried(callId, ['log conversation']);
    await databaseIs('none');
    await ask(client);
    const written = async () =>
      (await database().from('call_turns').select('text').eq('call_id', callId).order('position')).data;
    await vi.waitFor(
      async () => expect((await written())?.map(({ text }) => text)).toEqual([...said, question, answer]),
      { timeout: 10_000, interval: 100 },
    );
    await hangUp(client);
    await expectDeliveredOnce(callId, [...said, question, answer]);
  });

  it('at the end, and for longer than the call was, has all of it in the end', async () => {
    scriptVendor({ transcripts: [question], answer });
    const callId = nextId();
    const client = await connected(callId);
    await begin(client, callId);
    await ask(client);
    await databaseIs('down');
    await hangUp(client);
    await vi.waitFor(async () => expect((await rowOf(callId))?.status).toBe('active'));
    for (let hour = 1; hour <= 48; hour += 8) await ringAfter(callId, hour * 3_600_000);
    expect((await rowOf(callId))?.status).toBe('active');
    await databaseIs('none');
    await expectDeliveredOnce(callId, said);
  });

  it.each(['call_started', 'call_ended'])(
    'for %s alone, carried out and never answered: the repeat changes nothing',
    async (name) => {
      scriptVendor({ transcripts: [question], answer });
      shortTimeouts();
      await databaseIs('late', name);
      const callId = nextId();
      const client = await connected(callId);
      await begin(client, callId);
      await ask(client);
      await hangUp(client);
      await vi.waitFor(async () => expect(await databaseIs('late', name)).toBeGreaterThan(1), {
        timeout: 10_000,
        interval: 100,
      });
      await databaseIs('none', name);
      await expectDeliveredOnce(callId, said);
    },
  );
});
