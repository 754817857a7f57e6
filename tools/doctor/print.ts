import { type Examination, type Row, withCloudflare } from './examine.ts';
import type { Finding } from './finding.ts';
import { type ModelEnd, warningDays } from './model-ends.ts';
import type { FoundSettings } from './settings.ts';

const titleWidth = 26;
const vendorWidth = 17;
const modelWidth = 24;
const indent = '      ';

/** One provider, as lines for a person. */
export function rowLines(row: Row): string[] {
  const { title, vendor, model, outcome, end } = row;
  const head = `  ${title.padEnd(titleWidth)}${vendor.padEnd(vendorWidth)}${model.padEnd(modelWidth)}  `;
  const lines = outcomeLines(outcome).map((line, i) => (i === 0 ? head + line : indent + line));
  const ending = end === null ? null : endLine(end);
  return ending === null ? lines : [...lines, `${indent}${ending}`];
}

function outcomeLines(outcome: Row['outcome']): string[] {
  switch (outcome.result) {
    case 'ok': {
      const { firstMs, totalMs, note } = outcome;
      const first = firstMs === null ? '' : `first ${ms(firstMs)}, `;
      return [`ok, ${first}all ${ms(totalMs)}`, ...(note === null ? [] : [`Note: ${note}.`])];
    }
    case 'failed':
      return [
        `FAILED after ${ms(outcome.afterMs)}: ${outcome.failure}`,
        outcome.message || 'no message',
        outcome.advice,
      ];
    case 'missing':
      return [`MISSING: ${outcome.settings.join(', ')}`];
    case 'untried':
      return ['not tried', outcome.why];
  }
}

/** Null where the end is too far off to act upon. */
function endLine({ date, days }: ModelEnd): string | null {
  if (days > warningDays) return null;
  const day = date.slice(0, 10);
  if (days < 0) return `WARNING: the vendor ended this model on ${day}. Choose another one.`;
  return `WARNING: the vendor ends this model on ${day}, in ${days} ${days === 1 ? 'day' : 'days'}. Choose another one.`;
}

const words = { ok: 'ok', warning: 'WARNING', failed: 'FAILED', untried: 'not looked at' } as const;

/** One thing of the account or of the running deployment, as lines for a person. */
export function findingLines({ what, result, says, mend }: Finding): string[] {
  const line = `  ${what.padEnd(titleWidth)}${words[result]}: ${says}`;
  return mend === null ? [line] : [line, `${indent}To mend: ${mend}`];
}

/** The database, and what there is to do. */
export function summaryLines(examination: Examination): string[] {
  const { database, missing, unguarded, withoutEffect, sources, rows } = examination;
  const head = `  ${'database'.padEnd(titleWidth)}${'supabase'.padEnd(vendorWidth + modelWidth + 2)}`;
  const lines: string[] = [];
  if (database.result === 'ok') {
    const schema = database.schema === null ? '' : `, migrations up to ${database.schema}`;
    lines.push(`${head}ok, all ${ms(database.totalMs)}${schema}`);
  }
  if (database.result === 'missing') {
    const there = database.settings.filter((name) => !missing.includes(name));
    if (there.length === database.settings.length)
      lines.push(`${head}not tried`, `${indent}${withCloudflare(there)}`);
    else lines.push(`${head}MISSING: ${database.settings.join(', ')}`);
  }
  if (database.result === 'failed') {
    lines.push(
      `${head}FAILED after ${ms(database.afterMs)}: ${database.failure}`,
      `${indent}${database.message || 'no message'}`,
      `${indent}${database.advice}`,
    );
  }
  lines.push('');
  if (rows.every(({ outcome }) => outcome.result === 'missing')) lines.push(...nothingSet);
  else if (missing.length > 0) lines.push(`Settings that are missing: ${missing.join(', ')}.`);
  if (unguarded) {
    lines.push(
      'WARNING: AUTH is none: everybody on the same machine may call. A deployment would answer everybody with 503.',
    );
  }
  for (const { setting, because } of withoutEffect) {
    lines.push(`WARNING: ${setting} has no effect: ${because}.`);
  }
  if (sources['the environment'] !== undefined) {
    lines.push(
      `From the environment of this process: ${sources['the environment'].join(', ')}. A Worker does not see it: put them into .dev.vars, or store them with \`npm run secret:set\`.`,
    );
  }
  lines.push(examination.ok ? 'Everything that was tried works.' : 'Not everything is set up.');
  return lines;
}

const nothingSet = [
  'No provider has a key. Set what is missing in a file .dev.vars beside wrangler.toml, for instance:',
  '  OPENAI_API_KEY=…',
  '  SUPABASE_URL=https://….supabase.co',
  '  SUPABASE_SERVICE_ROLE_KEY=sb_secret_…',
  'Secrets that are stored with Cloudflare cannot be read back: repeat them there to try them.',
  'No key is needed to look around: `npm start` runs on embedded engines, and `npm run doctor -- --local` tries those.',
  '',
];

/** For `--json`. */
export function examinationJson(examination: Examination): Record<string, unknown> {
  const { rows, ...rest } = examination;
  return { ...rest, providers: rows };
}

const secretName = /_KEY$|_KEY_ID$|SECRET|TOKEN$|BEARER/;
/** A shorter value would take ordinary words out of the text. */
const shortestSecret = 4;

/**
 * A function that makes text from outside fit to be printed: the values of secret settings are taken out, and nothing is left that
 * moves a terminal's cursor.
 */
export function printable({ values }: FoundSettings): (text: string) => string {
  const secrets = Object.entries(values)
    .flatMap(([name, value]) =>
      secretName.test(name) && typeof value === 'string' ? [value, ...value.split(',')] : [],
    )
    .map((secret) => secret.trim())
    .filter((secret) => secret.length >= shortestSecret)
    // The longer first: one may hold another.
    .sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const secret of secrets) clean = clean.replaceAll(secret, '(hidden)');
    return clean.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trimEnd();
  };
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
