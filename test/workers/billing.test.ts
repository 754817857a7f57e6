import { reset, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CallSessionDO } from '../../src/CallSessionDO.ts';
import { anonymous } from '../../src/call/principal.ts';
import { SqliteJournal } from '../../src/durable/sqlite-journal.ts';
import { migrate } from '../../src/durable/storage.ts';
import type { Env } from '../../src/env.ts';
import { writeLegRequest } from '../../src/http/leg-request.ts';
import { bindings, database, scriptVendor, TestClient } from './support.ts';

beforeAll(() => reset());
afterEach(() => vi.restoreAllMocks());

const newId = (what: string) => `${what}-${crypto.randomUUID()}`;

/** An account with a balance, and 0.01 a second. */
async function newAccount(balance: number): Promise<string> {
  const id = newId('payer');
  const { error } = await database().from('users').insert({ id, price_per_second: 0.01 });
  expect(error).toBeNull();
  if (balance > 0) {
    const payment = { of_user: id, amount: balance, payment: `first of ${id}` };
    expect((await database().rpc('top_up_user', payment)).error).toBeNull();
  }
  return id;
}

async function accountOf(id: string) {
  const { data } = await database().from('users').select('balance, reserved').eq('id', id).single();
  return data as { balance: number; reserved: number };
}

async function movementsOf(id: string): Promise<string[]> {
  const { data } = await database().from('payment_transactions').select('kind').eq('user_id', id).order('id');
  return (data ?? []).map(({ kind }) => kind as string);
}

async function rowOf(callId: string) {
  const { data } = await database()
    .from('call_logs')
    .select('status, end_reason, duration_seconds, call_failures(code)')
    .eq('call_id', callId)
    .maybeSingle();
  return data;
}

/** A call to an object whose Worker has billing on. Everything that is done with its socket happens in there. */
async function paidCall(
  options: {
    settings?: Record<string, string>;
    userId: string;
    campaignId?: string;
    /** Looks at the object's storage after the close. */
    afterwards?: (storage: DurableObjectStorage) => Promise<void>;
  },
  converse: (client: TestClient, callId: string) => Promise<void>,
): Promise<string> {
  const callId = newId('paid');
  const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
  await runInDurableObject(stub, async (_, state) => {
    const env = { ...bindings, BILLING: 'true', PRICE_PER_SECOND: '1', ...options.settings } as Env;
    const object = new CallSessionDO(state, env);
    const request = new Request('http://service.test/', { headers: { Upgrade: 'websocket' } });
    const leg = { callId, dialect: 'call-session', bound: true, principal: anonymous };
    const response = await object.fetch(writeLegRequest(request, leg));
    const client = TestClient.on(response.webSocket!);
    const { userId, campaignId } = options;
    client.send({
      type: 'start_call',
      callId,
      userId,
      metadata: campaignId === undefined ? {} : { campaignId },
    });
    await converse(client, callId);
    await client.until((c) => c.closed !== null, 'the close');
    await options.afterwards?.(state.storage);
  });
  return callId;
}

const settled = (userId: string) =>
  vi.waitFor(async () => expect(await movementsOf(userId)).toContain('settle'), {
    timeout: 15_000,
    interval: 100,
  });

describe('a call that is paid for', () => {
  it('sets its price aside, is charged by the second when it has ended, and only once', async () => {
    scriptVendor();
    const userId = await newAccount(10);
    const callId = await paidCall({ userId }, async (client) => {
      await client.untilStatus('Listening');
      expect(await accountOf(userId)).toEqual({ balance: 10, reserved: 3 });
      client.send({ type: 'end_call' });
    });
    await settled(userId);
    const row = await vi.waitFor(async () => {
      const row = await rowOf(callId);
      expect(row).toMatchObject({ status: 'ended', end_reason: 'hangup', call_failures: [] });
      return row!;
    });
    const cost = Math.ceil(Number(row.duration_seconds)) / 100;
    expect(await accountOf(userId)).toEqual({ balance: Number((10 - cost).toFixed(4)), reserved: 0 });
    expect(await movementsOf(userId)).toEqual(['top_up', 'reserve', 'settle']);
  });

  it('is refused where the account cannot pay, and leaves no trace of a call', async () => {
    scriptVendor();
    const userId = await newAccount(0.29);
    // Who cannot pay could else fill the storage with objects: a database whose last entry was deleted still has its pages.
    const untouched = bindings.CALL_SESSION.get(bindings.CALL_SESSION.newUniqueId());
    const empty = await runInDurableObject(untouched, (_, { storage }) => storage.sql.databaseSize);
    const afterwards = (storage: DurableObjectStorage) =>
      vi.waitFor(() => expect(storage.sql.databaseSize).toBe(empty));
    const callId = await paidCall({ userId, afterwards }, async (client) => {
      await client.until((c) => c.closed !== null, 'the refusal');
      expect(client.ofType('error').map(({ code }) => code)).toEqual(['INSUFFICIENT_FUNDS']);
      expect(client.closed?.code).toBe(4403);
      expect(client.ofType('audio_response')).toEqual([]);
    });
    expect(await rowOf(callId)).toBeNull();
    expect(await movementsOf(userId)).toEqual(['top_up']);
  });

  it('ends when what was paid for is over', async () => {
    scriptVendor();
    const userId = await newAccount(0.02);
    const callId = await paidCall({ userId, settings: { BILLING_LEAST_SECONDS: '1' } }, async (client) => {
      await client.until((c) => c.closed !== null, 'the end of the money');
      expect(client.ofType('error').at(-1)?.code).toBe('INSUFFICIENT_FUNDS');
      expect(client.closed).toEqual({ code: 4402, reason: 'funds used up' });
    });
    await settled(userId);
    expect(await accountOf(userId)).toEqual({ balance: 0, reserved: 0 });
    await vi.waitFor(async () => expect(await rowOf(callId)).toMatchObject({ end_reason: 'funds used up' }));
  });
});

