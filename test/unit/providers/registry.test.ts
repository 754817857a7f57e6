import { afterEach, beforeEach, expect, it } from 'vitest';
import { createProviders } from '../../../src/providers/registry.ts';
import { body, completion, events, formOf, json, jsonOf, OpenAiDouble } from '../../support/openai-double.ts';

let double: OpenAiDouble;
beforeEach(async () => {
  double = await OpenAiDouble.start();
});
afterEach(() => double.close());

it('gives each port its own key, address and model', async () => {
  const vendor = 'openai' as const;
  const baseUrl = double.baseUrl;
  const providers = createProviders({
    speechToText: { vendor, baseUrl, apiKey: 'key-1', model: 'ears' },
    languageModel: { vendor, baseUrl, apiKey: 'key-2', model: 'mind' },
    textToSpeech: { vendor, baseUrl, apiKey: 'key-3', model: 'mouth' },
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
