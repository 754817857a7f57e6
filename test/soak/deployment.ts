import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createClient } from '@supabase/supabase-js';
import { z } from 'zod';
import { synthesise } from '../../tools/caller/speech.ts';
import { type Service, startService } from '../../tools/service/service.ts';
import { freePort } from '../support/ports.ts';
import {
  commandOf,
  cpuMsOf,
  descendantsOf,
  listeningPortsOf,
  openFilesOf,
  residentBytesOf,
} from '../support/processes.ts';
import type { Recording, Row } from './facts.ts';
import { Heap } from './heap.ts';
import { collectOthers } from './isolates.ts';
import type { Counters, Sample } from './judge-run.ts';
import { readRecording } from './recording.ts';

/** How long the id of a call stays taken: after it the object deletes its storage, which this run wants to see. */
const HOLD_MS = 60_000;
/** `RESUME_GRACE`, after which a call whose caller does not come back is over. */
const GRACE_MS = 30_000;
/** For an ended call's row and recording. */
const DELIVERED_MS = 30_000;
const REQUEST_MS = 10_000;
/** As miniflare names the Worker's isolate: by wrangler.toml's name. */
const WORKER = 'core:user:ai-call-handler';
const POLL_MS = 500;
/** Rows that PostgREST gives at once. */
const PAGE = 500;

const rowSchema = z.object({
  call_id: z.string(),
  status: z.string(),
  end_reason: z.string().nullable(),
  duration_seconds: z.number().nullable(),
  recording: z.string().nullable(),
  transcript: z.array(
    z.object({
      position: z.number(),
      role: z.enum(['caller', 'agent']),
      text: z.string(),
      startMs: z.number(),
      endMs: z.number(),
      interrupted: z.boolean(),
    }),
  ),
});

/** What `npm start` runs, and what can be seen of it from outside. */
export class Deployment {
  readonly dataDir: string;
  readonly #service: Service;
  readonly #speech = new Map<string, Promise<Int16Array>>();
  readonly #database;
  readonly #heap: Heap;

  private constructor(service: Service, dataDir: string, heap: Heap) {
    this.#heap = heap;
    this.#service = service;
    this.dataDir = dataDir;
    const { url, serviceRoleKey } = service.supabase;
    this.#database = createClient(url, serviceRoleKey, { auth: { persistSession: false } });
  }

  /** @throws {PartError} naming the part that failed. */
  static async start(root: string, dataDir: string, signal: AbortSignal): Promise<Deployment> {
    const inspectorPort = await freePort();
    const service = await startService({
      root,
      dataDir,
      port: 0,
      inspectorPort,
      settings: {
        // All callers have one address.
        RATE_LIMIT_PER_IP: '0',
        RECORDING_CHANNELS: '2',
        CALL_ID_HOLD: String(HOLD_MS),
      },
      signal,
      onProgress: () => {},
    });
    try {
      return new Deployment(service, dataDir, await Heap.open(inspectorPort));
    } catch (error) {
      await service.close();
      throw error;
    }
  }

  /** `ws://…`, without a path. */
  get url(): string {
    return this.#service.url.replace('http', 'ws');
  }

  get died(): Promise<string> {
    return this.#service.died;
  }

