import { describe, expect, it } from 'vitest';
import {
  type LanguageModelEvent,
  ProviderError,
  type TextToSpeechEvent,
  type Usage,
} from '../../../src/providers/ports.ts';
import { withUnreadBills, withUnreadSpeech } from '../../../src/providers/unread-bills.ts';

/** A stream that goes on when the test says so, and ends quietly when its signal fires, as every provider's. */
function scripted<Event>() {
  const steps: ((event: Event | Error | null) => void)[] = [];
  async function* events(signal: AbortSignal): AsyncGenerator<Event, void, void> {
    for (;;) {
      const event = await new Promise<Event | Error | null>((resolve) => {
        steps.push(resolve);
        signal.addEventListener('abort', () => resolve(null));
      });
      if (event === null || signal.aborted) return;
      if (event instanceof Error) throw event;
      yield event;
    }
  }
  const tell = async (event: Event | Error | null) => {
    steps.shift()!(event);
    await settle();
  };
  return { events, tell };
}
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

const request = {
  messages: [
    { role: 'system' as const, content: 'x'.repeat(400) },
    { role: 'user' as const, content: 'y'.repeat(41) },
  ],
  maxOutputTokens: 100,
};
const text = (length: number): LanguageModelEvent => ({ type: 'text', text: 'z'.repeat(length) });
const told: LanguageModelEvent = {
  type: 'usage',
  usage: { provider: 'vendor/model', inputTokens: 9, outputTokens: 9 },
};

/** Starts a reply that somebody reads, and notes the bills that nobody reads. */
function reply() {
  const { events, tell } = scripted<LanguageModelEvent>();
  const controller = new AbortController();
  const bills: Usage[] = [];
  const model = withUnreadBills({ reply: (_request, signal) => events(signal) }, 'vendor/model');
  const seen: string[] = [];
  const read = (async () => {
    const asked = { ...request, onLateBill: (usage: Usage) => bills.push(usage) };
    for await (const event of model.reply(asked, controller.signal)) seen.push(event.type);
  })();
  // Whether it rejects is looked at later.
  read.catch(() => {});
  return { tell, bills, seen, read, abort: () => controller.abort() };
}

const guess = (outputTokens: number) => ({
  provider: 'vendor/model',
  // 441 characters, four a token.
  inputTokens: 111,
  outputTokens,
  estimated: true,
});

describe('a reply whose end nobody waits for', () => {
  it('that was given up before its first word cost what it was asked', async () => {
    const asked = reply();
    asked.abort();
    await asked.read;
    expect(asked.bills).toEqual([guess(0)]);
  });

  it('that was interrupted cost what it had written as well', async () => {
    const asked = reply();
    await asked.tell(text(30));
    await asked.tell({ type: 'toolCall', call: { id: '1', name: 'look_up', arguments: '{}' } });
    asked.abort();
    await asked.read;
    // 30 characters, and 9 of the tool call.
    expect(asked.bills).toEqual([guess(10)]);
  });

  it('is billed at once, also where nobody reads on', async () => {
    const { events, tell } = scripted<LanguageModelEvent>();
    const controller = new AbortController();
    const bills: Usage[] = [];
    const model = withUnreadBills({ reply: (_request, signal) => events(signal) }, 'vendor/model');
    const asked = { ...request, onLateBill: (usage: Usage) => bills.push(usage) };
    const iterator = model.reply(asked, controller.signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    await tell(text(4));
    await first;
    controller.abort();
    expect(bills).toEqual([guess(1)]);
  });

  it('costs what the vendor has told, and no guess, where it has', async () => {
    const asked = reply();
    await asked.tell(text(30));
    await asked.tell(told);
    await asked.tell(null);
    await asked.read;
    asked.abort();
    expect(asked.seen).toEqual(['text', 'usage']);
    expect(asked.bills).toEqual([]);
  });

  it('of a server that tells no usage is a guess', async () => {
    const asked = reply();
    await asked.tell(text(8));
    await asked.tell(null);
    await asked.read;
    expect(asked.bills).toEqual([guess(2)]);
  });

  it.each([
    ['refused', new ProviderError('vendor/model', 'rate_limited', 'no'), []],
    ['down', new ProviderError('vendor/model', 'unavailable', 'no'), []],
    ['too slow', new ProviderError('vendor/model', 'timeout', 'no'), [guess(0)]],
  ])('that was %s before its first word costs accordingly', async (_why, error, bills) => {
    const asked = reply();
    await asked.tell(error);
    await expect(asked.read).rejects.toBe(error);
    expect(asked.bills).toEqual(bills);
  });

  it('that breaks off cost what it had written', async () => {
    const asked = reply();
    await asked.tell(text(8));
    await asked.tell(new ProviderError('vendor/model', 'unavailable', 'broken off'));
    await expect(asked.read).rejects.toMatchObject({ failure: 'unavailable' });
    expect(asked.bills).toEqual([guess(2)]);
  });
});

it('a sentence that is interrupted before its first audio cost its characters, once', async () => {
  const bills: Usage[] = [];
  const say = async (interrupt: boolean) => {
    const { events, tell } = scripted<TextToSpeechEvent>();
    const speech = withUnreadSpeech(
      { speak: (_request, signal) => events(signal) },
      ({ voice }) => `v/${voice}`,
    );
    const controller = new AbortController();
    const sentence = { text: 'Good morning.', sampleRate: 8000 as const, voice: 'a' };
    const asked = { ...sentence, onLateBill: (usage: Usage) => bills.push(usage) };
    const read = (async () => {
      for await (const _ of speech.speak(asked, controller.signal));
    })();
    if (!interrupt) await tell({ type: 'usage', usage: { provider: 'v/a', characters: 13 } });
    controller.abort();
    await read;
  };
  await say(true);
  expect(bills).toEqual([{ provider: 'v/a', characters: 13, estimated: true }]);
  await say(false);
  expect(bills).toHaveLength(1);
});