describe('where the database does not answer when a call begins', () => {
  it('is taken without a reservation, says so in its record, and is charged at its end', async () => {
    scriptVendor({ down: ['reserve_call'] });
    const userId = await newAccount(10);
    const callId = await paidCall({ userId }, async (client) => {
      await client.untilStatus('Listening');
      expect(client.ofType('error')).toEqual([]);
      client.send({ type: 'end_call' });
    });
    await settled(userId);
    expect(await movementsOf(userId)).toEqual(['top_up', 'settle']);
    expect((await accountOf(userId)).balance).toBeLessThan(10);
    await vi.waitFor(async () =>
      expect(await rowOf(callId)).toMatchObject({ call_failures: [{ code: 'UNRESERVED' }] }),
    );
  });

  it('is refused where that is the setting', async () => {
    scriptVendor({ down: ['reserve_call'] });
    const userId = await newAccount(10);
    await paidCall({ userId, settings: { BILLING_WITHOUT_DATABASE: 'refuse' } }, async (client) => {
      await client.until((c) => c.closed !== null, 'the refusal');
      expect(client.ofType('error').map(({ code }) => code)).toEqual(['INTERNAL_ERROR']);
      expect(client.closed?.code).toBe(1011);
    });
    // Whatever became of the request, nothing is set aside.
    await vi.waitFor(async () => expect(await movementsOf(userId)).toEqual(['top_up', 'release']));
    expect(await accountOf(userId)).toEqual({ balance: 10, reserved: 0 });
  });
});

describe('a charge in the outbox', () => {
  it('of a call that its object lost is for the time up to its last trace; delivered again it changes nothing', async () => {
    const userId = await newAccount(10);
    const callId = newId('lost');
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
    const startTime = Date.now() - 600_000;
    const write = (again: boolean) =>
      runInDurableObject(stub, async (_, state) => {
        migrate(state.storage.sql);
        const journal = new SqliteJournal(state.storage.sql);
        const call = {
          callId,
          userId,
          campaignId: null,
          phoneNumber: null,
          startTime,
          metadata: {},
          sampleRate: 8000 as const,
          recording: false,
          chunkSamples: 16_000,
          funds: { limitMs: 300_000 },
        };
        journal.append({ type: 'started', call, resumeToken: 't' });
        const turn = { role: 'caller' as const, text: 'Hello?', startMs: 0, endMs: 61_500 };
        journal.append({ type: 'turn', turn: { ...turn, position: 0, interrupted: false, latency: null } });
        if (again) {
          journal.append({ type: 'ended', reason: 'hangup', status: 'ended', endTime: startTime + 200_000 });
          state.storage.sql.exec("INSERT INTO outbox (delivery, attempts, next_at) VALUES ('payment', 0, 0)");
        }
        // A new instance finds what is there: a call without an end, or deliveries.
        const object = new CallSessionDO(state, { ...bindings, RESUME_GRACE: '0' } as Env);
        await state.storage.setAlarm(Date.now());
        await object.alarm();
      });
    await write(false);
    await settled(userId);
    expect(await accountOf(userId)).toEqual({ balance: 9.38, reserved: 0 });
    await write(true);
    expect(await accountOf(userId)).toEqual({ balance: 9.38, reserved: 0 });
    expect(await movementsOf(userId)).toEqual(['top_up', 'settle']);
  });
});

describe('a campaign in the database', () => {
  async function newCampaign(owner: string): Promise<string> {
    const id = newId('campaign');
    const agent = { greeting: 'Welcome to the campaign.', recording: false };
    const { error } = await database().from('campaigns').insert({ id, user_id: owner, name: 'A', agent });
    expect(error).toBeNull();
    return id;
  }

  it('gives its owner’s calls their agent', async () => {
    scriptVendor();
    const userId = await newAccount(10);
    const campaignId = await newCampaign(userId);
    const callId = await paidCall({ userId, campaignId }, async (client) => {
      await client.untilStatus('Listening');
      expect(client.ofType('audio_response')[0]?.text).toBe('Welcome to the campaign.');
      client.send({ type: 'end_call' });
    });
    await vi.waitFor(async () => {
      const { data } = await database().from('call_logs').select('recording, status').eq('call_id', callId);
      expect(data).toEqual([{ recording: null, status: 'ended' }]);
    });
  });

  it('is no other user’s to call for; what was set aside meanwhile goes back', async () => {
    scriptVendor();
    const owner = await newAccount(10);
    const stranger = await newAccount(10);
    const campaignId = await newCampaign(owner);
    await paidCall({ userId: stranger, campaignId }, async (client) => {
      await client.until((c) => c.closed !== null, 'the refusal');
      expect(client.ofType('error').map(({ code }) => code)).toEqual(['UNAUTHORIZED']);
      expect(client.closed?.code).toBe(4403);
    });
    await vi.waitFor(async () =>
      expect(await movementsOf(stranger)).toEqual(['top_up', 'reserve', 'release']),
    );
    expect(await accountOf(stranger)).toEqual({ balance: 10, reserved: 0 });
  });
});
