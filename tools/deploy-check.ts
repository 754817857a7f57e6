import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { unstable_readConfig } from 'wrangler';
import { ConfigError, loadConfig } from '../src/config.ts';
import { adviceBeforeDeploy } from './access/deploy.ts';

// Before `wrangler deploy`, with the same arguments: the exit code is 1 where the deployment would let nobody in, or everybody.

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values } = parseArgs({
  args: process.argv.slice(2),
  options: { env: { type: 'string', short: 'e' } },
  strict: false,
});
const environment = typeof values.env === 'string' ? { env: values.env } : {};

try {
  // What is deployed: .dev.vars is not.
  const { vars } = unstable_readConfig(
    { config: path.join(root, 'wrangler.toml'), ...environment },
    { hideWarnings: true },
  );
  const { refusal, notes } = adviceBeforeDeploy(loadConfig(vars));
  for (const note of notes) console.log(note);
  if (refusal !== null) {
    console.error(`Not deployed. ${refusal}`);
    process.exitCode = 1;
  }
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(`Not deployed. ${error.message}`);
  process.exitCode = 1;
}
