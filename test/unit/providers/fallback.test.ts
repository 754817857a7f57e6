import { describe, expect, it } from 'vitest';
import {
  type LanguageModel,
  type LanguageModelEvent,
  ProviderError,
  type TextToSpeech,
} from '../../../src/providers/ports.ts';
import { fallbackLanguageModel, fallbackTextToSpeech } from '../../support/unnamed-chain.ts';

const outage = new ProviderError('first/model', 'unavailable', 'down');
const request = { messages: [], maxOutputTokens: 9 };
const signal = () => new AbortController().signal;

/** Yields the texts, and throws what is an error. */
function model(...script: (string | Error)[]): LanguageModel {
  return {
    async *reply() {
      for (const step of script) {
        if (step instanceof Error) throw step;
        yield { type: 'text', text: step };
      }
    },
  };
}

async function collect<T>(events: AsyncIterable<T>): Promise<{ seen: T[]; error: unknown }> {
  const seen: T[] = [];
  try {
    for await (const event of events) seen.push(event);
    return { seen, error: null };
  } catch (error) {
    return { seen, error };
  }
}

describe('a port with a fall-back', () => {
  it('answers from the first provider as long as that works', async () => {
    const both = fallbackLanguageModel([model('Hello'), model(new Error('must not be asked'))]);
    expect((await collect(both.reply(request, signal()))).seen).toEqual([{ type: 'text', text: 'Hello' }]);
  });

  it('answers from the next where the first fails before a word, and tells of the failure', async () => {
    const both = fallbackLanguageModel([model(outage), model('Hello')]);
    expect((await collect<LanguageModelEvent>(both.reply(request, signal()))).seen).toEqual([
      { type: 'failover', error: outage },
      { type: 'text', text: 'Hello' },
    ]);
  });

  it('does not put another answer behind one that broke off', async () => {
    const both = fallbackLanguageModel([model('Half of', outage), model('Hello')]);
    const { seen, error } = await collect(both.reply(request, signal()));
    expect(seen).toEqual([{ type: 'text', text: 'Half of' }]);
    expect(error).toBe(outage);
  });

  it('fails with the last failure where all have failed', async () => {
    const last = new ProviderError('second/model', 'timeout', 'late');
    const both = fallbackLanguageModel([model(outage), model(last)]);
    const { seen, error } = await collect(both.reply(request, signal()));
    expect(seen).toEqual([{ type: 'failover', error: outage }]);
    expect(error).toBe(last);
  });

  it('asks nobody else once the turn is over', async () => {
    const abort = new AbortController();
    const failing: LanguageModel = {
      // biome-ignore lint/correctness/useYield: it fails before its first word.
      async *reply() {
        abort.abort();
        throw outage;
      },
    };
    let asked = false;
    const second: LanguageModel = {
      async *reply() {
        asked = true;
        yield { type: 'text', text: 'x' };
      },
    };
    const both = fallbackLanguageModel([failing, second]);
    expect(await collect(both.reply(request, abort.signal))).toEqual({ seen: [], error: null });
    expect(asked).toBe(false);
  });

  it('speaks with the next voice where the first is silent', async () => {
    const samples = new Int16Array(8);
    const mute: TextToSpeech = {
      async *speak() {
        yield { type: 'usage', usage: { provider: 'first/voice', characters: 5 } };
        throw outage;
      },
    };
    const loud: TextToSpeech = {
      async *speak() {
        yield { type: 'audio', samples };
      },
    };
    const speech = { text: 'Hello', voice: 'v', sampleRate: 8000 } as const;
    const { seen } = await collect(fallbackTextToSpeech([mute, loud]).speak(speech, signal()));
    expect(seen.map((event) => event.type)).toEqual(['usage', 'failover', 'audio']);
  });
});
