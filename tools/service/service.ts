import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { z } from 'zod';
import { buildConsole } from '../console/build.ts';
import { type LocalTokens, localAccess } from './local-access.ts';
import { Part, PartError } from './part.ts';

/** Bounds of the starts, in milliseconds: ten times what was measured on two busy cores. */
const startLimits = { engines: 180_000, supabase: 120_000, worker: 90_000 };
const healthLimitMs = 30_000;
const healthPollMs = 200;
const requestLimitMs = 5_000;

export interface ServiceOptions {
  /** The repository's root, where `wrangler.toml` is. */
  root: string;
  /** For the database, recordings, objects and logs. Absolute. */
  dataDir: string;
  /** Of the Worker, on loopback; 0: any that is free. The other parts choose their own. */
  port: number;
  /** Ask everybody for a token; false: nobody, on this machine. */
  auth?: boolean;
  /** Settings of the Worker beside those that the launcher makes; they win over its. */
  settings?: Record<string, string>;
  /** Of the Worker's inspector, on loopback; absent: there is none. */
  inspectorPort?: number;
  /** Stops the start; what runs already is ended. */
  signal: AbortSignal;
  /** What a part is at. */
  onProgress: (part: string, text: string) => void;
}

/** The whole service, running on this machine. */
export interface Service {
  /** The Worker's HTTP address, without a path or a slash at the end. */
  url: string;
  /** The engines' OpenAI-compatible interface, up to and with `/v1`, and its key. */
  engines: { baseUrl: string; apiKey: string };
  supabase: { url: string; serviceRoleKey: string };
  /** Tokens that the service takes, where it asks for one. */
  tokens: LocalTokens | null;
  /** Copies a recording out of the local R2 into `file`; false if there is none of that key. */
  exportRecording(key: string, file: string): Promise<boolean>;
  /** Resolves with a sentence if a part ends by itself. */
  died: Promise<string>;
  /** Ends every part in order. Idempotent; never throws. */
  close(): Promise<void>;
  /** Ends every part, and all that it started, at once. */
  kill(): void;
}

const enginesSchema = z.object({ url: z.url() });
const supabaseSchema = z.object({
  url: z.url(),
  serviceRoleKey: z.string().min(1),
  jwtSecret: z.string().min(32),
});
const workerSchema = z.object({ url: z.url() });

/**
 * Starts the engines, Supabase and the Worker, each in a process of its own, and waits until each answers.
 *
 * @throws {PartError} naming the part that failed, with its last lines. Nothing is left running then.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const parts: Part[] = [];
  // The last resort, whatever way this process ends by itself.
  const kill = () => {
    for (const part of parts) part.kill();
  };
  process.once('exit', kill);
  const close = async (): Promise<void> => {
    // The Worker first: it may still have a call to write down.
    for (const part of [...parts].reverse()) await part.close();
    process.off('exit', kill);
  };
  try {
    return { ...(await startParts(options, parts)), close, kill };
  } catch (error) {
    await Promise.all(parts.map((part) => part.close()));
    process.off('exit', kill);
    throw error;
  }
}

async function startParts(options: ServiceOptions, parts: Part[]): Promise<Omit<Service, 'close' | 'kill'>> {
  const { dataDir } = options;
  const logs = path.join(dataDir, 'logs');
  mkdirSync(logs, { recursive: true });
  const start = async (name: string, file: string, params: object, startMs: number) => {
    const { part, value } = await Part.start({
      name,
      script: new URL(`./${file}-host.ts`, import.meta.url),
      params,
      logFile: path.join(logs, `${file}.log`),
      startMs,
      env: quietEnvironment,
      signal: options.signal,
      onProgress: (text) => options.onProgress(name, text),
      onSpawn: (spawned) => parts.push(spawned),
    });
    return { part, value };
  };
  const apiKey = `local-${randomBytes(24).toString('base64url')}`;
  const bothStart = [
    start('speech engine', 'engines', { apiKey }, startLimits.engines),
    start('Supabase', 'supabase', { dataDir: path.join(dataDir, 'supabase') }, startLimits.supabase),
  ] as const;
  const [engines, supabase] = await Promise.all(bothStart);
  const enginesAt = {
    baseUrl: `${withoutSlash(enginesSchema.parse(engines.value).url).replace(/\/v1$/, '')}/v1`,
    apiKey,
  };
  const { jwtSecret, ...supabaseAt } = supabaseSchema.parse(supabase.value);
  const access = options.auth === true ? await localAccess(supabaseAt.url, jwtSecret) : null;
  await untilHealthy(engines.part, options, () => isOk(enginesAt.baseUrl.replace(/\/v1$/, '/healthz')));
  await untilHealthy(supabase.part, options, () => answersQueries(supabaseAt));

  await buildConsole();
  const worker = await start(
    'Worker',
    'worker',
    {
      configFile: path.join(options.root, 'wrangler.toml'),
      port: options.port,
      stateDir: path.join(dataDir, 'workers'),
      settings: { ...embeddedSettings(enginesAt, supabaseAt), ...access?.settings, ...options.settings },
      inspectorPort: options.inspectorPort,
    },
    startLimits.worker,
  );
  const url = withoutSlash(workerSchema.parse(worker.value).url);
  await untilHealthy(worker.part, options, () => isOk(`${url}/health`));
  return {
    url,
    engines: enginesAt,
    supabase: supabaseAt,
    tokens: access?.tokens ?? null,
    died: Promise.race(parts.map((part) => part.exited.then(() => part.explain('has ended by itself')))),
    async exportRecording(key, file) {
      const exported = await worker.part.request(
        'exportObject',
        { bucketBinding: 'RECORDINGS', key, file },
        requestLimitMs,
      );
      return exported !== null;
    },
  };
}

/** Wrangler sends metrics, and fetches a sample of `Request.cf`, unless told not to. */
export const quietEnvironment = {
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_SEND_ERROR_REPORTS: 'false',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  // Would make miniflare and others behave as in their own tests.
  NODE_ENV: 'development',
};

