import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { NodeSettings } from '../../src/auth/settings.ts';
import { hashOfToken, newToken } from '../../src/auth/tokens.ts';
import type { Config } from '../../src/config.ts';
import { defaultPace } from '../../src/dialling/pace.ts';

export const tokenUsage = `npm run token -- node NAME [--users ID,…] [--campaigns ID,…] [--drop HASH] [--env NAME]
npm run token -- service | metrics [--drop HASH] [--env NAME]

Makes a token and prints it once, with its SHA-256 and the setting that lets its holder in. Nothing is stored: put the setting where
the others are. The setting is the present one and the new token beside the old ones; give the new token to its holder, then run it
again with --drop and the old hash, which makes no token.

  node NAME        a FreeSWITCH server; NAME stands in the log
  service          a program of yours: may do everything for everybody
  metrics          whoever collects /metrics
  --users          the users that the node's numbers map to; '*': all [as before]
  --campaigns      likewise its campaigns [as before]
  --drop HASH      take this hash out
  --env NAME       an environment of wrangler.toml, e.g. production

The present setting comes from the environment, then .dev.vars, then wrangler.toml. A secret that is stored with Cloudflare cannot be
read back: give it in the environment (NODES='…' npm run token -- …).`;

/** The command line is wrong; the message says where. */
export class TokenUsageError extends Error {
  override readonly name = 'TokenUsageError';
}

const ids = z
  .string()
  .transform((text) => (text.trim() === '*' ? ('*' as const) : text.split(',').map((id) => id.trim())))
  .optional();

const schema = z.object({
  kind: z.enum(['node', 'service', 'metrics']),
  name: z.string().optional(),
  users: ids,
  campaigns: ids,
  drop: z.string().optional(),
  env: z.string().optional(),
});
export type TokenArguments = z.output<typeof schema>;

/** Reads the command line of `npm run token`; null: help is wanted. */
export function parseTokenArguments(args: readonly string[]): TokenArguments | null {
  const text = { type: 'string' } as const;
  const options = { users: text, campaigns: text, drop: text, env: text };
  let given: ReturnType<typeof parseArgs>;
  try {
    const help = { type: 'boolean', short: 'h' } as const;
    given = parseArgs({ args: [...args], options: { ...options, help }, allowPositionals: true });
  } catch (cause) {
    throw new TokenUsageError((cause as Error).message, { cause });
  }
  if (given.values.help === true) return null;
  const [kind, name, ...rest] = given.positionals;
  if (kind === undefined) throw new TokenUsageError('A token of which kind?');
  const parsed = schema.safeParse({ ...given.values, kind, name });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new TokenUsageError(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { data } = parsed;
  if (rest.length > 0) throw new TokenUsageError(`What is ${rest[0]}?`);
  if (data.kind === 'node' && data.name === undefined)
    throw new TokenUsageError('Which node? It needs a name.');
  const ofNode = data.name ?? data.users ?? data.campaigns;
  if (data.kind !== 'node' && ofNode !== undefined) throw new TokenUsageError(`Only a node has ${ofNode}`);
  return data;
}

/** A token that was made, and the setting with it. `token` is null where a hash was taken out. */
export interface MadeToken {
  token: string | null;
  hash: string | null;
  setting: 'NODES' | 'SERVICE_TOKENS' | 'METRICS_TOKENS';
  value: string;
}

/** Makes a token, or takes one out of the present settings. @throws {TokenUsageError} */
export async function makeToken(options: TokenArguments, present: Config): Promise<MadeToken> {
  const { kind, name = '', drop } = options;
  const token = drop === undefined ? newToken(kind) : null;
  const hash = token === null ? null : await hashOfToken(token);
  const changed = (hashes: readonly string[]) => {
    if (hash !== null) return [...hashes, hash];
    if (!hashes.includes(drop!)) throw new TokenUsageError('There is no such hash in the present setting.');
    return hashes.filter((each) => each !== drop);
  };
  if (kind !== 'node') {
    const setting = kind === 'service' ? 'SERVICE_TOKENS' : 'METRICS_TOKENS';
    return { token, hash, setting, value: changed(present[setting]).join(',') };
  }
  const before = Object.hasOwn(present.NODES, name) ? present.NODES[name]! : null;
  const users = options.users ?? before?.users;
  if (users === undefined) throw new TokenUsageError('--users: whom may the node call for?');
  const node = {
    tokens: changed(before?.tokens ?? []),
    users,
    campaigns: options.campaigns ?? before?.campaigns ?? [],
    addresses: before?.addresses ?? [],
    dials: before?.dials ?? defaultPace,
  };
  if (node.tokens.length === 0)
    throw new TokenUsageError(`It is the last token of ${name}: take the node out by hand.`);
  const nodes = Object.entries({ ...present.NODES, [name]: node }).map(([id, each]) => [id, written(each)]);
  return { token, hash, setting: 'NODES', value: JSON.stringify(Object.fromEntries(nodes)) };
}

/** As it stands in the setting: what is empty is left out. */
function written({ tokens, users, campaigns, addresses, dials }: NodeSettings) {
  const ownPace = dials.perSecond !== defaultPace.perSecond || dials.atOnce !== defaultPace.atOnce;
  return {
    tokens,
    users,
    ...(campaigns.length > 0 ? { campaigns } : {}),
    ...(addresses.length > 0 ? { addresses: addresses.map(({ text }) => text) } : {}),
    ...(ownPace ? { dials } : {}),
  };
}
