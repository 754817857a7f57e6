import { decodeBase64 } from '../../src/audio/base64.ts';
import { encodeMulaw } from '../../src/audio/g711.ts';
import { encodePcm16 } from '../../src/audio/pcm.ts';
import { workersAiLanguageModel } from '../../src/providers/workers-ai/language-model.ts';
import { workersAiSpeechToText } from '../../src/providers/workers-ai/speech-to-text.ts';
import { workersAiTextToSpeech } from '../../src/providers/workers-ai/text-to-speech.ts';
import type { Subject, VendorFault } from './port-conformance.ts';
import { always, textOfWav, tone } from './port-conformance-http.ts';
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
import {
  type AiAnswer,
  chunkedReply,
  events,
  failure,
  hang,
  ownReply,
  stream,
  WorkersAiDouble,
  whisperAnswer,
} from './workers-ai-double.ts';

/** Deadline of a vendor that never answers. */
const SHORT_MS = 200;

const faults: Record<VendorFault, AiAnswer> = {
  keyRefused: failure(403, 5018, 'not allowed'),
  rateLimited: failure(429, 3040, 'no capacity'),
  down: failure(503, 9999, 'down'),
  silent: hang,
  malformed: stream(['<html>'], 'text/html'),
};

/** The binding has no connections to count: what is open is what was asked with a signal that has not fired. */
function doubleOf(model: string, answer: AiAnswer): { ai: WorkersAiDouble } & Subject {
  const ai = new WorkersAiDouble();
  let open = 0;
  const counted: AiAnswer = (call) => {
    open++;
    const signal = call.options.signal as AbortSignal;
    const over = () => {
      open--;
    };
    if (signal.aborted) over();
    else signal.addEventListener('abort', over, { once: true });
    return answer(call);
  };
  ai.script(model, ...always(counted));
  return { ai, open: () => open, made: () => ai.calls.length, close: async () => {} };
}

export async function workersAiEars(fault: VendorFault | null): Promise<SpeechToTextSubject> {
  const transcribe: AiAnswer = (call) =>
    whisperAnswer(textOfWav(decodeBase64(String(call.inputs.audio))!))(call);
  const model = '@cf/openai/whisper-large-v3-turbo';
  const { ai, ...subject } = doubleOf(model, fault === null ? transcribe : faults[fault]);
  const deadlines = fault === 'silent' ? { deadlineMs: SHORT_MS } : {};
  return {
    ...subject,
    speechToText: workersAiSpeechToText({ ai, maxRetries: 1, ...deadlines }),
    speech: tone,
  };
}

/** @param form of the answers' events. */
export function workersAiModel(form: 'own' | 'openai') {
  return async (behaviour: ModelBehaviour): Promise<LanguageModelSubject> => {
    const talking = form === 'own' ? ownReply(pieces) : chunkedReply(pieces.map((content) => ({ content })));
    const begun = form === 'own' ? talking.slice(0, 1) : talking.slice(0, 2);
    const args = JSON.stringify(toolCall.arguments);
    const call = {
      id: 'call_1',
      type: 'function',
      function: { name: toolCall.name, arguments: args.slice(0, 5) },
    };
    const asking =
      form === 'own'
        ? ownReply([pieces[0]], [{ name: toolCall.name, arguments: toolCall.arguments }])
        : chunkedReply(
            [
              { content: pieces[0] },
              { tool_calls: [{ index: 0, ...call }] },
              { tool_calls: [{ index: 0, function: { arguments: args.slice(5) } }] },
            ],
            'tool_calls',
          );
    const answers: Record<ModelBehaviour, AiAnswer> = {
      ...faults,
      talks: events(talking),
      asksForTool: events(asking),
      stalls: events(begun, 'hang'),
      breaksOff: events(begun, 'cut'),
      rejects: failure(400, 5004, 'invalid data'),
    };
    const model = '@cf/meta/llama-3.3-70b-instruct-fp8-fast';
    const { ai, ...subject } = doubleOf(model, answers[behaviour]);
    const deadlines = behaviour === 'silent' ? { firstTokenMs: SHORT_MS } : {};
    return {
      ...subject,
      languageModel: workersAiLanguageModel({ ai, maxRetries: 1, ...deadlines }),
      asked: () => ai.calls.at(-1)!.inputs,
    };
  };
}

/** 20 ms for each character. */
const speak: AiAnswer = (call) => {
  const { text, encoding } = call.inputs;
  const samples = new Int16Array(String(text).length * (encoding === 'mulaw' ? 160 : 320)).fill(1000);
  const bytes = encoding === 'mulaw' ? encodeMulaw(samples) : encodePcm16(samples);
  const stalls = String(text).startsWith(STALLING);
  const parts = [bytes.subarray(0, 501), ...(stalls ? [] : [bytes.subarray(501)])];
  return stream(parts, 'audio/mpeg', stalls ? 'hang' : 'complete')(call);
};

export async function workersAiVoice(behaviour: VoiceBehaviour): Promise<TextToSpeechSubject> {
  const answers: Record<VoiceBehaviour, AiAnswer> = {
    ...faults,
    speaks: speak,
    breaksOff: stream([new Uint8Array(800).fill(7)], 'audio/mpeg', 'cut'),
    empty: stream([], 'audio/mpeg'),
  };
  const { ai, ...subject } = doubleOf('@cf/deepgram/aura-2-en', answers[behaviour]);
  const deadlines = behaviour === 'silent' ? { firstAudioMs: SHORT_MS } : {};
  return {
    ...subject,
    textToSpeech: workersAiTextToSpeech({ ai, maxRetries: 1, ...deadlines }),
    voice: 'luna',
    samplesOf: (text, sampleRate) => (text.length * sampleRate) / 50,
    release: () => {},
  };
}