/** The example business of the dialogue engine answers the telephone. */
const greeting = 'Harbour Cycles, hello. How can I help you?';
/** The engines by their own names, so that the log and the usage say who really spoke; whatever `.dev.vars` has. */
export function embeddedSettings(
  engines: Service['engines'],
  supabase: Service['supabase'],
): Record<string, string> {
  const settings: Record<string, string> = {
    OPENAI_API_KEY: engines.apiKey,
    OPENAI_BASE_URL: engines.baseUrl,
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
    STT_MODEL: 'moonshine-tiny',
    LLM_MODEL: 'intents',
    TTS_MODEL: 'flite',
    TTS_VOICE: 'rms',
    AGENT_GREETING: greeting,
    AUTH: 'none',
    ALLOWED_HOSTS: 'localhost,127.0.0.1,[::1]',
    CONSOLE: 'true',
  };
  for (const port of ['STT', 'LLM', 'TTS']) {
    settings[`${port}_PROVIDER`] = 'openai';
    settings[`${port}_API_KEY`] = engines.apiKey;
    settings[`${port}_BASE_URL`] = engines.baseUrl;
  }
  return settings;
}

async function untilHealthy(
  part: Part,
  options: ServiceOptions,
  healthy: () => Promise<string | null>,
): Promise<void> {
  const until = performance.now() + healthLimitMs;
  for (;;) {
    options.signal.throwIfAborted();
    const wrong = part.running ? await healthy() : 'it has ended';
    if (wrong === null) return;
    if (!part.running || performance.now() >= until)
      throw new PartError(part.explain(`is not healthy (${wrong})`));
    await new Promise((resolve) => setTimeout(resolve, healthPollMs));
  }
}

/** Null if `url` answers 200. */
async function isOk(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(requestLimitMs) });
    const text = await response.text();
    return response.ok ? null : `HTTP ${response.status} ${text.slice(0, 300)}`;
  } catch (error) {
    return `no answer: ${(error as Error).message}`;
  }
}

async function answersQueries({ url, serviceRoleKey }: Service['supabase']): Promise<string | null> {
  const client = createClient(url, serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { error } = await client
    .from('call_logs')
    .select('call_id')
    .limit(1)
    .abortSignal(AbortSignal.timeout(requestLimitMs));
  return error === null ? null : error.message;
}

function withoutSlash(url: string): string {
  return url.replace(/\/$/, '');
}
