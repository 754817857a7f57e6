import { type Clock, systemClock } from '../call/clock.ts';
import { type OpenAiLanguageModelSettings, openAiLanguageModel } from './openai/language-model.ts';
import { type OpenAiSpeechToTextSettings, openAiSpeechToText } from './openai/speech-to-text.ts';
import { type OpenAiTextToSpeechSettings, openAiTextToSpeech } from './openai/text-to-speech.ts';
import type { LanguageModel, SpeechToText, TextToSpeech } from './ports.ts';

/** Which vendor stands behind each port, and its own settings. */
export interface ProviderSettings {
  speechToText: { vendor: 'openai' } & OpenAiSpeechToTextSettings;
  languageModel: { vendor: 'openai' } & OpenAiLanguageModelSettings;
  textToSpeech: { vendor: 'openai' } & OpenAiTextToSpeechSettings;
}

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
    languageModel: languageModel[settings.languageModel.vendor](settings.languageModel, clock),
    textToSpeech: textToSpeech[settings.textToSpeech.vendor](settings.textToSpeech, clock),
  };
}
