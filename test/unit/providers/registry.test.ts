import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { sharedCircuits } from '../../../src/providers/circuit-breaker.ts';
import {
  createProviders,
  defaultModels,
  type ProviderSettings,
  type VendorSettings,
} from '../../../src/providers/registry.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  body,
  completion,
  events,
  formOf,
  hang,
  json,
  jsonOf,
  OpenAiDouble,
  status,
} from '../../support/openai-double.ts';
import { collect } from '../../support/port-conformance.ts';

let double: OpenAiDouble;
beforeEach(async () => {
  double = await OpenAiDouble.start();
});
afterEach(() => double.close());

const settings: ProviderSettings = {
  speechToText: [{ vendor: 'openai', apiKey: 'k' }],
  windows: { bufferMs: 2_000, runAhead: true },
  languageModel: [{ vendor: 'openai', apiKey: 'k' }],
  strongLanguageModel: null,
  textToSpeech: [{ vendor: 'openai', apiKey: 'k' }],
  speechToSpeech: null,
};

it('gives each port its own key, address and model', async () => {
  const vendor = 'openai' as const;
  const baseUrl = double.baseUrl;
  const providers = createProviders({
    ...settings,
    speechToText: [{ vendor, baseUrl, apiKey: 'key-1', model: 'ears' }],
    languageModel: [{ vendor, baseUrl, apiKey: 'key-2', model: 'mind' }],
    textToSpeech: [{ vendor, baseUrl, apiKey: 'key-3', model: 'mouth' }],
  });
  double.script('/audio/transcriptions', json({ text: 'Hi' }));
  double.script('/chat/completions', events(completion(['Hello'])));
  double.script('/audio/speech', body(new Uint8Array(480), 'audio/pcm'));
  const abort = new AbortController();

  const session = providers.speechToText.open({ sampleRate: 8000, signal: abort.signal });
  session.push(new Int16Array(1600).fill(900));
  session.endUtterance();
  for await (const event of session.events) if (event.type === 'final') break;
  const request = { messages: [{ role: 'user', content: 'Hi' }], maxOutputTokens: 9 } as const;
  for await (const event of providers.languageModel.reply(request, abort.signal)) expect(event).toBeDefined();
  const speech = { text: 'Hello', sampleRate: 8000, voice: 'echo' } as const;
  for await (const event of providers.textToSpeech.speak(speech, abort.signal)) expect(event).toBeDefined();

  const [ears, mind, mouth] = double.requests;
  expect(double.requests.map((received) => received.headers.authorization)).toEqual([
    'Bearer key-1',
    'Bearer key-2',
    'Bearer key-3',
  ]);
  expect((await formOf(ears!)).get('model')).toBe('ears');
  expect(jsonOf(mind!)).toMatchObject({ model: 'mind' });
  expect(jsonOf(mouth!)).toMatchObject({ model: 'mouth', voice: 'echo' });
  expect(double.unexpected).toEqual([]);
});

it.each(Object.keys(defaultModels.speechToText))('hears with %s where it is told to', (vendor) => {
  const member = { vendor, apiKey: 'k' } as VendorSettings<never>;
  const make = () =>
    createProviders({ ...settings, speechToText: [member] }, { ai: { run: async () => null } });
  expect(make().speechToText.open).toBeTypeOf('function');
});

it.each(Object.keys(defaultModels.languageModel))('thinks with %s where it is told to', (vendor) => {
  const aws = { region: 'eu-central-1', credentials: { apiKey: 'k' } };
  const member = { vendor, apiKey: 'k', aws } as VendorSettings<never>;
  const make = () =>
    createProviders({ ...settings, languageModel: [member] }, { ai: { run: async () => null } });
  expect(make().languageModel.reply).toBeTypeOf('function');
});

it.each(Object.keys(defaultModels.textToSpeech))('speaks with %s where it is told to', (vendor) => {
  const member = { vendor, apiKey: 'k' } as VendorSettings<never>;
  const make = () =>
    createProviders({ ...settings, textToSpeech: [member] }, { ai: { run: async () => null } });
  expect(make().textToSpeech.speak).toBeTypeOf('function');
});

it('says what is missing where Workers AI is wanted and not bound', () => {
  const member = { vendor: 'workers-ai', apiKey: '' } as const;
  expect(() => createProviders({ ...settings, languageModel: [member] })).toThrow('binding AI');
});

