import OpenAI from 'openai';
import type { Clock, Random } from '../../call/clock.ts';
import { withClientAttempts } from '../client-attempts.ts';
import { toProviderError } from './errors.ts';

/** What each port needs to reach OpenAI, or a server that speaks its API. */
export interface OpenAiSettings {
  apiKey: string;
  /** With the version, e.g. `https://api.openai.com/v1`, the default. */
  baseUrl?: string;
  model: string;
  /** The longest wait for the head of one attempt's answer, and for the whole of it unless it is streamed. Default 4,000: a hung attempt leaves time for another one. */
  timeoutMs?: number;
  /**
   * Attempts after the first on 408, 409, 429, 5xx and broken connections, with exponential back-off, or as late as the vendor asks;
   * where it asks for more than 5 s, none. Default 3.
   */
  maxRetries?: number;
}

export const DEFAULT_BASE_URL = 'https://api.openai.com/v1';
export const DEFAULT_TIMEOUT_MS = 4_000;
const defaultMaxRetries = 3;

/** The official client, configured by the settings alone: nothing is taken from the environment. */
export function createOpenAiClient(settings: OpenAiSettings): OpenAI {
  return new OpenAI({
    apiKey: settings.apiKey,
    baseURL: settings.baseUrl ?? DEFAULT_BASE_URL,
    organization: null,
    project: null,
    adminAPIKey: null,
    webhookSecret: null,
    timeout: settings.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    // See `requestOpenAi`.
    maxRetries: 0,
    // Failures come back as ProviderError; the client would print them as well.
    logLevel: 'off',
  });
}

/** How requests to one model are made. */
export interface OpenAiRequests {
  /** Provider and model, e.g. `openai/gpt-6-luna`. */
  provider: string;
  settings: OpenAiSettings;
  clock: Clock;
  random: Random;
}

/** One request, until its answer begins or, if it is not streamed, is there, with its retries: see `withClientAttempts`. */
export function requestOpenAi<T>(
  { provider, settings, clock, random }: OpenAiRequests,
  signal: AbortSignal,
  request: () => Promise<T>,
): Promise<T> {
  const maxRetries = settings.maxRetries ?? defaultMaxRetries;
  return withClientAttempts(request, { provider, maxRetries, clock, random, signal, toProviderError });
}
