import { expect, it } from 'vitest';
import { AsyncQueue } from '../../../src/call/async-queue.ts';
import { claudeReply } from '../../../src/providers/anthropic/claude-reply.ts';
import type { LanguageModelEvent } from '../../../src/providers/ports.ts';
import { Watchdog } from '../../../src/providers/watchdog.ts';
import { message } from '../../support/anthropic-double.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function replyOf() {
  const clock = new FakeClock();
  const watchdog = new Watchdog(clock, new AbortController().signal);
  const events = new AsyncQueue<unknown>();
  watchdog.expect('text', 1_000);
  const seen: LanguageModelEvent[] = [];
  const done = (async () => {
    const options = { provider: 'vendor/model', maxOutputTokens: 50, idleMs: 300, watchdog };
    for await (const event of claudeReply(events, options)) seen.push(event);
  })();
  return { clock, watchdog, events, seen, done };
}

it('is not kept waiting for ever by pings, empty pieces, thinking and blocks that begin', async () => {
  const { clock, watchdog, events } = replyOf();
  const nothings = message({ thinking: 'Hm.', texts: [''] }).slice(0, -2);
  for (let waited = 0; waited < 900; waited += 100) {
    for (const event of nothings) events.push(event);
    await clock.advance(100);
  }
  expect(watchdog.expired).toBeNull();
  await clock.advance(100);
  expect(watchdog.expired).toBe('no text within 1000 ms');
});

it('waits for the rest of a tool call as for text, and for no longer when its pieces are empty', async () => {
  const tools = [{ id: 't1', name: 'look_up', input: ['{', '}'] }];
  const [begin, first] = message({ tools }).slice(2);
  const empty = {
    type: 'content_block_delta',
    index: 0,
    delta: { type: 'input_json_delta', partial_json: '' },
  };
  const { clock, watchdog, events } = replyOf();
  events.push(begin);
  await clock.advance(299);
  events.push(first);
  await clock.advance(299);
  expect(watchdog.expired).toBeNull();
  events.push(empty);
  await clock.advance(1);
  expect(watchdog.expired).toBe('no more text within 300 ms');
});

it('counts what the last event tells anew, and keeps what it leaves out', async () => {
  const { events, seen, done } = replyOf();
  const items = message({ texts: ['Hi'] });
  const counted = { output_tokens: 9, input_tokens: null, cache_read_input_tokens: 6 };
  for (const item of items) events.push(item.type === 'message_delta' ? { ...item, usage: counted } : item);
  events.end();
  await done;
  expect(seen.at(-1)).toMatchObject({ usage: { inputTokens: 11 + 2 + 6, outputTokens: 9 } });
});
