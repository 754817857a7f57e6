import { beforeEach, describe, expect, it } from 'vitest';
import { type ChainOptions, chainLanguageModel, chainTextToSpeech } from '../../../src/providers/chain.ts';
import { Circuits } from '../../../src/providers/circuit-breaker.ts';
import type {
  LanguageModelEvent,
  TextToSpeechEvent,
  TextToSpeechRequest,
} from '../../../src/providers/ports.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { outage, ScriptedModel, ScriptedVoice, type Step } from '../../support/port-conformance-scripted.ts';

let clock: FakeClock;
let circuits: Circuits;
let abort: AbortController;
beforeEach(() => {
  clock = new FakeClock();
  circuits = new Circuits({}, clock, { fraction: () => 0.5 });
  abort = new AbortController();
});

const request = { messages: [], maxOutputTokens: 9 };
const text = (words: string): LanguageModelEvent => ({ type: 'text', text: words });
const finished: LanguageModelEvent = { type: 'finished' };
const toolCall: LanguageModelEvent = {
  type: 'toolCall',
  call: { id: '1', name: 'look_up', arguments: '{}' },
};
const down = outage('first/model');
/** `hang`: it never answers. */
const hanging = (step: 'hang' | 'hang deaf' = 'hang') => new ScriptedModel([step]);
const answering = (words: string) => new ScriptedModel([text(words), finished]);

function chain(models: ScriptedModel[], options: ChainOptions & { deadlineMs?: number } = {}) {
  const names = ['first/model', 'second/model', 'third/model'];
  const { deadlineMs, ...rest } = options;
  return chainLanguageModel(
    models.map((port, i) => ({
      port,
      name: names[i]!,
      identity: names[i]!,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    })),
    { clock, circuits, ...rest },
  );
}

/** Collects in the background. */
function collect<Event>(events: AsyncIterable<Event>) {
  const result = { seen: [] as Event[], error: null as unknown, over: false };
  void (async () => {
    try {
      for await (const event of events) result.seen.push(event);
    } catch (error) {
      result.error = error;
    }
    result.over = true;
  })();
  return result;
}

async function reply(model: ReturnType<typeof chain>) {
  const result = collect(model.reply(request, abort.signal));
  await settle();
  return result;
}

const said = ({ seen }: { seen: LanguageModelEvent[] }) =>
  seen.map((event) =>
    event.type === 'text'
      ? event.text
      : event.type === 'failover'
        ? `failover ${event.error.failure}`
        : event.type,
  );

