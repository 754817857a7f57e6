import { request as ask } from 'node:http';
import { openAiLanguageModel } from '../../../src/providers/openai/language-model.ts';
import { openAiSpeechToText } from '../../../src/providers/openai/speech-to-text.ts';
import { openAiTextToSpeech } from '../../../src/providers/openai/text-to-speech.ts';
import { type Answer, HttpDouble, jsonOf } from '../../support/http-double.ts';
import type { VendorFault } from '../../support/port-conformance.ts';
import { always, RequestCount } from '../../support/port-conformance-http.ts';
import {
  describeLanguageModel,
  type LanguageModelSubject,
  type ModelBehaviour,
} from '../../support/port-conformance-language-model.ts';
import {
  describeSpeechToText,
  type SpeechToTextSubject,
} from '../../support/port-conformance-speech-to-text.ts';
import {
  describeTextToSpeech,
  type TextToSpeechSubject,
  type VoiceBehaviour,
} from '../../support/port-conformance-text-to-speech.ts';
import { apiKey, resampled, useEngines } from './support.ts';

// The ports' contract over real engines in place of scripted vendors, so far as these can be made to fail at all.

const server = useEngines();
/** Its next word takes a second, so that a reply can be caught before it begins, and in the middle. */
const slowServer = useEngines({ wordDelayMs: 1_000 });

/** Shorter than the slow server's first word. */
const SHORT_MS = 200;

/** What the synthesiser says so that the recogniser understands it, at either rate. */
const phrases = [
  'Good morning.',
  'Thank you.',
  'Yes, please.',
  'Good evening.',
  'I am sorry.',
  'No, thank you.',
  'Not today.',
  'Tomorrow.',
];

/** Passes a request on as it is, and the answer back as it comes. */
function passOn(url: string): Answer {
  return ({ method, path, headers, body }, response) => {
    const onward = ask(`${url}/v1${path}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.once('close', () => onward.destroy());
    onward.end(body);
  };
}

/** The engines, behind a door that counts. */
async function engines(path: string, model: string, behaviour: string | null) {
  const { url } = (behaviour === 'stalls' || behaviour === 'silent' ? slowServer : server).engines;
  const double = await HttpDouble.start('/v1');
  const count = new RequestCount();
  double.script(path, ...always(count.of(passOn(url))));
  return {
    double,
    settings: {
      apiKey: behaviour === 'keyRefused' ? 'another-key' : apiKey,
      // Nobody listens there.
      baseUrl: behaviour === 'down' ? 'http://127.0.0.1:1/v1' : double.baseUrl,
      model: behaviour === 'rejects' ? 'no-such-model' : model,
      maxRetries: 1,
    },
    open: () => count.open,
    made: () => count.made,
    close: () => double.close(),
  };
}

/** The synthesiser's audio, asked for by the official client. */
async function spoken(input: string, sampleRate: number): Promise<Int16Array> {
  const asked = { model: 'flite', voice: 'rms', input, response_format: 'pcm' } as const;
  const response = await server.client().audio.speech.create(asked);
  return resampled(new Int16Array(await response.arrayBuffer()), 24_000, sampleRate);
}

/** Made once: each test says some of them. */
let phrasesSpoken: Promise<Map<string, Int16Array>> | null = null;

async function speakPhrases(): Promise<Map<string, Int16Array>> {
  const speech = new Map<string, Int16Array>();
  for (const sampleRate of [8000, 16_000]) {
    for (const text of phrases) speech.set(`${text} ${sampleRate}`, await spoken(text, sampleRate));
  }
  return speech;
}

async function ears(fault: VendorFault | null): Promise<SpeechToTextSubject> {
  phrasesSpoken ??= speakPhrases();
  const speech = await phrasesSpoken;
  const { settings, ...subject } = await engines('/audio/transcriptions', 'gpt-transcribe', fault);
  return {
    ...subject,
    speechToText: openAiSpeechToText(settings),
    speech(number, sampleRate) {
      const text = phrases[number]!;
      return { text, samples: speech.get(`${text} ${sampleRate}`)! };
    },
  };
}

async function model(behaviour: ModelBehaviour): Promise<LanguageModelSubject> {
  const { settings, double, ...subject } = await engines('/chat/completions', 'gpt-6-luna', behaviour);
  const deadlines = behaviour === 'silent' ? { firstTokenMs: SHORT_MS } : {};
  return {
    ...subject,
    languageModel: openAiLanguageModel({ ...settings, ...deadlines }),
    asked: () => jsonOf(double.requests.at(-1)!),
    // In one piece, by the official client.
    async says({ messages }) {
      const whole = await server.client().chat.completions.create({
        model: 'gpt-6-luna',
        messages: messages.map((message) =>
          message.role === 'tool'
            ? { role: 'tool', tool_call_id: message.toolCallId, content: message.content }
            : { role: message.role, content: message.content },
        ),
      });
      return whole.choices[0]?.message.content?.match(/\s*\S+/g) ?? [];
    },
  };
}

async function voice(behaviour: VoiceBehaviour): Promise<TextToSpeechSubject> {
  const { settings, ...subject } = await engines('/audio/speech', 'gpt-4o-mini-tts', behaviour);
  return {
    ...subject,
    textToSpeech: openAiTextToSpeech(settings),
    voice: 'alloy',
    samplesOf: async (text, sampleRate) => (await spoken(text, sampleRate)).length,
    // Nothing stalls: what was cancelled is given up.
    release: () => {},
  };
}

const oneOf =
  <T>(...known: T[]) =>
  (behaviour: T) =>
    known.includes(behaviour);

describeSpeechToText('embedded', ears, oneOf<VendorFault>('keyRefused', 'down'));
describeLanguageModel(
  'embedded',
  model,
  oneOf<ModelBehaviour>('talks', 'stalls', 'silent', 'keyRefused', 'down', 'rejects'),
);
describeTextToSpeech('embedded', voice, oneOf<VoiceBehaviour>('speaks', 'keyRefused', 'down'));
