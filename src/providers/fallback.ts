import { type ChainOptions, chainLanguageModel, chainTextToSpeech } from './chain.ts';
import type { ChainMember } from './chain-members.ts';
import type { LanguageModel, ProviderError, TextToSpeech } from './ports.ts';
import { ProviderError as isProviderError } from './ports.ts';
import type { Transcribe } from './windowed-session.ts';
