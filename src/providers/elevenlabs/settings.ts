import type { Dial } from '../vendor-socket.ts';

/** How to speak; what is absent is the voice's own. elevenlabs.io/docs/api-reference/voices/settings. */
export interface ElevenLabsVoiceSettings {
  /** 0 to 1. */
  stability?: number;
  /** 0 to 1. */
  similarityBoost?: number;
  /** 0 to 1; costs time. */
  style?: number;
  useSpeakerBoost?: boolean;
  /** 0.7 to 1.2. */
  speed?: number;
}

export interface ElevenLabsSettings {
  apiKey: string;
  /** Without the version. Default `https://api.elevenlabs.io`; data residency: `https://api.eu.residency.elevenlabs.io`. */
  baseUrl?: string;
  /** Default `eleven_flash_v2_5`. `eleven_v3` has no multi-context socket: with it, `transport` must be `http`. */
  model?: string;
  /** A voice's id; speaks in place of the voice that is asked for, which is another provider's. */
  voice?: string;
  voiceSettings?: ElevenLabsVoiceSettings;
  /**
   * `socket`, the default: one multi-context WebSocket per call, HTTP while none can be had. `http`: one streamed request per
   * sentence.
   */
  transport?: 'socket' | 'http';
  /** False: zero retention, for enterprise customers. Default true. */
  enableLogging?: boolean;
  /** The longest wait for an open socket. Default 2,000. */
  connectMs?: number;
  /** The longest wait for the first audio of one attempt: a hung one leaves time for another. Default 4,000. */
  attemptMs?: number;
  /** The longest wait for the first audio, all attempts included. Default 10,000. */
  firstAudioMs?: number;
  /** The longest wait for more audio. Default 5,000. */
  idleMs?: number;
  /** Attempts after the first on 408, 409, 429, 5xx, broken connections and hung attempts. Default 3. */
  maxRetries?: number;
  dial?: Dial;
}

export const elevenLabsDefaults = {
  baseUrl: 'https://api.elevenlabs.io',
  model: 'eleven_flash_v2_5',
  connectMs: 2_000,
  // No p99 of the first audio is published (peers.md: p50 288 ms for Flash): OpenAI's deadlines.
  attemptMs: 4_000,
  firstAudioMs: 10_000,
  idleMs: 5_000,
  maxRetries: 3,
} as const;

/** The settings with every default filled in. */
export type ResolvedSettings = ElevenLabsSettings &
  Required<Pick<ElevenLabsSettings, keyof typeof elevenLabsDefaults>>;

/** What a socket's address, or a request's, depends on. */
export interface SpeechTarget {
  voice: string;
  sampleRate: 8000 | 16000;
  /** BCP 47. */
  language?: string;
}

/** `ulaw_8000` and `pcm_16000` of the documented output formats: what the call works with, without conversion. */
export function encodingOf(sampleRate: 8000 | 16000): { format: string; encoding: 'mulaw' | 'pcm16' } {
  return sampleRate === 8000
    ? { format: 'ulaw_8000', encoding: 'mulaw' }
    : { format: 'pcm_16000', encoding: 'pcm16' };
}

/** ISO 639-1, for models that heed it; `eleven_multilingual_v2` does not (types of `stream`, `languageCode`). */
export function languageCodeOf(model: string, language: string | undefined): string | undefined {
  if (language === undefined || model.endsWith('multilingual_v2')) return undefined;
  return language.split('-')[0]!.toLowerCase();
}

/** The wire's form of the voice settings; null where none are set. */
export function wireVoiceSettings(
  settings: ElevenLabsVoiceSettings | undefined,
): Record<string, unknown> | null {
  if (settings === undefined) return null;
  const { stability, similarityBoost, style, useSpeakerBoost, speed } = settings;
  const wire = {
    stability,
    similarity_boost: similarityBoost,
    style,
    use_speaker_boost: useSpeakerBoost,
    speed,
  };
  const set = Object.entries(wire).filter(([, value]) => value !== undefined);
  return set.length === 0 ? null : Object.fromEntries(set);
}
