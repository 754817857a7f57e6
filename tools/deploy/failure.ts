import { stripVTControlCharacters } from 'node:util';

/** Something cannot be done; the message says what, and what there is to do about it. */
export class DeployError extends Error {
  override readonly name = 'DeployError';
}

const account = 'There is no account';

/** Whether a failure is that nobody has logged in. */
export function noAccount(message: string): boolean {
  return message.includes(account);
}

/** What wrangler says, by a pattern of its text or by a code of Cloudflare's API, and what to do. The first that fits counts. */
const known: readonly [RegExp, string][] = [
  [
    /set a CLOUDFLARE_API_TOKEN environment variable|You must be logged in|not authenticated/i,
    `${account}: run \`npx wrangler login\`, or set CLOUDFLARE_API_TOKEN (docs/deploying.md says what it must be allowed).`,
  ],
  [
    /\[code: (10000|10001|9109|9106)\]|Authentication error|Unable to authenticate/,
    'Cloudflare does not take the token, or it lacks a permission: docs/deploying.md has the list.',
  ],
  [/\[code: 10042\]|enable R2/i, 'The account has no R2 yet: enable it in the dashboard, under R2.'],
  [
    /\[code: 10089\]|enable Analytics Engine/i,
    'The account has no Analytics Engine yet: enable it in the dashboard, under Workers, or take `analytics_engine_datasets` out of wrangler.toml.',
  ],
  [
    /\[code: 100328\]|CPU limits are not supported/i,
    'The account has not the paid plan of Workers: take the `limits` out of wrangler.toml, or change the plan.',
  ],
  [
    /\[code: 971\]|too many requests|rate limit|\b429\b/i,
    'Cloudflare takes no more requests for the moment: wait five minutes.',
  ],
  [
    // The last: no answer, or one without a code of Cloudflare's.
    /API(?: \([^)]*\))? failed\.(?![\s\S]*\[code: )|fetch failed|ECONN|terminated|socket|timed? ?out|malformed|Internal Server Error|Bad Gateway|Service Unavailable|\b50[0234]\b/i,
    'Cloudflare did not answer as it should. Whether the last step was taken is not known.',
  ],
];

/** What a failed command of wrangler's means, in words that say what to do. */
export function adviceFor(output: string): string | null {
  return known.find(([pattern]) => pattern.test(output))?.[1] ?? null;
}

/** A command of wrangler's has failed. */
export function wranglerFailed(args: readonly string[], output: string): DeployError {
  const advice = adviceFor(output);
  const said = stripVTControlCharacters(output)
    .split('\n')
    .map((line) => line.trim())
    // Where its own log lies, and where bugs are reported, helps nobody here.
    .filter(
      (line) => line !== '' && !/Logs were written to|If you think this is a bug|--temporary/.test(line),
    )
    .slice(-8)
    .join('\n  ');
  return new DeployError(
    `\`wrangler ${args.join(' ')}\` failed:\n  ${said}\n${advice === null ? '' : `${advice} `}Then run this again: what is done is left as it is.`,
  );
}
