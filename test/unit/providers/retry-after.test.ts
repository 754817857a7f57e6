import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chainLanguageModel, chainSpeechToText, chainTextToSpeech } from '../../../src/providers/chain.ts';
import { Circuits } from '../../../src/providers/circuit-breaker.ts';
import { openAiLanguageModel } from '../../../src/providers/openai/language-model.ts';
import { openAiSpeechToText } from '../../../src/providers/openai/speech-to-text.ts';
import { openAiTextToSpeech } from '../../../src/providers/openai/text-to-speech.ts';
import type { Failover } from '../../../src/providers/ports.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { completion, events, OpenAiDouble, status } from '../../support/openai-double.ts';
import { Pauses } from '../../support/pauses.ts';
import { ScriptedEars, ScriptedModel, ScriptedVoice } from '../../support/port-conformance-scripted.ts';

/** The chain's patience, and what the first vendor asks for: longer than that, and too short to be refused at once. */
const deadlineMs = 1_000;
const askedMs = 4_000;

let double: OpenAiDouble;
let clock: FakeClock;
let pauses: Pauses;
let circuits: Circuits;
let signal: AbortSignal;
beforeEach(async () => {
  double = await OpenAiDouble.start();
  clock = new FakeClock();
  pauses = new Pauses();
  circuits = new Circuits({}, clock, { fraction: () => 0.5 });
  signal = new AbortController().signal;
});
afterEach(() => double.close());

const busy = () => status(429, 'busy', { 'retry-after': String(askedMs / 1000) });
const settings = () => ({ apiKey: 'key', baseUrl: double.baseUrl, model: 'm' });
const first = <Port>(port: Port) => ({ port, name: 'first/m', identity: 'first', deadlineMs });
const second = <Port>(port: Port) => ({ port, name: 'second/m', identity: 'second', deadlineMs });
const failuresIn = (seen: readonly (object & { type: string })[]) =>
  seen.filter((event): event is Failover => event.type === 'failover').map(({ error }) => error);

async function collected<Event>(iterable: AsyncIterable<Event>): Promise<Event[]> {
  const seen: Event[] = [];
  for await (const event of iterable) seen.push(event);
  return seen;
}

/** The vendor has answered that it is busy; the chain's patience ends while its wish is being respected. */
async function giveUp(): Promise<void> {
  await pauses.begun(1);
  await clock.advance(deadlineMs);
}

/** Whether another call, which shares the circuit and nothing else, would ask the first vendor. */
const asksFirst = () => circuits.of('first').available;

async function expectLeftAlone(): Promise<void> {
  expect(circuits.of('first').error).toMatchObject({ failure: 'rate_limited', status: 429 });
  await clock.advance(askedMs - deadlineMs - 1);
  expect(asksFirst()).toBe(false);
  await clock.advance(1);
  expect(asksFirst()).toBe(true);
}

describe('a vendor that asks for more time than the chain has', () => {
  it('is left alone for all of it, though its language model was given up before', async () => {
    double.script('/chat/completions', busy(), events(completion(['Back.'])));
    const chain = () =>
      chainLanguageModel(
        [
          first(openAiLanguageModel(settings(), clock, pauses)),
          second(new ScriptedModel([{ type: 'text', text: 'Second.' }, { type: 'finished' }])),
        ],
        { clock, circuits },
      );
    const request = { messages: [{ role: 'user' as const, content: 'Hi' }], maxOutputTokens: 9 };
    const reply = collected(chain().reply(request, signal));
    await giveUp();
    const seen = await reply;
    expect(seen).toContainEqual({ type: 'text', text: 'Second.' });
    expect(failuresIn(seen)).toMatchObject([
      { provider: 'first/m', failure: 'rate_limited', retryAfterMs: askedMs - deadlineMs },
    ]);
    // The next turn of another call, a moment too early.
    await collected(chain().reply(request, signal));
    expect(double.requests).toHaveLength(1);
    await expectLeftAlone();
    expect(await collected(chain().reply(request, signal))).toContainEqual({ type: 'text', text: 'Back.' });
  });

  it('is left alone for all of it, though its speech was given up before', async () => {
    double.script('/audio/speech', busy());
    const chain = chainTextToSpeech(
      [
        first(openAiTextToSpeech(settings(), clock, pauses)),
        second(new ScriptedVoice(() => [{ type: 'audio', samples: new Int16Array(80) }])),
      ],
      { clock, circuits },
    );
    const spoken = collected(chain.speak({ text: 'Hello.', voice: 'v', sampleRate: 8000 }, signal));
    await giveUp();
    expect(failuresIn(await spoken)).toMatchObject([{ failure: 'rate_limited' }]);
    await expectLeftAlone();
  });

  it('is left alone for all of it, though its transcript was given up before', async () => {
    double.script('/audio/transcriptions', busy());
    const hangUp = new AbortController();
    const chain = chainSpeechToText(
      [first(openAiSpeechToText(settings(), clock, pauses)), second(new ScriptedEars('second'))],
      { clock, circuits },
    );
    const session = chain.open({ sampleRate: 8000, signal: hangUp.signal });
    const heard = collected(session.events);
    session.push(Int16Array.from({ length: 8_000 }, (_, i) => ((i * 7_919) % 8_009) - 4_004));
    session.endUtterance();
    await giveUp();
    await settle();
    await expectLeftAlone();
    hangUp.abort();
    expect(failuresIn(await heard)).toMatchObject([{ provider: 'first/m', failure: 'rate_limited' }]);
  });

  it('is left alone for two minutes at most, whatever it asks for', async () => {
    circuits = new Circuits({ longestOpenMs: 2_000 }, clock, { fraction: () => 0.5 });
    double.script('/chat/completions', busy());
    const chain = chainLanguageModel(
      [
        first(openAiLanguageModel(settings(), clock, pauses)),
        second(new ScriptedModel([{ type: 'text', text: 'Second.' }, { type: 'finished' }])),
      ],
      { clock, circuits },
    );
    const reply = collected(chain.reply({ messages: [], maxOutputTokens: 9 }, signal));
    await giveUp();
    await reply;
    expect(asksFirst()).toBe(false);
    await clock.advance(2_000);
    expect(asksFirst()).toBe(true);
  });
});
