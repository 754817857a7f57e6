import type { TextToSpeechRequest } from '../providers/ports.ts';
import { voiceFor } from '../providers/voices.ts';
import type { AgentConfig } from './agent-config.ts';

/** A BCP 47 tag (RFC 5646) as providers and settings give them: a language, and what tells it more exactly. */
export const languageTag = /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,7}$/;

/** How the agent's words are spoken where the call's language is this one; null: it is not known. */
export function spokenAs(
  agent: Pick<AgentConfig, 'voices' | 'voice'>,
  sampleRate: 8000 | 16000,
  language: string | null,
): Omit<TextToSpeechRequest, 'text'> {
  const voice = voiceFor(agent.voices, language, agent.voice);
  return { sampleRate, voice, ...(language === null ? {} : { language }) };
}

/** A prompt for a model that answers in the language of the call. */
export function promptIn(language: string | null, prompt: string): string {
  return language === null ? prompt : `${prompt}\n\nSpeak the language with the BCP 47 tag ${language}.`;
}
