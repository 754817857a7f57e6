import { openAiLanguageModel } from '../../src/providers/openai/language-model.ts';
import { openAiSpeechToText } from '../../src/providers/openai/speech-to-text.ts';
import { openAiTextToSpeech } from '../../src/providers/openai/text-to-speech.ts';
import {
  type Answer,
  body,
  completion,
  events,
  formOf,
  hang,
  json,
  jsonOf,
  OpenAiDouble,
  status,
  stream,
} from './openai-double.ts';
import type { VendorFault } from './port-conformance.ts';
import { always, RequestCount, textOfWav, tone } from './port-conformance-http.ts';
import {
  type LanguageModelSubject,
  type ModelBehaviour,
  pieces,
  toolCall,
} from './port-conformance-language-model.ts';
import type { SpeechToTextSubject } from './port-conformance-speech-to-text.ts';
import {
  STALLING,
  type TextToSpeechSubject,
  type VoiceBehaviour,
} from './port-conformance-text-to-speech.ts';

/** Deadlines of a vendor that never answers. */
const SHORT_MS = 200;

const faults: Record<VendorFault, Answer> = {
  keyRefused: status(401),
  rateLimited: status(429),
  down: status(503),
  silent: hang(),
  malformed: body('<html>', 'text/html'),
};

async function doubleOf(path: string, answer: Answer) {
  const double = await OpenAiDouble.start();
  const count = new RequestCount();
  double.script(path, ...always(count.of(answer)));
  return {
    double,
    settings: { apiKey: 'key', baseUrl: double.baseUrl, model: 'scripted', maxRetries: 1 },
    open: () => count.open,
    made: () => count.made,
    close: () => double.close(),
  };
}

const transcribe: Answer = async (request, response) => {
  const file = (await formOf(request)).get('file') as unknown as File;
  const text = textOfWav(new Uint8Array(await file.arrayBuffer()));
  await json({ text, usage: { type: 'duration', seconds: 1 } })(request, response);
};

export async function openAiEars(fault: VendorFault | null): Promise<SpeechToTextSubject> {
  const { settings, ...subject } = await doubleOf(
    '/audio/transcriptions',
    fault === null ? transcribe : faults[fault],
  );
  const deadlines = fault === 'silent' ? { deadlineMs: SHORT_MS } : {};
  return { ...subject, speechToText: openAiSpeechToText({ ...settings, ...deadlines }), speech: tone };
}

export async function openAiModel(behaviour: ModelBehaviour): Promise<LanguageModelSubject> {
  const args = JSON.stringify(toolCall.arguments);
  const answers: Record<ModelBehaviour, Answer> = {
    ...faults,
    talks: events(completion(pieces)),
    asksForTool: events(
      completion([pieces[0]], 'tool_calls', [
        { index: 0, id: 'call_1', type: 'function', function: { name: toolCall.name, arguments: '' } },
        { index: 0, function: { arguments: args.slice(0, 5) } },
        { index: 0, function: { arguments: args.slice(5) } },
      ]),
    ),
    stalls: events(completion(pieces).slice(0, 2), 'hang'),
    breaksOff: events(completion(pieces).slice(0, 2), 'cut'),
    rejects: status(400),
  };
  const { settings, double, ...subject } = await doubleOf('/chat/completions', answers[behaviour]);
  const deadlines = behaviour === 'silent' ? { firstTokenMs: SHORT_MS } : {};
  return {
    ...subject,
    languageModel: openAiLanguageModel({ ...settings, ...deadlines }),
    asked: () => jsonOf(double.requests.at(-1)!),
  };
}

/** 20 ms of 24 kHz PCM for each character. */
const pcmOf = (text: string) => new Uint8Array(text.length * 960).fill(17);

/** In two parts, the second of which waits where the text says so. */
const speak: Answer = (request, response) => {
  const text = String(jsonOf(request).input);
  const pcm = pcmOf(text);
  const stalls = text.startsWith(STALLING);
  const parts = [pcm.subarray(0, 1001), ...(stalls ? [] : [pcm.subarray(1001)])];
  return stream(parts, 'audio/pcm', stalls ? 'hang' : 'complete')(request, response);
};

export async function openAiVoice(behaviour: VoiceBehaviour): Promise<TextToSpeechSubject> {
  const answers: Record<VoiceBehaviour, Answer> = {
    ...faults,
    speaks: speak,
    breaksOff: stream([pcmOf('Half')], 'audio/pcm', 'cut'),
    empty: stream([], 'audio/pcm'),
  };
  const { settings, ...subject } = await doubleOf('/audio/speech', answers[behaviour]);
  const deadlines = behaviour === 'silent' ? { firstAudioMs: SHORT_MS } : {};
  return {
    ...subject,
    textToSpeech: openAiTextToSpeech({ ...settings, ...deadlines }),
    voice: 'alloy',
    samplesOf: (text, sampleRate) => (text.length * sampleRate) / 50,
    // The request of what was cancelled is gone.
    release: () => {},
  };
}
