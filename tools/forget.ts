import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, loadConfig } from '../src/config.ts';
import { readSettings, SettingsError } from './doctor/settings.ts';
import { BucketError, recordingsBuckets } from './recordings/bucket.ts';
import {
  callerBy,
  ForgetError,
  forgetCaller,
  forgetUsage,
  parseForgetArguments,
} from './recordings/forget.ts';
import { RecordingsUsageError } from './recordings/lifecycle.ts';
import { wranglerIn } from './recordings/wrangler.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort(new Error(signal)));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof RecordingsUsageError) {
    console.error(`${error.message}\n\n${forgetUsage}`);
    process.exitCode = 2;
  } else if ([ForgetError, BucketError, SettingsError, ConfigError].some((kind) => error instanceof kind)) {
    console.error((error as Error).message);
    process.exitCode = 1;
  } else if (abort.signal.aborted) {
    process.exitCode = 130;
  } else {
    throw error;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseForgetArguments(args);
  if (options.help) {
    console.log(forgetUsage);
    return 0;
  }
  const { values } = await readSettings({ root, environment: options.env, variables: process.env });
  const config = loadConfig(values);
  const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key } = config;
  if (url === undefined || key === undefined) {
    console.error('SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY are not set.');
    return 1;
  }
  const buckets = await recordingsBuckets(root, options.env, options.bucket);
  const wrangler = wranglerIn(root);
  const { calls, recordings, left, failed } = await forgetCaller({
    database: { url, key },
    caller: options.user === undefined ? await callerBy(options.phone!, config) : { user: options.user },
    async deleteObject(object, signal) {
      // Which of them it is in is not written down; to delete what is not there is no failure.
      for (const { name, jurisdiction } of buckets) {
        const place = jurisdiction === null ? [] : ['-J', jurisdiction];
        const { code, output } = await wrangler(
          ['r2', 'object', 'delete', `${name}/${object}`, '--remote', '--force', ...place],
          signal,
        );
        if (code !== 0) throw new Error(output.trim().slice(-500));
      }
    },
    apply: options.apply,
    now: Date.now(),
    print: console.log,
    signal: abort.signal,
  });
  const what = `${calls} calls and ${recordings} recordings (buckets ${buckets.map(({ name }) => name).join(', ')})`;
  console.log(options.apply ? `Deleted ${what}.` : `${what} would be deleted; --apply does it.`);
  if (left > 0) console.log(`${left} calls are left: they are not over, or ended less than an hour ago.`);
  if (failed > 0) console.log(`${failed} calls are left: their recording could not be deleted.`);
  return failed > 0 ? 1 : left > 0 ? 3 : 0;
}
