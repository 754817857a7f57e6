import { type Clock, systemClock } from '../call/clock.ts';
import { fallbackLanguageModel, fallbackTextToSpeech } from './fallback.ts';
import { type OpenAiLanguageModelSettings, openAiLanguageModel } from './openai/language-model.ts';
import { type OpenAiSpeechToTextSettings, openAiSpeechToText } from './openai/speech-to-text.ts';
import { type OpenAiTextToSpeechSettings, openAiTextToSpeech } from './openai/text-to-speech.ts';
import type { LanguageModel, SpeechToText, TextToSpeech } from './ports.ts';

/** Which vendor stands behind each port, and its own settings. */
export interface ProviderSettings {
  speechToText: { vendor: 'openai' } & OpenAiSpeechToTextSettings;
  languageModel: LanguageModelSettings & { fallbacks?: readonly LanguageModelSettings[] };
  textToSpeech: TextToSpeechSettings & { fallbacks?: readonly TextToSpeechSettings[] };
}

type LanguageModelSettings = { vendor: 'openai' } & OpenAiLanguageModelSettings;
type TextToSpeechSettings = { vendor: 'openai' } & OpenAiTextToSpeechSettings;

/** What a call hears, thinks and speaks with. */
export interface Providers {
  speechToText: SpeechToText;
  languageModel: LanguageModel;
  textToSpeech: TextToSpeech;
}

const speechToText = { openai: openAiSpeechToText };
const languageModel = { openai: openAiLanguageModel };
const textToSpeech = { openai: openAiTextToSpeech };

/** Makes the providers of one call, or of many: they hold no state between requests. Connects to nothing yet. */
export function createProviders(settings: ProviderSettings, clock: Clock = systemClock): Providers {
  return {
    speechToText: speechToText[settings.speechToText.vendor](settings.speechToText, clock),
    languageModel: fallbackLanguageModel(
      withFallbacks(settings.languageModel).map((each) => languageModel[each.vendor](each, clock)),
    ),
    textToSpeech: fallbackTextToSpeech(
      withFallbacks(settings.textToSpeech).map((each) => textToSpeech[each.vendor](each, clock)),
    ),
  };
}

function withFallbacks<T>(settings: T & { fallbacks?: readonly T[] }): readonly T[] {
  return [settings, ...(settings.fallbacks ?? [])];
}