  /** `text` as speech; made once. */
  speech(text: string, sampleRate: 8000 | 16000, voice: string): Promise<Int16Array> {
    const key = `${sampleRate} ${voice} ${text}`;
    const known = this.#speech.get(key);
    if (known !== undefined) return known;
    const made = synthesise({ ...this.#service.engines, voice }, text, sampleRate);
    this.#speech.set(key, made);
    return made;
  }

  /** Rows of a call's, as soon as none is active and its recording is named, or after a bounded wait; `left`: its caller is not to come back. */
  async rowsOf(callId: string, left: boolean): Promise<Row[]> {
    const until = performance.now() + DELIVERED_MS + (left ? GRACE_MS : 0);
    for (;;) {
      // A second call of the id would have a row `{callId}.{startTime}`.
      const { data, error } = await this.#database
        .from('call_logs')
        .select(Object.keys(rowSchema.shape).join(','))
        .or(`call_id.eq.${callId},call_id.like.${callId}.*`)
        .abortSignal(AbortSignal.timeout(REQUEST_MS));
      if (error !== null) throw new Error(`call_logs: ${error.message}`);
      const rows = data.map((row) => rowOf(rowSchema.parse(row)));
      const whole = rows.length > 0 && rows.every((row) => row.status !== 'active' && row.recording !== null);
      if (whole || performance.now() > until) return rows;
      await pause(POLL_MS);
    }
  }

  async turnsOf(callId: string): Promise<number> {
    const { count, error } = await this.#database
      .from('call_turns')
      .select('position', { count: 'exact', head: true })
      .eq('call_id', callId)
      .abortSignal(AbortSignal.timeout(REQUEST_MS));
    if (error !== null) throw new Error(`call_turns: ${error.message}`);
    return count ?? 0;
  }

  async allRows(): Promise<{ callId: string; status: string }[]> {
    const rows: { callId: string; status: string }[] = [];
    for (;;) {
      const { data, error } = await this.#database
        .from('call_logs')
        .select('call_id, status')
        .order('call_id')
        .range(rows.length, rows.length + PAGE - 1)
        .abortSignal(AbortSignal.timeout(REQUEST_MS));
      if (error !== null) throw new Error(`call_logs: ${error.message}`);
      rows.push(...data.map((row) => ({ callId: String(row.call_id), status: String(row.status) })));
      if (data.length < PAGE) return rows;
    }
  }

  /** As the service's API gives it; null: there is none. A text: why it cannot be played. */
  async recordingOf(callId: string): Promise<Recording | string | null> {
    const until = performance.now() + DELIVERED_MS;
    for (;;) {
      const url = `${this.#service.url}/api/v1/recordings/${callId}`;
      const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_MS) });
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.ok) return readRecording(bytes);
      if (performance.now() > until) return response.status === 404 ? null : `HTTP ${response.status}`;
      await pause(POLL_MS);
    }
  }

  async counters(): Promise<Counters> {
    const response = await fetch(`${this.#service.url}/metrics`, {
      headers: { Accept: 'text/plain' },
      signal: AbortSignal.timeout(REQUEST_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
    const sum = (name: string) => {
      // A name that is not there at all is not 0.
      if (!text.includes(`# TYPE callhandler_${name} `)) throw new Error(`/metrics does not tell ${name}`);
      const values = text.matchAll(new RegExp(`^callhandler_${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'));
      return [...values].reduce((total, [, value]) => total + Number(value), 0);
    };
    return {
      started: sum('calls_started_total'),
      ended: sum('calls_ended_total'),
      active: sum('calls_active'),
      unaccounted: sum('calls_unaccounted'),
      outboxWaiting: sum('outbox_waiting'),
    };
  }

  /** Memory of the runtime that has the Worker; sockets and files of wrangler's own as well, through which all requests go. */
  look(): Pick<Sample, 'residentBytes' | 'sockets' | 'objects' | 'otherFiles' | 'cpuMs'> {
    const workerds = this.#workerds;
    const files = workerds.flatMap(openFilesOf);
    const isSocket = (file: string) => file.startsWith('socket:');
    const isObject = (file: string) => /CallSessionDO\/[0-9a-f]{64}\.sqlite$/.test(file);
    return {
      residentBytes: workerds.filter(hasWorker).reduce((sum, pid) => sum + residentBytesOf(pid), 0),
      sockets: files.filter(isSocket).length,
      objects: files.filter(isObject).length,
      // The objects that count are open whenever somebody looks, as this run and the alerts of each minute do.
      otherFiles: files.filter((file) => !isSocket(file) && !/(?:CallSession|Metrics|Alerts)DO\//.test(file))
        .length,
      cpuMs:
        cpuMsOf(descendantsOf(process.pid)) +
        process.cpuUsage().user / 1000 +
        process.cpuUsage().system / 1000,
    };
  }

  /** What the Worker's heap holds once all garbage was collected; the other isolates' is collected as well. */
  async heapBytes(): Promise<number> {
    const ports = this.#workerds.filter(hasWorker).flatMap(listeningPortsOf);
    const others = await collectOthers(ports, (target) => target === WORKER);
    if (others === 0) throw new Error("the runtime's own isolates were not found");
    return await this.#heap.bytes();
  }

  get #workerds(): number[] {
    return descendantsOf(process.pid).filter((pid) => commandOf(pid)[0]?.includes('workerd'));
  }

  /** Resident memory of each process of the deployment, bytes, by what it runs. */
  memoryByPart(): Record<string, number> {
    const parts: Record<string, number> = {};
    for (const pid of descendantsOf(process.pid)) {
      const [program = '', ...rest] = commandOf(pid);
      const script = rest.find((argument) => argument.endsWith('-host.ts'));
      const runtime = hasWorker(pid) ? 'workerd' : "wrangler's proxy";
      const name = program.includes('workerd') ? runtime : script?.replace(/.*\/(.*)-host\.ts$/, '$1');
      if (name !== undefined) parts[name] = (parts[name] ?? 0) + residentBytesOf(pid);
    }
    return parts;
  }

  /** What the storage of calls' objects holds, in words; once all ids are free again: nothing. */
  leftovers(): { objects: number; left: string[] } {
    const folder = join(this.dataDir, 'workers', 'v3', 'do', 'ai-call-handler-CallSessionDO');
    if (!existsSync(folder)) return { objects: 0, left: [] };
    const objects = readdirSync(folder).filter((file) => /^[0-9a-f]+\.sqlite$/.test(file));
    return {
      objects: objects.length,
      left: objects.flatMap((file) =>
        leftIn(join(folder, file)).map((what) => `${file.slice(0, 8)}: ${what}`),
      ),
    };
  }

  async close(): Promise<void> {
    this.#heap.close();
    await this.#service.close();
  }

  kill(): void {
    this.#service.kill();
  }
}

/** The longest that an object may keep anything of a call: the id's hold, for a call that waited for its caller; and its alarm. */
export const FORGOTTEN_MS = HOLD_MS + GRACE_MS;

/** Wrangler runs two workerds: one has the Worker, and the inspector that was asked for; the other is a proxy before it, of `npm start` alone. */
function hasWorker(pid: number): boolean {
  return commandOf(pid).some((argument) => argument.startsWith('--inspector-addr'));
}

/** What stands in an object beside its own name, which miniflare keeps, and the runtime's notes. */
function leftIn(file: string): string[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    return tables.flatMap(({ name }) => {
      const table = String(name);
      if (['__miniflare_do_name', '_cf_METADATA', 'sqlite_sequence'].includes(table)) return [];
      const { rows } = database.prepare(`SELECT count(*) AS rows FROM "${table}"`).get() as { rows: number };
      // Of the call's own tables even an empty one is too many.
      return rows > 0 || table !== '_cf_KV' ? [`${rows} rows in ${table}`] : [];
    });
  } finally {
    database.close();
  }
}

function rowOf(row: z.output<typeof rowSchema>): Row {
  return {
    callId: row.call_id,
    status: row.status,
    reason: row.end_reason,
    durationMs: row.duration_seconds === null ? null : row.duration_seconds * 1000,
    recording: row.recording,
    transcript: row.transcript,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
