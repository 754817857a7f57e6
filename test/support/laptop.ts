import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { wavToMono } from '../../src/audio/wav.ts';
import { samplesToWav } from '../../tools/caller/audio.ts';
import { placeCall } from '../../tools/caller/place-call.ts';
import { synthesise } from '../../tools/caller/speech.ts';
import type { CallOptions, CallReport } from '../../tools/caller/types.ts';
import { type Service, startService } from '../../tools/service/service.ts';

/** Of a row or a recording that is written after the call's end: five times what a busy machine needed. */
const writtenWithinMs = 10_000;
const pollMs = 200;
/** What the caller speaks with where a test names no other voice: of flite's, the one the recogniser understands best. */
const understoodVoice = 'rms';

/** A turn as the row of the call has it. Times are milliseconds of the recording. */
export interface RecordedTurn {
  role: 'caller' | 'agent';
  text: string;
  startMs: number;
  endMs: number;
  interrupted: boolean;
}

/** The row of `call_logs` of a call that is over, as Supabase returns it. */
export type CallRow = Record<string, unknown> & { transcript: RecordedTurn[] };

/** Transfers are written down after the end of the call, by a request of their own. */
export function hasTransfers({ transfers }: CallRow): boolean {
  return Array.isArray(transfers) && transfers.length > 0;
}

/**
 * What `npm start` runs, on this machine: the built Worker in workerd, the embedded engines, the embedded Supabase; and a caller
 * on a telephone-quality line at 8 kHz.
 */
export class Laptop {
  readonly #service: Service;
  readonly #dataDir: string;

  constructor(service: Service, dataDir: string) {
    this.#service = service;
    this.#dataDir = dataDir;
  }

  /** The Worker's HTTP address, without a path. */
  get url(): string {
    return this.#service.url;
  }

  /** The engines' OpenAI-compatible interface. */
  get enginesUrl(): string {
    return this.#service.engines.baseUrl;
  }

  /** Failures of a call that is over, in order, as the database has them. */
  async failuresOf(callId: string): Promise<{ code: string; provider: string | null }[]> {
    const { url, serviceRoleKey } = this.#service.supabase;
    const { data, error } = await createClient(url, serviceRoleKey)
      .from('call_failures')
      .select('code, provider')
      .eq('call_id', callId)
      .order('position');
    if (error !== null) throw error;
    return data;
  }

  /** Places a call and resolves when it is over. Rejects as `placeCall` does. */
  call(options: Pick<CallOptions, 'script'> & Partial<CallOptions>): Promise<CallReport> {
    return placeCall({ url: `${this.#service.url.replace('http', 'ws')}/ws/call-session`, ...options });
  }

  /** `text` as speech for the caller. */
  speech(text: string, sampleRate: 8000 | 16000 = 8000, voice = understoodVoice): Promise<Int16Array> {
    return synthesise({ ...this.#service.engines, voice }, text, sampleRate);
  }

  /** What a recogniser hears in a stretch of audio at 8 kHz. */
  async recognise(samples: Int16Array): Promise<string> {
    const { baseUrl, apiKey } = this.#service.engines;
    const form = new FormData();
    form.append('file', new Blob([samplesToWav(samples, 8000) as BlobPart]), 'part.wav');
    form.append('model', 'gpt-transcribe');
    const response = await fetch(`${baseUrl}/audio/transcriptions`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${apiKey}` },
      body: form,
    });
    if (!response.ok) throw new Error(`the recogniser answered ${response.status} ${await response.text()}`);
    return ((await response.json()) as { text: string }).text;
  }

  /** The row of a call that was ended, once it says so, and is complete. */
  async rowOf(
    callId: string,
    complete: (row: CallRow) => boolean = () => true,
    withinMs = writtenWithinMs,
  ): Promise<CallRow> {
    const { url, serviceRoleKey } = this.#service.supabase;
    const database = createClient(url, serviceRoleKey);
    return eventually(`ended row of call ${callId}`, withinMs, async () => {
      const { data, error } = await database
        .from('call_logs')
        .select('*')
        .eq('call_id', callId)
        .maybeSingle();
      if (error !== null) throw error;
      const row = data as CallRow | null;
      return row !== null && row.status !== 'active' && complete(row) ? row : null;
    });
  }

  /** The recording under a key of the bucket, as one channel. */
  async recordingOf(key: string): Promise<Int16Array> {
    return eventually(`recording ${key}`, writtenWithinMs, async () => {
      // Of its own: recordings may be looked at side by side.
      const folder = await mkdtemp(join(this.#dataDir, 'export-'));
      const file = join(folder, 'recording.wav');
      if (!(await this.#service.exportRecording(key, file))) return null;
      return wavToMono(await readFile(file)).samples;
    });
  }

  /** Ends everything and removes its data. */
  async close(): Promise<void> {
    await this.#service.close();
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}

/**
 * Starts it with data of its own, on ports that are free.
 *
 * @param signal ends a start that is under way. @param settings of the Worker.
 * @throws {PartError} naming the part that failed; nothing is left then.
 */
export async function startLaptop(
  signal: AbortSignal,
  settings: Record<string, string> = {},
): Promise<Laptop> {
  const dataDir = await mkdtemp(join(tmpdir(), 'call-handler-e2e-'));
  try {
    const service = await startService({
      root: join(import.meta.dirname, '..', '..'),
      dataDir,
      port: 0,
      settings: { RATE_LIMIT_PER_IP: '0', ...settings },
      signal,
      onProgress: () => {},
    });
    return new Laptop(service, dataDir);
  } catch (error) {
    await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
}

async function eventually<T>(what: string, withinMs: number, look: () => Promise<T | null>): Promise<T> {
  const until = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > until) throw new Error(`no ${what} within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** The index of an 8 kHz sample at `ms` of its audio. */
export const at = (ms: number): number => Math.round(ms * 8);
