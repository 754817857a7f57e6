import { afterEach, describe, expect, it } from 'vitest';
import {
  type DeepgramTextToSpeechSettings,
  deepgramTextToSpeech,
} from '../../../src/providers/deepgram/text-to-speech.ts';
import type { TextToSpeech } from '../../../src/providers/ports.ts';
import { arrivals, eventually } from '../../support/deepgram-call.ts';
import { type DeepgramDouble, deepgramDouble, type Fault } from '../../support/deepgram-double.ts';
import { saidIn } from '../../support/deepgram-speaker.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { dialFromNode } from '../../support/socket-double.ts';

const voice = 'aura-2-thalia-en';
const provider = `deepgram/${voice}`;

let double: DeepgramDouble;
let clock: FakeClock;
let speech: TextToSpeech;
afterEach(async () => {
  speech.close?.();
  await arrivals();
  expect(clock.pending).toBe(0);
  await double.close();
});

async function begin(faults: Fault[] = [], settings: Partial<DeepgramTextToSpeechSettings> = {}) {
  double = await deepgramDouble(faults);
  clock = new FakeClock();
  speech = deepgramTextToSpeech(
    { apiKey: 'key', baseUrl: double.url, dial: dialFromNode, ...settings },
    clock,
  );
}

/** Says a text; what came of it is there as it comes. */
function say(text: string, sampleRate: 8000 | 16000 = 8000, signal = new AbortController().signal) {
  const samples: number[] = [];
  const usage: unknown[] = [];
  const said = {
    samples,
    usage,
    get text() {
      return saidIn(Int16Array.from(samples));
    },
    error: null as unknown,
    done: false,
    over: Promise.resolve(),
  };
  said.over = (async () => {
    try {
      for await (const event of speech.speak({ text, sampleRate, voice }, signal)) {
        if (event.type === 'audio') samples.push(...event.samples);
        else if (event.type === 'usage') usage.push(event.usage);
      }
    } catch (error) {
      said.error = error;
    }
    said.done = true;
  })();
  return said;
}

/** Lets time pass until it is over. */
async function finish(said: { done: boolean }): Promise<void> {
  while (!said.done) {
    await clock.advance(25);
    await arrivals();
  }
}

const whole = async (text: string, sampleRate?: 8000 | 16000) => {
  const said = say(text, sampleRate);
  await said.over;
  return said;
};

/** Lets the double go on piece by piece. */
function paced() {
  const open: (() => void)[] = [];
  return {
    waiting: () => open.length,
    next: () => open.shift()?.(),
    pace: () =>
      new Promise<void>((resolve) => {
        open.push(resolve);
      }),
  };
}

describe('Aura', () => {
  it.each([8000, 16_000] as const)('says a sentence at %i Hz to its last sample', async (rate) => {
    await begin();
    const said = await whole('Hello, how are you?', rate);
    expect(said.error).toBeNull();
    expect(said.text).toBe('Hello, how are you?');
    expect(said.usage).toEqual([{ provider, characters: 19 }]);
    const { url, headers } = double.connections[0]!;
    expect(url.pathname).toBe('/v1/speak');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      model: voice,
      encoding: rate === 8000 ? 'mulaw' : 'linear16',
      sample_rate: String(rate),
    });
    expect(headers.authorization).toBe('Token key');
  });

  it('keeps one connection for the sentences of a call, warmed before the first', async () => {
    await begin([]);
    speech.warm?.({ voice, sampleRate: 8000 });
    await eventually(() => double.connections.length === 1);
    for (const text of ['One.', 'Two.', 'Three.']) expect((await whole(text)).text).toBe(text);
    expect(double.dialled).toBe(1);
    speech.close?.();
    await double.connections[0]!.closed;
    expect(double.texts().at(-1)).toBe('Close');
  });

  it('says sentences that are asked for at once one after the other', async () => {
    await begin();
    const all = ['One.', 'Two.', 'Three.'].map((text) => say(text));
    await Promise.all(all.map(({ over }) => over));
    expect(all.map(({ text }) => text)).toEqual(['One.', 'Two.', 'Three.']);
    expect(double.dialled).toBe(1);
  });

  it('goes on with the next sentence while nobody reads the one before', async () => {
    await begin();
    const first = speech.speak({ text: 'One.', sampleRate: 8000, voice }, new AbortController().signal);
    const reader = first[Symbol.asyncIterator]();
    await reader.next();
    expect((await whole('Two.')).text).toBe('Two.');
    await reader.return?.();
  });

  it('splits a text that is too long for one message', async () => {
    await begin();
    const text = `${'word '.repeat(500)}${'x'.repeat(2_100)}`;
    const said = await whole(text);
    expect(said.text).toBe(text);
    expect(double.texts()).toEqual([...Array(6).fill('Speak'), 'Flush']);
    const messages = double.connections[0]!.received.map((message) => String(message).length);
    expect(Math.max(...messages)).toBeLessThan(1_050);
  });

  it('makes a new connection before the vendor refuses a twenty-first flush', async () => {
    await begin();
    for (let i = 0; i < 21; i++) expect((await whole('Hi.')).text).toBe('Hi.');
    expect(double.dialled).toBe(2);
    expect(double.texts(0).filter((type) => type === 'Flush')).toHaveLength(19);
    expect(double.texts(0).at(-1)).toBe('Close');
    await clock.advance(60_000);
    expect((await whole('Hi.')).text).toBe('Hi.');
    expect(double.dialled).toBe(2);
  });

  it('renews a connection that is about to reach the vendor’s limit', async () => {
    await begin();
    await whole('One.');
    await clock.advance(55 * 60_000);
    expect((await whole('Two.')).text).toBe('Two.');
    expect(double.dialled).toBe(2);
  });
});

