import { expect, it } from 'vitest';
import { eventStream } from '../../../src/providers/bedrock/event-stream.ts';
import { chunk } from '../../support/bedrock-double.ts';

const { signal } = new AbortController();

async function count(...pieces: Uint8Array[]): Promise<number> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  let messages = 0;
  for await (const _ of eventStream('bedrock/model', body, signal)) messages++;
  return messages;
}

it('reads one message after the other, and none from an empty body', async () => {
  expect(await count()).toBe(0);
  expect(await count(chunk(1), chunk(2))).toBe(2);
});

it('does not take a body that ends within a message, or within its length, for a whole one', async () => {
  for (const bytes of [3, 4, 20]) {
    const cut = count(chunk(1), chunk(2).subarray(0, bytes));
    await expect(cut).rejects.toMatchObject({ name: 'ProviderError', failure: 'unavailable' });
  }
});

it('lets go of the body when it is malformed', async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(16)),
    cancel() {
      cancelled = true;
    },
  });
  const read = async () => {
    for await (const _ of eventStream('bedrock/model', body, signal)) expect.unreachable();
  };
  await expect(read()).rejects.toMatchObject({ failure: 'malformed' });
  expect(cancelled).toBe(true);
});
