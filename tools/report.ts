import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, loadConfig } from '../src/config.ts';
import { localSettings } from './doctor/local.ts';
import { readSettings, SettingsError } from './doctor/settings.ts';
import {
  parseReportArguments,
  ReportError,
  ReportUsageError,
  readReport,
  reportLines,
  reportUsage,
} from './report/report.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof ReportUsageError) {
    console.error(`${error.message}\n\n${reportUsage}`);
    process.exitCode = 2;
  } else if ([ReportError, SettingsError, ConfigError].some((kind) => error instanceof kind)) {
    console.error((error as Error).message);
    process.exitCode = 1;
  } else {
    throw error;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseReportArguments(args);
  if (options.help) {
    console.log(reportUsage);
    return 0;
  }
  const { values } =
    options.env === undefined
      ? localSettings(path.resolve(root, options.data))
      : await readSettings({ root, environment: options.env, variables: process.env });
  const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key, PERSONAL_DATA_KEY: secret } = loadConfig(values);
  if (url === undefined || key === undefined) {
    console.error('SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY are not set.');
    return 1;
  }
  const until = new Date();
  const since = new Date(until.getTime() - options.hours * 3_600_000);
  const report = await readReport({ url, key }, secret ?? key, { since, until, top: options.top });
  console.log(options.json ? JSON.stringify(report, null, 2) : reportLines(report, options.hours).join('\n'));
  return 0;
}
