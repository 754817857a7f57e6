import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, loadConfig } from '../src/config.ts';
import { makeToken, parseTokenArguments, TokenUsageError, tokenUsage } from './access/token.ts';
import { readSettings, SettingsError } from './doctor/settings.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof TokenUsageError) {
    console.error(`${error.message}\n\n${tokenUsage}`);
    process.exitCode = 2;
  } else if (error instanceof SettingsError || error instanceof ConfigError) {
    console.error(error.message);
    process.exitCode = 1;
  } else {
    throw error;
  }
}

async function main(args: readonly string[]): Promise<void> {
  const options = parseTokenArguments(args);
  if (options === null) {
    console.log(tokenUsage);
    return;
  }
  const { values } = await readSettings({ root, environment: options.env, variables: process.env });
  const { token, hash, setting, value } = await makeToken(options, loadConfig(values));
  if (token !== null) {
    console.log(
      `The token, for its holder alone; it is shown once:\n\n  ${token}\n\nIts SHA-256:\n\n  ${hash}\n`,
    );
  }
  console.log(`The setting, for .dev.vars, or as a secret (npm run secret:set -- --env NAME ${setting}):\n`);
  console.log(`  ${setting}='${value}'`);
}
