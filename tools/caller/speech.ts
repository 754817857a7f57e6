import OpenAI from 'openai';
import type { SampleRate } from '../../src/dialects/native-messages.ts';
import { wavToSamples } from './audio.ts';

/** Where speech for the caller is made: anything that speaks OpenAI's `/v1/audio/speech`. */
export interface SpeechSource {
  /** Up to and with `/v1`. */
  baseUrl: string;
  apiKey: string;
  /** Default `gpt-4o-mini-tts`, for which the embedded engines have a stand-in. */
  model?: string;
  voice?: string;
}

/** Not the agent's own, so that a listener can tell the two apart; of flite's others the one best understood over μ-law. */
export const callerVoice = 'awb';
const defaultModel = 'gpt-4o-mini-tts';
const timeoutMs = 30_000;
/** OpenAI's own bound of the text. */
export const spokenCharacters = 4096;

/** `text` as speech at `sampleRate`. Throws the `openai` package's errors, or `AudioFormatError`. */
export async function synthesise(
  source: SpeechSource,
  text: string,
  sampleRate: SampleRate,
  signal?: AbortSignal,
): Promise<Int16Array> {
  if (text.length > spokenCharacters)
    throw new RangeError(`at most ${spokenCharacters} characters can be said`);
  const client = new OpenAI({
    baseURL: source.baseUrl,
    apiKey: source.apiKey,
    timeout: timeoutMs,
    maxRetries: 1,
    // The caller's machine may have such variables set for other work; they are no part of this.
    organization: null,
    project: null,
  });
  const response = await client.audio.speech.create(
    {
      model: source.model ?? defaultModel,
      voice: source.voice ?? callerVoice,
      input: text,
      response_format: 'wav',
    },
    signal === undefined ? {} : { signal },
  );
  return wavToSamples(new Uint8Array(await response.arrayBuffer()), sampleRate);
}