it('asks the stronger model for a turn that needs it, and the quick one where that fails', async () => {
  const vendor = 'openai' as const;
  const member = { vendor, baseUrl: double.baseUrl, apiKey: 'k' };
  const { languageModel } = createProviders({
    ...settings,
    languageModel: [{ ...member, model: 'quick' }],
    strongLanguageModel: { ...member, model: 'strong' },
  });
  const ask = async (tier: 'quick' | 'strong') => {
    let text = '';
    const request = { messages: [{ role: 'user', content: 'Hi' }], maxOutputTokens: 9, tier } as const;
    for await (const event of languageModel.reply(request, new AbortController().signal)) {
      if (event.type === 'text') text += event.text;
    }
    return text;
  };
  double.script('/chat/completions', events(completion(['Quick.'])));
  expect(await ask('quick')).toBe('Quick.');
  double.script('/chat/completions', events(completion(['Strong.'])));
  expect(await ask('strong')).toBe('Strong.');
  double.script('/chat/completions', status(404), events(completion(['Quick again.'])));
  expect(await ask('strong')).toBe('Quick again.');
  expect(
    double.requests.map((request) => jsonOf(request)).map((sent) => (sent as { model: string }).model),
  ).toEqual(['quick', 'strong', 'strong', 'quick']);
});

it('speaks with a provider’s own voices, whichever of another’s is asked for', async () => {
  const member = { vendor: 'openai', baseUrl: double.baseUrl, apiKey: 'k', model: 'm' } as const;
  const { textToSpeech } = createProviders({
    ...settings,
    textToSpeech: [{ ...member, voice: 'own', voices: { fr: 'Zoé', 'pt-br': 'Lia' } }],
  });
  for (const language of [undefined, 'fr-CA', 'pt-BR', 'de']) {
    double.script('/audio/speech', body(new Uint8Array(4_800), 'audio/pcm'));
    const request = { text: 'Hi.', voice: 'first’s', sampleRate: 8000 } as const;
    const asked = language === undefined ? request : { ...request, language };
    for await (const _ of textToSpeech.speak(asked, new AbortController().signal));
  }
  const voices = double.requests.map((request) => (jsonOf(request) as { voice: string }).voice);
  expect(voices).toEqual(['own', 'Zoé', 'Lia', 'own']);
});

it.each([
  ['speechToText', '/audio/transcriptions'],
  ['languageModel', '/chat/completions'],
  ['textToSpeech', '/audio/speech'],
] as const)('asks the next provider once the deadline of the settings is over: %s', async (port, path) => {
  const clock = new FakeClock();
  const member = { vendor: 'openai', baseUrl: double.baseUrl, apiKey: 'k' } as const;
  const chain = [
    { ...member, model: 'slow' },
    { ...member, model: 'next' },
  ] as const;
  const providers = createProviders(
    { ...settings, [port]: chain, firstAnswerMs: { [port]: 700 } },
    { clock },
  );
  double.script(path, hang(), status(404));
  const abort = new AbortController();
  const { speechToText, languageModel, textToSpeech } = providers;
  const messages = [{ role: 'user', content: 'Hi' }] as const;
  const asked = {
    speechToText: () => {
      const session = speechToText.open({ sampleRate: 8000, signal: abort.signal });
      session.push(new Int16Array(1600).fill(900));
      session.endUtterance();
      return session.events;
    },
    languageModel: () => languageModel.reply({ messages, maxOutputTokens: 9 }, abort.signal),
    textToSpeech: () => textToSpeech.speak({ text: 'Hi', sampleRate: 8000, voice: 'v' }, abort.signal),
  }[port]();
  const { done } = collect<unknown>(asked);
  await double.received(0);
  await clock.advance(699);
  expect(double.requests).toHaveLength(1);
  await clock.advance(1);
  await double.received(1);
  abort.abort();
  await done;
});

it('names a circuit by its address and whose key it is, never by the key', () => {
  const named = (apiKey: string, more: object = {}) => {
    const of = vi.spyOn(sharedCircuits, 'of');
    try {
      createProviders({ ...settings, languageModel: [{ vendor: 'openai', apiKey, ...more }] });
      const identities = of.mock.calls.map(([identity]) => identity);
      return ['languageModel', 'speechToText', 'textToSpeech'].map(
        (port) => identities.find((identity) => identity.includes(port)) ?? '',
      );
    } finally {
      of.mockRestore();
    }
  };
  const first = named('first-secret-key');
  expect(new Set(first).size).toBe(3);
  expect(named('first-secret-key')).toEqual(first);
  // Only the language model's key is another one.
  const other = named('other-secret-key');
  expect(other[0]).not.toBe(first[0]);
  expect(other.slice(1)).toEqual(first.slice(1));
  const aws = (accessKeyId: string, region = 'eu-central-1') =>
    named('', {
      vendor: 'bedrock',
      aws: { region, credentials: { accessKeyId, secretAccessKey: 'aws-secret' } },
    })[0];
  expect(aws('first-secret-id')).toBe(aws('first-secret-id'));
  expect(aws('first-secret-id')).not.toBe(aws('other-secret-id'));
  expect(aws('first-secret-id')).not.toBe(aws('first-secret-id', 'us-east-1'));
  expect(String([first, other, aws('first-secret-id')])).not.toContain('secret');
});