describe('Aura, when a sentence is interrupted', () => {
  it('never lets the rest of it into the next one', async () => {
    const { pace, next, waiting } = paced();
    await begin([{ pace, onTheirWay: 2 }]);
    const hangUp = new AbortController();
    const cut = say('Interrupted sentence.', 8000, hangUp.signal);
    await eventually(() => waiting() === 1);
    next();
    await eventually(() => cut.text === 'Int' && waiting() === 1);
    hangUp.abort();
    await cut.over;
    expect(cut.error).toBeNull();
    const after = say('Next one.');
    await eventually(() => waiting() === 1);
    while (!after.done) {
      next();
      await arrivals();
    }
    expect(after.text).toBe('Next one.');
    expect(cut.text).toBe('Int');
    expect(double.texts()).toEqual(['Speak', 'Flush', 'Clear', 'Speak', 'Flush']);
    expect(double.dialled).toBe(1);
  });

  it('tells the vendor to stop when its reader goes away', async () => {
    const { pace, next, waiting } = paced();
    await begin([{ pace }]);
    const request = { text: 'Interrupted.', sampleRate: 8000 as const, voice };
    const reader = speech.speak(request, new AbortController().signal)[Symbol.asyncIterator]();
    const first = reader.next();
    await eventually(() => waiting() === 1);
    next();
    await first;
    await reader.return?.();
    await double.until(() => double.texts().includes('Clear'));
  });

  it('is not cut short by a confirmation that comes late', async () => {
    const { pace, next, waiting } = paced();
    await begin([{ pace, lateFlushed: true }]);
    const hangUp = new AbortController();
    const cut = say('Interrupted.', 8000, hangUp.signal);
    await eventually(() => waiting() === 1);
    hangUp.abort();
    await cut.over;
    const after = say('Next one.');
    await double.until(() => double.texts().length === 5);
    while (!after.done) {
      next();
      await arrivals();
    }
    expect(after.text).toBe('Next one.');
  });

  it('leaves a connection that does not confirm that it has stopped', async () => {
    const { pace, waiting } = paced();
    await begin([{ pace, ignoreClear: true }]);
    const hangUp = new AbortController();
    const cut = say('Interrupted.', 8000, hangUp.signal);
    await eventually(() => waiting() === 1);
    hangUp.abort();
    await cut.over;
    const after = say('Next one.');
    await double.until(() => double.texts().includes('Clear'));
    await clock.advance(1_000);
    await eventually(() => clock.pending >= 1);
    await clock.advance(250);
    await after.over;
    expect(after.text).toBe('Next one.');
    expect(double.dialled).toBe(2);
  });

  it('sends nothing of a sentence that was interrupted while it waited', async () => {
    const { pace, next, waiting } = paced();
    await begin([{ pace }]);
    const first = say('One.');
    const hangUp = new AbortController();
    const second = say('Two.', 8000, hangUp.signal);
    await eventually(() => waiting() === 1);
    hangUp.abort();
    await second.over;
    while (!first.done) {
      next();
      await arrivals();
    }
    expect(first.text).toBe('One.');
    expect(double.texts()).toEqual(['Speak', 'Flush']);
  });

  it('does nothing for a signal that has fired', async () => {
    await begin();
    const said = say('One.', 8000, AbortSignal.abort());
    await said.over;
    expect(said.error).toBeNull();
    expect(double.dialled).toBe(0);
  });
});

