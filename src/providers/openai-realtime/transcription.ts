import type { AudioTranscription } from 'openai/resources/realtime/realtime';
import { keywordsOf, languageCode, promptWith } from '../openai/transcription-hints.ts';

export const defaultTranscriptionModel = 'gpt-live-transcribe';

export interface TranscriptionHints {
  model: string;
  /** BCP 47 tag. */
  language?: string | undefined;
  keywords?: readonly string[] | undefined;
  /** What the call is about, in the language of the audio. */
  prompt?: string | undefined;
  /** Longer waits make better text. Absent: the model's own. */
  delay?: AudioTranscription['delay'] | undefined;
}

/**
 * The hints in the fields that the model knows (https://developers.openai.com/api/docs/guides/realtime-transcription, "Add
 * transcription context"): `gpt-transcribe` and `gpt-live-transcribe` take `languages` and `keywords`, and a session with `language`
 * besides is refused; the models before them take `language`, and words to expect as `prompt`; `gpt-realtime-whisper` takes no prompt.
 */
export function transcriptionOf(hints: TranscriptionHints): AudioTranscription {
  const { model, prompt, delay } = hints;
  const language = languageCode(hints.language);
  const keywords = keywordsOf(hints.keywords);
  const common = { model, ...(delay === undefined ? {} : { delay }) };
  if (/^gpt-(?:live-)?transcribe/.test(model)) {
    return {
      ...common,
      ...(language === undefined ? {} : { languages: [language] }),
      ...(keywords.length === 0 ? {} : { keywords }),
      ...(prompt === undefined ? {} : { prompt }),
    };
  }
  const words = promptWith(prompt, keywords);
  return {
    ...common,
    ...(language === undefined ? {} : { language }),
    ...(words === null || model.startsWith('gpt-realtime-whisper') ? {} : { prompt: words }),
  };
}
