import { expect, it } from 'vitest';
import type { TextToSpeechRequest } from '../../../src/providers/ports.ts';
import { createCall } from '../../support/call-harness.ts';

function spokenRequests(call: ReturnType<typeof createCall>): TextToSpeechRequest[] {
  const requests: TextToSpeechRequest[] = [];
  const { speak } = call.providers.textToSpeech;
  call.providers.textToSpeech.speak = (request, signal) => {
    requests.push(request);
    return speak(request, signal);
  };
  return requests;
}

it('the configured language goes to every provider, and chooses the voice', async () => {
  const call = createCall({
    agent: { language: 'de-DE', voices: { de: 'Anna' }, greeting: 'Guten Tag.' },
  });
  const requests = spokenRequests(call);
  await call.start();
  await call.silence(1_000);
  expect(requests[0]).toMatchObject({ language: 'de-DE', voice: 'Anna' });
  expect(call.asked.languages).toEqual(['de-DE']);
});

it('a language that was heard chooses the voice from then on', async () => {
  const call = createCall({
    agent: { voices: { fr: 'Zoé', 'pt-br': 'Lia' } },
    script: { transcripts: ['Bonjour.', 'Olá.'], answer: (messages) => [`Réponse ${messages.length}.`] },
  });
  const requests = spokenRequests(call);
  await call.start();
  await call.silence(2_000);
  call.asked.hear({ type: 'language', language: 'fr' });
  await call.speak(600);
  await call.silence(3_000);
  call.asked.hear({ type: 'language', language: 'pt-BR' });
  await call.speak(600);
  await call.silence(3_000);
  const answers = requests.filter(({ text }) => text.startsWith('Réponse'));
  expect(requests[0]).toMatchObject({ voice: 'voice' });
  expect(requests[0]).not.toHaveProperty('language');
  expect(answers.map(({ voice, language }) => [voice, language])).toEqual([
    ['Zoé', 'fr'],
    ['Lia', 'pt-BR'],
  ]);
});

it('a language that was set is not given up for one that was guessed', async () => {
  const call = createCall({
    agent: { language: 'en', voices: { fr: 'Zoé' } },
    script: { transcripts: ['Hello.'] },
  });
  const requests = spokenRequests(call);
  await call.start();
  call.asked.hear({ type: 'language', language: 'fr' });
  await call.speak(600);
  await call.silence(3_000);
  expect(requests.at(-1)).toMatchObject({ voice: 'voice', language: 'en' });
});