describe('Aura, when the connection is lost', () => {
  it('is renewed once where it was closed idle, and again for the next sentence', async () => {
    await begin();
    await whole('One.');
    double.connections[0]!.close(1011, 'NET-0001');
    await eventually(() => double.connections.length === 2);
    await arrivals();
    double.connections[1]!.close(1011, 'NET-0001');
    await double.connections[1]!.closed;
    await arrivals();
    expect(double.dialled).toBe(2);
    expect((await whole('Two.')).text).toBe('Two.');
    expect(double.dialled).toBe(3);
  });

  it('says the sentence on another one where nothing of it was heard', async () => {
    const { pace, waiting } = paced();
    await begin([{ pace }, {}]);
    const said = say('Hello.');
    await eventually(() => waiting() === 1);
    double.connections[0]!.cut();
    await finish(said);
    expect(said.error).toBeNull();
    expect(said.text).toBe('Hello.');
    expect(said.usage).toHaveLength(1);
  });

  it('does not begin a sentence anew of which a part was heard', async () => {
    await begin([{ cutAfter: 1 }]);
    const said = await whole('Hello.');
    expect(said.error).toMatchObject({ failure: 'unavailable', provider });
    expect(said.text).toBe('Hel');
    expect(double.texts()).toEqual(['Speak', 'Flush']);
  });

  it('notices a socket that is open and says nothing', async () => {
    await begin([{ mute: true }]);
    const said = say('Hello.');
    await double.until(() => double.texts().includes('Flush'));
    await clock.advance(2_999);
    expect(double.dialled).toBe(1);
    await clock.advance(1);
    await eventually(() => clock.pending >= 2);
    await clock.advance(250);
    await said.over;
    expect(said.text).toBe('Hello.');
  });

  it('gives up after the time for the first audio, whatever is tried', async () => {
    await begin([{ mute: true }, { mute: true }, { mute: true }, { mute: true }]);
    const said = say('Hello.');
    await finish(said);
    expect(clock.now()).toBe(new FakeClock().now() + 10_000);
    expect(said.error).toMatchObject({ failure: 'timeout', provider });
  });

  it('gives up a sentence that stops in the middle, and has the vendor stop it', async () => {
    const { pace, next, waiting } = paced();
    await begin([{ pace }]);
    const said = say('Hello.');
    await eventually(() => waiting() === 1);
    next();
    await eventually(() => said.text === 'Hel');
    await clock.advance(5_000);
    await said.over;
    expect(said.error).toMatchObject({ failure: 'timeout' });
    await double.until(() => double.texts().includes('Clear'));
  });

  it('tries three times more where the vendor is busy or down, no more', async () => {
    await begin([{ refuse: 429 }, { refuse: 503 }, { refuse: 500 }, { refuse: 429 }]);
    const said = say('Hello.');
    await finish(said);
    expect(double.dialled).toBe(4);
    expect(said.error).toMatchObject({ failure: 'rate_limited', status: 429 });
    expect((await whole('Hello.')).text).toBe('Hello.');
  });

  it.each([400, 402, 403, 404])('does not repeat a request that was refused with %i', async (refuse) => {
    await begin([{ refuse }]);
    const said = await whole('Hello.');
    expect(said.error).toMatchObject({
      failure: refuse === 403 ? 'unauthorized' : 'rejected',
      status: refuse,
    });
    expect(double.dialled).toBe(1);
  });

  it('fails on empty audio, and on what cannot be understood', async () => {
    await begin(Array(4).fill({ empty: true }));
    const empty = say('Hello.');
    await finish(empty);
    expect(empty.error).toMatchObject({ failure: 'malformed' });
    speech.close?.();
    await double.close();
    await begin(Array(4).fill({ malformed: '{"type":7}' }));
    const malformed = say('Hello.');
    await finish(malformed);
    expect(malformed.error).toMatchObject({ failure: 'malformed' });
  });

  it('says nothing after the call is over', async () => {
    await begin([]);
    speech.close?.();
    speech.warm?.({ voice, sampleRate: 8000 });
    const said = await whole('Hello.');
    expect(said.error).toMatchObject({ failure: 'unavailable' });
    expect(double.dialled).toBe(0);
  });
});
