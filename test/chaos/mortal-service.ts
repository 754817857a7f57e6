import { mkdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { z } from 'zod';
import { wavToMono } from '../../src/audio/wav.ts';
import { buildConsole } from '../../tools/console/build.ts';
import { Part } from '../../tools/service/part.ts';
import { embeddedSettings, quietEnvironment } from '../../tools/service/service.ts';
import { freePort } from '../support/ports.ts';
import { commandOf, descendantsOf } from '../support/processes.ts';

/** Bounds of the starts, as of `npm start`. */
const START_MS = { supabase: 120_000, worker: 90_000 };
const EXPORT_MS = 5_000;
const POLL_MS = 250;

/** The greeting, once in each call. */
export const GREETING = 'Welcome to the counting line.';

const root = join(import.meta.dirname, '..', '..');
const supabaseSchema = z.object({ url: z.url(), serviceRoleKey: z.string() });
const turnSchema = z.object({
  role: z.enum(['caller', 'agent']),
  text: z.string(),
  interrupted: z.boolean(),
});
const rowSchema = z.object({
  call_id: z.string(),
  status: z.string(),
  end_reason: z.string().nullable(),
  recording: z.string().nullable(),
  counts: z.object({ resumes: z.number() }).nullable(),
  transcript: z.array(turnSchema),
});
export type CallRow = z.infer<typeof rowSchema>;

interface Supabase {
  part: Part;
  url: string;
  serviceRoleKey: string;
}

/** The service as `npm start` runs it, on a port and a storage that outlive its Worker; its providers are the test's own. */
export class MortalService {
  readonly url: string;
  readonly #dataDir: string;
  readonly #settings: Record<string, string>;
  readonly #supabase: Supabase;
  readonly #port: number;
  #worker: Part;

  private constructor(
    dataDir: string,
    settings: Record<string, string>,
    supabase: Supabase,
    port: number,
    worker: Part,
  ) {
    this.#dataDir = dataDir;
    this.#settings = settings;
    this.#supabase = supabase;
    this.#port = port;
    this.#worker = worker;
    this.url = `ws://127.0.0.1:${port}/ws/call-session`;
  }

  /** @param vendorUrl of all providers, up to and with `/v1`. @throws {PartError} */
  static async start(vendorUrl: string, settings: Record<string, string>): Promise<MortalService> {
    const dataDir = await mkdtemp(join(tmpdir(), 'call-handler-kill-'));
    mkdirSync(join(dataDir, 'logs'));
    const { part, value } = await startPart(dataDir, 'supabase', { dataDir: join(dataDir, 'supabase') });
    try {
      const supabase = { part, ...supabaseSchema.parse(value) };
      const vendor = { baseUrl: vendorUrl, apiKey: 'scripted' };
      await buildConsole();
      const all = {
        ...embeddedSettings(vendor, supabase),
        RATE_LIMIT_PER_IP: '0',
        // All calls are one user's, and those that were killed are counted for a while.
        MAX_CONCURRENT_CALLS_PER_USER: '10000',
        AGENT_GREETING: GREETING,
        // Nothing is said that is no part of the counting.
        AGENT_HOLD_LINE: '',
        SILENCE_PROMPT_MS: '60000',
        SILENCE_HANGUP_MS: '120000',
        ...settings,
      };
      const port = await freePort();
      const worker = await startWorker(dataDir, port, all);
      return new MortalService(dataDir, all, supabase, port, worker);
    } catch (error) {
      await part.close();
      await rm(dataDir, { recursive: true, force: true });
      throw error;
    }
  }

  /** SIGKILL of every workerd of the Worker, and of the process that runs them. Returns how many workerds it were. */
  async kill(): Promise<number> {
    const workerds = descendantsOf(this.#worker.pid ?? 0).filter((pid) =>
      commandOf(pid)[0]?.includes('workerd'),
    );
    for (const pid of workerds) process.kill(pid, 'SIGKILL');
    this.#worker.kill();
    await this.#worker.exited;
    return workerds.length;
  }

  /** Starts the Worker again, on the same storage and port. */
  async restart(): Promise<void> {
    this.#worker = await startWorker(this.#dataDir, this.#port, this.#settings);
  }

  /** Rows of `call_logs` whose id begins so, once all of them are of calls that are over; as they are after `withinMs`. */
  async rowsOf(callId: string, withinMs: number): Promise<CallRow[]> {
    const { url, serviceRoleKey } = this.#supabase;
    const database = createClient(url, serviceRoleKey, { auth: { persistSession: false } });
    const until = performance.now() + withinMs;
    for (;;) {
      const { data, error } = await database.from('call_logs').select('*').like('call_id', `${callId}%`);
      if (error !== null) throw new Error(error.message);
      const rows = data.map((row) => rowSchema.parse(row));
      const over = rows.length > 0 && rows.every(({ status }) => status !== 'active');
      if (over || performance.now() > until) return rows;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** The recording under a key of the bucket; null where there is none within `withinMs`. */
  async recordingOf(key: string, withinMs: number): Promise<Int16Array | null> {
    const file = join(this.#dataDir, 'recording.wav');
    const until = performance.now() + withinMs;
    for (;;) {
      const request = { bucketBinding: 'RECORDINGS', key, file };
      if ((await this.#worker.request('exportObject', request, EXPORT_MS)) !== null)
        return wavToMono(await readFile(file)).samples;
      if (performance.now() > until) return null;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async close(): Promise<void> {
    await this.#worker.close();
    await this.#supabase.part.close();
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}

function startPart(dataDir: string, file: 'supabase' | 'worker', params: object) {
  return Part.start({
    name: file,
    script: new URL(`../../tools/service/${file}-host.ts`, import.meta.url),
    params,
    logFile: join(dataDir, 'logs', `${file}.log`),
    startMs: START_MS[file],
    env: quietEnvironment,
    signal: new AbortController().signal,
  });
}

async function startWorker(dataDir: string, port: number, settings: Record<string, string>): Promise<Part> {
  const configFile = join(root, 'wrangler.toml');
  const stateDir = join(dataDir, 'workers');
  return (await startPart(dataDir, 'worker', { configFile, port, stateDir, settings })).part;
}
