import { z } from 'zod';
import type { TextToSpeech, TextToSpeechRequest } from './ports.ts';

/** Voices for languages, by lower-case BCP 47 tag or its first part. */
export type Voices = Readonly<Record<string, string>>;

export const voicesSchema = z.record(
  z.string().regex(/^[a-z]{2,3}(-[a-z0-9]{2,8})*$/),
  z.string().min(1).max(128),
);

/** The voice for a language: that of its tag, of the tag's first part, or the other one. */
export function voiceFor(voices: Voices, language: string | null | undefined, other: string): string {
  const tag = language?.toLowerCase() ?? '';
  return voices[tag] ?? voices[tag.split('-')[0] ?? ''] ?? other;
}

/** A provider with voices of its own: it speaks with them, whichever voice of another provider's is asked for. */
export function withVoices(speech: TextToSpeech, voices: Voices, voice: string | undefined): TextToSpeech {
  const own = <Request extends Omit<TextToSpeechRequest, 'text'>>(request: Request): Request => ({
    ...request,
    voice: voiceFor(voices, request.language, voice ?? request.voice),
  });
  return {
    speak: (request, signal) => speech.speak(own(request), signal),
    warm: (as) => speech.warm?.(own(as)),
    close: () => speech.close?.(),
  };
}
