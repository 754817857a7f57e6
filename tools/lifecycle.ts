import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BucketError, recordingsBuckets } from './recordings/bucket.ts';
import {
  addRule,
  lifecycleUsage,
  parseLifecycleArguments,
  RecordingsUsageError,
  setRule,
} from './recordings/lifecycle.ts';
import { wranglerIn } from './recordings/wrangler.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort(new Error(signal)));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof RecordingsUsageError || error instanceof BucketError)) throw error;
  console.error(error instanceof BucketError ? error.message : `${error.message}\n\n${lifecycleUsage}`);
  process.exitCode = 2;
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseLifecycleArguments(args);
  if (options.help) {
    console.log(lifecycleUsage);
    return 0;
  }
  const buckets = await recordingsBuckets(root, options.env, options.bucket);
  if (!options.apply) {
    for (const { name, jurisdiction } of buckets) {
      console.log(`npx wrangler ${addRule(name, options, jurisdiction).join(' ')}`);
    }
    console.log('\nNothing was changed; --apply runs it, in place of the rule of an earlier run.');
    return 0;
  }
  const wrangler = wranglerIn(root);
  let failed = false;
  for (const { name, jurisdiction } of buckets) {
    if (!(await setRule(wrangler, name, options, console.log, abort.signal, jurisdiction))) failed = true;
  }
  return failed ? 1 : 0;
}
