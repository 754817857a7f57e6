import {
  chainedEars,
  chainedModel,
  chainedVoice,
  scriptedEars,
} from '../../support/port-conformance-chains.ts';
import { anthropicModel, bedrockModel } from '../../support/port-conformance-claude.ts';
import { deepgramEars, deepgramVoice } from '../../support/port-conformance-deepgram.ts';
import { elevenLabsVoice } from '../../support/port-conformance-elevenlabs.ts';
import { describeLanguageModel } from '../../support/port-conformance-language-model.ts';
import { openAiEars, openAiModel, openAiVoice } from '../../support/port-conformance-openai.ts';
import { openAiRealtimeEars, openAiRealtimeVoice } from '../../support/port-conformance-openai-realtime.ts';
import { describeSpeechToText } from '../../support/port-conformance-speech-to-text.ts';
import { describeTextToSpeech } from '../../support/port-conformance-text-to-speech.ts';
import { workersAiEars, workersAiModel, workersAiVoice } from '../../support/port-conformance-workers-ai.ts';

describeSpeechToText('OpenAI', openAiEars);
describeSpeechToText('OpenAI Realtime', openAiRealtimeEars);
describeSpeechToText('Deepgram Nova', deepgramEars('nova-3'));
describeSpeechToText('Deepgram Flux', deepgramEars('flux-general-en'));
describeSpeechToText('Workers AI', workersAiEars);
describeSpeechToText('a chain', scriptedEars);
describeSpeechToText('a chain whose first is down', chainedEars('down', deepgramEars('nova-3'), openAiEars));
describeSpeechToText(
  'a chain whose first is silent',
  chainedEars('silent', openAiEars, deepgramEars('nova-3')),
);

describeLanguageModel('OpenAI', openAiModel);
describeLanguageModel('Anthropic', anthropicModel);
describeLanguageModel('Bedrock', bedrockModel);
describeLanguageModel('Workers AI, events of its own', workersAiModel('own'));
describeLanguageModel('Workers AI, events of OpenAI’s form', workersAiModel('openai'));
describeLanguageModel(
  'a chain whose first is rate limited',
  chainedModel('rateLimited', openAiModel, anthropicModel),
);

describeTextToSpeech('OpenAI', openAiVoice);
describeTextToSpeech('OpenAI Realtime', openAiRealtimeVoice);
describeTextToSpeech('Deepgram', deepgramVoice);
describeTextToSpeech('ElevenLabs', elevenLabsVoice('socket'));
describeTextToSpeech('ElevenLabs over HTTP', elevenLabsVoice('http'));
describeTextToSpeech('Workers AI', workersAiVoice);
describeTextToSpeech(
  'a chain whose first sends nonsense',
  chainedVoice('malformed', openAiVoice, deepgramVoice),
);
