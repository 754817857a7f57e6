import { runInDurableObject } from 'cloudflare:test';
import { afterEach, expect, it, vi } from 'vitest';
import {
  ask,
  begin,
  connected,
  expectDeliveredOnce,
  greeting,
  hangUp,
  nextId,
  objectOf,
  question,
} from '../outage-support.ts';
import { scriptVendor } from '../support.ts';

afterEach(() => vi.restoreAllMocks());

it('a database that is full resets the object: its client comes back, and the call goes on from what was written', async () => {
  const answer = 'From nine to half past five.';
  scriptVendor({ transcripts: [question], answer });
  const callId = nextId();
  const client = await connected(callId);
  await begin(client, callId);
  const { resumeToken } = client.ofType('status').find((message) => 'resumeToken' in message) as unknown as {
    resumeToken: string;
  };
  await runInDurableObject(objectOf(callId), (_, { storage }) => {
    // `SqlStorage::setMaxPageCountForTest` in workerd: no page more than there are. For this instance of the object only.
    const sql = storage.sql as SqlStorage & { setMaxPageCountForTest(pages: number): void };
    sql.setMaxPageCountForTest(1);
  });
  // A chunk of the recording needs more pages.
  client.audio(3_000, false);
  await client.until((c) => c.closed !== null, 'the reset');
  expect(client.closed?.code).toBe(1006);

  const again = await connected(callId);
  again.send({
    type: 'start_call',
    callId,
    userId: 'user-1',
    metadata: {},
    features: ['transcript'],
    resumeToken,
  });
  await again.untilStatus('The call goes on');
  await ask(again);
  await hangUp(again);
  await expectDeliveredOnce(callId, [greeting, question, answer]);
});
