import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CorePaths } from 'miniflare';
import { unstable_DevEnv } from 'wrangler';
import { z } from 'zod';
import { hostPart } from './part-host.ts';

/** The process that runs the Worker: wrangler bundles it, workerd (a child of this process) executes it. */

const startSchema = z.object({
  configFile: z.string(),
  /** On loopback; 0: any that is free. */
  port: z.number().int().min(0).max(65_535),
  /** Where Durable Objects, R2 and KV are kept. */
  stateDir: z.string(),
  /** Text settings that override those of the configuration file and of `.dev.vars`. */
  settings: z.record(z.string(), z.string()),
  /** Of the runtime's inspector, on loopback; absent: there is none. */
  inspectorPort: z.number().int().min(1).max(65_535).optional(),
});
const exportSchema = z.object({
  bucketBinding: z.string(),
  key: z.string().min(1).max(1024),
  file: z.string(),
});

/** As `crons` in wrangler.toml: wrangler runs no schedule on a laptop. */
const cron = '* * * * *';
const cronMs = 60_000;
/** As long as the requests of the launcher's may take. */
const scheduledLimitMs = 5_000;

let env: unstable_DevEnv | null = null;
let schedule: NodeJS.Timeout | null = null;

hostPart({
  async start(params) {
    const { configFile, port, stateDir, settings, inspectorPort } = startSchema.parse(params);
    const bindings: Record<string, { type: 'secret_text'; value: string }> = {};
    for (const [name, value] of Object.entries(settings)) bindings[name] = { type: 'secret_text', value };
    const starting = new unstable_DevEnv();
    env = starting;
    // That the Worker was loaded, or could not be, comes as events; wrangler's own promises say less, or wait for ever.
    let reason = '';
    const loaded = new Promise<void>((resolve, reject) => {
      starting.once('reloadComplete', () => resolve());
      for (const event of ['error', 'buildFailed', 'runtimeError']) {
        starting.on(event, (what: unknown) => {
          reason ||= describe(what);
          reject(new Error(reason));
        });
      }
    });
    loaded.catch(() => {});
    const worker = await starting
      .startWorker({
        config: configFile,
        bindings,
        // The service has made what wrangler.toml's [build] makes.
        build: { custom: { command: '' } },
        dev: {
          server: { hostname: '127.0.0.1', port },
          inspector: inspectorPort === undefined ? false : { hostname: '127.0.0.1', port: inspectorPort },
          persist: stateDir,
          watch: false,
          logLevel: 'warn',
          remote: false,
          structuredLogsHandler: (entry: { message: string }) => console.log(entry.message),
        },
      })
      .catch((error: unknown) => {
        throw new Error(reason || describe(error));
      });
    await loaded;
    const url = await worker.url;
    schedule = setInterval(() => void runSchedule(url), cronMs);
    void runSchedule(url);
    return { url: url.href };
  },

  /** Copies an object of the local R2 into a file; its size in bytes, or null if there is none of that key. */
  async exportObject(params) {
    const { bucketBinding, key, file } = exportSchema.parse(params);
    if (env === null) throw new Error('the Worker is not running');
    const bucket = await bucketOf(env, bucketBinding);
    const object = await bucket.get(key);
    if (object === null) return null;
    const bytes = new Uint8Array(await object.arrayBuffer());
    await writeFile(file, bytes);
    return { bytes: bytes.length, file: path.resolve(file) };
  },

  async close() {
    if (schedule !== null) clearInterval(schedule);
    await env?.teardown();
  },
});

/**
 * What the platform does each minute, by the address at which miniflare takes it: wrangler's own `Worker.scheduled()` asks its proxy for
 * the Worker, which does not know it. Never rejects; what fails inside, the Worker's log says as well.
 */
async function runSchedule(worker: URL): Promise<void> {
  const url = new URL(CorePaths.SCHEDULED, worker);
  url.searchParams.set('cron', cron);
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(scheduledLimitMs) });
    const text = await response.text();
    if (!response.ok) console.error(`the schedule failed: HTTP ${response.status} ${text.slice(0, 300)}`);
  } catch (error) {
    console.error(`the schedule could not be run: ${(error as Error).message}`);
  }
}

interface Bucket {
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
}

/** Miniflare beneath wrangler knows the bucket; wrangler has no interface of its own to it inside this process. */
async function bucketOf(running: unstable_DevEnv, binding: string): Promise<Bucket> {
  const [runtime] = running.runtimes as unknown as { mf?: { getR2Bucket(name: string): Promise<Bucket> } }[];
  if (runtime?.mf === undefined)
    throw new Error('this wrangler hides its R2: `wrangler r2 object get --local`');
  return runtime.mf.getR2Bucket(binding);
}

const eventSchema = z.object({
  reason: z.string().optional(),
  message: z.string().optional(),
  cause: z
    .object({
      message: z.string().optional(),
      errors: z.array(z.object({ text: z.string() })).optional(),
    })
    .optional(),
});

/** What wrangler's event says of the reason, as text. */
function describe(event: unknown): string {
  const parsed = eventSchema.safeParse(event);
  if (!parsed.success) return 'no reason given';
  const { reason, message, cause } = parsed.data;
  const errors = cause?.errors?.map((error) => error.text).join('; ');
  return [reason, message, errors ?? cause?.message].filter(Boolean).join(': ');
}