describe('a chain of language models', () => {
  it('is answered by the first as long as it is well, and asks nobody else', async () => {
    const second = answering('second');
    const model = chain([answering('first'), second]);
    expect(said(await reply(model))).toEqual(['first', 'finished']);
    expect(second.requests).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it.each(['hang', 'hang deaf'] as const)(
    'asks the next one when the first has not begun to answer within its deadline, and lets go of it: %s',
    async (how) => {
      const first = hanging(how);
      const model = chain([first, answering('second')], { deadlineMs: 800 });
      const result = await reply(model);
      await clock.advance(799);
      expect(result.seen).toEqual([]);
      await clock.advance(1);
      expect(said(result)).toEqual(['failover timeout', 'second', 'finished']);
      expect(result.seen[0]).toMatchObject({ error: { provider: 'first/model' } });
      expect(first.signals[0]!.aborted).toBe(true);
      expect([result.over, clock.pending]).toEqual([true, 0]);
    },
  );

  it('gives the last one that may be asked all the time of its own deadlines', async () => {
    const result = await reply(chain([hanging()], { deadlineMs: 800 }));
    await clock.advance(60_000);
    expect(result.over).toBe(false);
    abort.abort();
    await settle();
    expect([result.over, result.error]).toEqual([true, null]);
  });

  it('does not give up a slow one for one that is known to be down', async () => {
    for (let i = 0; i < 3; i++) circuits.of('second/model').force().failed(down);
    const result = await reply(chain([hanging(), answering('second')], { deadlineMs: 800 }));
    await clock.advance(10_000);
    expect(result.seen).toEqual([]);
    abort.abort();
  });

  it('takes a tool call for an answer: it is not asked for twice', async () => {
    const second = answering('second');
    const result = await reply(chain([new ScriptedModel([toolCall, down]), second]));
    expect(said(result)).toEqual(['toolCall']);
    expect(result.error).toBe(down);
    expect(second.requests).toEqual([]);
  });

  it('does not cut off an answer that has begun in time and goes on slowly', async () => {
    const model = chain([new ScriptedModel([text('Well'), 'hang']), answering('second')], {
      deadlineMs: 800,
    });
    const result = await reply(model);
    await clock.advance(5_000);
    expect(said(result)).toEqual(['Well']);
    expect(clock.pending).toBe(0);
    abort.abort();
    await settle();
    expect([result.over, result.error]).toEqual([true, null]);
  });

  it('passes over one that finishes without a word', async () => {
    const result = await reply(chain([new ScriptedModel([finished]), answering('second')]));
    expect(said(result)).toEqual(['failover malformed', 'second', 'finished']);
  });

  it('passes over one that fails in a way of its own', async () => {
    const broken = new ScriptedModel([new TypeError('bug')]);
    const result = await reply(chain([broken, answering('second')]));
    expect(said(result)).toEqual(['failover malformed', 'second', 'finished']);
    expect(result.seen[0]).toMatchObject({ error: { name: 'ProviderError', provider: 'first/model' } });
  });

  it('keeps the bill of one that failed', async () => {
    const usage: LanguageModelEvent = { type: 'usage', usage: { provider: 'first/model', inputTokens: 3 } };
    const result = await reply(chain([new ScriptedModel([usage, down]), answering('second')]));
    expect(result.seen[0]).toEqual(usage);
    expect(said(result)).toEqual(['usage', 'failover unavailable', 'second', 'finished']);
  });

  it('does not let this call wait for the same failure again, and asks the first again after a rest', async () => {
    const first = new ScriptedModel([down], [text('first'), finished]);
    const model = chain([first, answering('second')]);
    await reply(model);
    const next = await reply(model);
    expect(said(next)).toEqual(['failover unavailable', 'second', 'finished']);
    expect(next.seen[0]).toMatchObject({
      error: { message: 'first/model: not asked: first/model: scripted' },
    });
    expect(first.requests).toHaveLength(1);
    await clock.advance(15_000);
    expect(said(await reply(model))).toEqual(['first', 'finished']);
  });

  it('asks the first again at once when only one request of it was wrong', async () => {
    const first = new ScriptedModel([outage('first/model', 'rejected')], [text('first'), finished]);
    const model = chain([first, answering('second')]);
    expect(said(await reply(model))).toEqual(['failover rejected', 'second', 'finished']);
    expect(said(await reply(model))).toEqual(['first', 'finished']);
  });

  it('spares every other call a provider that has failed three of them, until a probe succeeds', async () => {
    const first = new ScriptedModel([down], [down], [down], [text('first'), finished]);
    const call = () => chain([first, answering('second')]);
    for (let i = 0; i < 4; i++) expect(said(await reply(call())).at(-2)).toBe('second');
    expect(first.requests).toHaveLength(3);
    await clock.advance(5_000);
    expect(said(await reply(call()))).toEqual(['first', 'finished']);
    expect(circuits.of('first/model').state).toBe('closed');
  });

  it('lets one call probe while the others go on with the fall-back', async () => {
    const first = new ScriptedModel([down], [down], [down], ['hang']);
    const call = () => chain([first, answering('second')], { deadlineMs: 800 });
    for (let i = 0; i < 3; i++) await reply(call());
    await clock.advance(5_000);
    const probe = await reply(call());
    expect(said(await reply(call()))).toEqual(['failover unavailable', 'second', 'finished']);
    expect(first.requests).toHaveLength(4);
    await clock.advance(800);
    expect(said(probe)).toEqual(['failover timeout', 'second', 'finished']);
    expect(circuits.of('first/model').openUntil - clock.now()).toBe(10_000);
  });

  it('asks the one whose time comes first where all circuits are open', async () => {
    for (let i = 0; i < 3; i++) circuits.of('first/model').force().failed(outage('x', 'unauthorized'));
    for (let i = 0; i < 3; i++) circuits.of('second/model').force().failed(down);
    const first = answering('first');
    expect(said(await reply(chain([first, answering('second')])))).toEqual([
      'failover unauthorized',
      'second',
      'finished',
    ]);
    expect(first.requests).toEqual([]);
    expect(circuits.of('second/model').state).toBe('closed');
  });

  it('asks one that is known to be down once everybody else has failed, and then no other', async () => {
    for (const name of ['second/model', 'third/model'])
      circuits.of(name).force().failed(outage(name, 'unauthorized'));
    const second = new ScriptedModel([outage('second/model')]);
    const third = answering('third');
    const result = await reply(chain([new ScriptedModel([down]), second, third]));
    expect(said(result)).toEqual(['failover unavailable']);
    expect(result.error).toMatchObject({ provider: 'second/model' });
    expect(third.requests).toEqual([]);
  });

  it('ends quietly, asks nobody and counts nothing when the turn is over', async () => {
    const second = answering('second');
    const first = hanging();
    for (let i = 0; i < 5; i++) {
      abort = new AbortController();
      const result = await reply(chain([first, second]));
      abort.abort();
      await settle();
      expect(result).toEqual({ seen: [], error: null, over: true });
    }
    expect([first.running, second.requests.length, clock.pending]).toEqual([0, 0, 0]);
    expect(circuits.of('first/model').state).toBe('closed');
    expect(said(await reply(chain([answering('first')])))).toEqual([]);
  });

  it('lets go of the answer of which nobody wants more', async () => {
    const first = new ScriptedModel([text('One'), 'hang']);
    for await (const _ of chain([first]).reply(request, abort.signal)) break;
    await settle();
    expect([first.running, first.signals[0]!.aborted, clock.pending]).toEqual([0, true, 0]);
  });

  it('warms only who is asked first, and closes all', async () => {
    const models = [answering('first'), answering('second'), answering('third')];
    chain(models).warm!();
    expect(models.map(({ warmed }) => warmed)).toEqual([1, 0, 0]);
    circuits.of('first/model').force().failed(outage('x', 'unauthorized'));
    const next = chain(models);
    next.warm!();
    expect(models.map(({ warmed }) => warmed)).toEqual([1, 1, 0]);
    next.close!();
    expect(models.map(({ closed }) => closed)).toEqual([1, 1, 1]);
  });

  it('is of one provider at least', () => {
    expect(() => chain([])).toThrow(TypeError);
  });
});

describe('a chain of voices', () => {
  const audio = (value: number): TextToSpeechEvent => ({
    type: 'audio',
    samples: new Int16Array(8).fill(value),
  });
  const sentence: TextToSpeechRequest = { text: 'Hello', voice: 'v', sampleRate: 8000 };
  const voices = (...scripts: Step<TextToSpeechEvent>[][]) => {
    const ports = scripts.map((steps) => new ScriptedVoice(() => steps));
    const speech = chainTextToSpeech(
      ports.map((port, i) => ({ port, name: `voice ${i}`, identity: `voice ${i}`, deadlineMs: 500 })),
      { clock, circuits },
    );
    return { ports, speech };
  };
  const speak = async (speech: ReturnType<typeof voices>['speech']) => {
    const result = collect(speech.speak(sentence, abort.signal));
    await settle();
    return result;
  };
  const heard = ({ seen }: { seen: TextToSpeechEvent[] }) =>
    seen.map((event) => (event.type === 'audio' ? event.samples[0] : event.type));

  it('speaks with the next one after a breath of silence', async () => {
    const { speech } = voices(['hang'], [audio(2)]);
    const result = await speak(speech);
    await clock.advance(500);
    expect(heard(result)).toEqual(['failover', 2]);
  });

  it('never says a part of a sentence twice: one that breaks off fails, and the next is spoken by the next voice', async () => {
    const broken = outage('voice 0');
    const { speech, ports } = voices([audio(1), broken], [audio(2)]);
    const result = await speak(speech);
    expect(heard(result)).toEqual([1]);
    expect(result.error).toBe(broken);
    expect(heard(await speak(speech))).toEqual(['failover', 2]);
    expect(ports.map(({ requests }) => requests.length)).toEqual([1, 1]);
  });

  it('does not tell another wording than the one that is heard', async () => {
    const wording = (text: string): TextToSpeechEvent => ({ type: 'wording', text });
    const { speech } = voices([wording('Hi'), outage('voice 0')], [wording('Hey'), audio(2)]);
    expect((await speak(speech)).seen.slice(1)).toEqual([wording('Hey'), audio(2)]);
  });

  it('warms the first for how it will speak', () => {
    const { speech, ports } = voices([audio(1)], [audio(2)]);
    speech.warm!({ voice: 'v', sampleRate: 8000 });
    expect(ports.map(({ warmed }) => warmed)).toEqual([[{ voice: 'v', sampleRate: 8000 }], []]);
  });
});
