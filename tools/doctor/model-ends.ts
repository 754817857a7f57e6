import Anthropic from '@anthropic-ai/sdk';
import { z } from 'zod';
import type { Clock } from '../../src/call/clock.ts';
import { startOfText } from '../../src/providers/bodies.ts';
import { createOpenAiClient } from '../../src/providers/openai/client.ts';
import type { Member } from './members.ts';

/** When a vendor ends a model. */
export interface ModelEnd {
  /** ISO 8601, UTC. */
  date: string;
  /** Whole days from now, 0 on the day itself; negative: it is past. */
  days: number;
}

/** Ends further off than this need no warning yet. */
export const warningDays = 90;

/** The longest wait for a vendor's list, in milliseconds. */
const limitMs = 5_000;
/** OpenAI lists some hundred models, each in 200 characters. */
const longestList = 2_000_000;

/** `shutdown_date` of `Model` in the `openai` package 7.55: "null if not announced". */
const openAiSchema = z.object({
  data: z
    .array(z.object({ id: z.string().max(500), shutdown_date: z.string().max(100).nullish() }))
    .max(10_000),
});
/** `retires_at` of `ModelInfo` in `@anthropic-ai/sdk` 1.11: "null while no retirement is scheduled". */
const anthropicSchema = z.object({ retires_at: z.string().max(100).nullish() });

/** Asks vendors when their models end: OpenAI's `GET /v1/models` (once for each key and address), and Anthropic's `GET /v1/models/{id}`. */
export class ModelEnds {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #lists = new Map<string, Promise<ReadonlyMap<string, string>>>();

  /** @param signal gives up what is being asked. */
  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Null where the vendor tells no end, or cannot be asked. Never throws. */
  async of({ model, settings }: Member): Promise<ModelEnd | null> {
    const { vendor } = settings;
    try {
      const told = vendor.startsWith('openai')
        ? (await this.#openAi(settings)).get(model)
        : vendor === 'anthropic'
          ? await this.#anthropic(settings, model)
          : null;
      return told === null || told === undefined ? null : endOf(told, this.#clock.now());
    } catch {
      // The trial has told whether the vendor answers; a server that speaks OpenAI's API need have no list.
      return null;
    }
  }

  #openAi(settings: Member['settings']): Promise<ReadonlyMap<string, string>> {
    const id = JSON.stringify([settings.baseUrl ?? null, settings.apiKey]);
    const known = this.#lists.get(id);
    if (known !== undefined) return known;
    const list = this.#listOpenAi(settings);
    this.#lists.set(id, list);
    return list;
  }

  async #listOpenAi({ apiKey, baseUrl }: Member['settings']): Promise<ReadonlyMap<string, string>> {
    // The Realtime API's address may be given as a socket's; the list is asked by HTTP.
    const address = baseUrl === undefined ? {} : { baseUrl: baseUrl.replace(/^ws/, 'http') };
    const client = createOpenAiClient({ apiKey, ...address, model: '', timeoutMs: limitMs, maxRetries: 0 });
    const json = await this.#read((signal) => client.models.list({ signal }).asResponse());
    return new Map(
      openAiSchema
        .parse(json)
        .data.flatMap(({ id, shutdown_date }) => (shutdown_date ? [[id, shutdown_date]] : [])),
    );
  }

  async #anthropic({ apiKey, baseUrl }: Member['settings'], model: string): Promise<string | null> {
    const client = new Anthropic({
      apiKey,
      authToken: null,
      // Else it would be taken from the environment.
      baseURL: baseUrl ?? 'https://api.anthropic.com',
      timeout: limitMs,
      maxRetries: 0,
      logLevel: 'off',
    });
    const json = await this.#read((signal) => client.models.retrieve(model, {}, { signal }).asResponse());
    return anthropicSchema.parse(json).retires_at ?? null;
  }

  async #read(ask: (signal: AbortSignal) => Promise<Response>): Promise<unknown> {
    const over = new AbortController();
    const timer = this.#clock.after(limitMs, () => over.abort());
    try {
      const signal = AbortSignal.any([this.#signal, over.signal]);
      return JSON.parse(await startOfText(await ask(signal), longestList, signal));
    } finally {
      timer.cancel();
    }
  }
}

const dayMs = 24 * 3_600_000;

/** @param told a date, or a moment, as the vendor writes it. @param now milliseconds since the epoch. */
export function endOf(told: string, now: number): ModelEnd | null {
  const at = Date.parse(told);
  if (Number.isNaN(at)) return null;
  return { date: new Date(at).toISOString(), days: Math.floor(at / dayMs) - Math.floor(now / dayMs) };
}
