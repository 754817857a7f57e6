import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { unstable_readConfig } from 'wrangler';
import { LEASE_MARGIN_MS, loadConfig } from '../../src/config.ts';

const file = fileURLToPath(new URL('../../wrangler.toml', import.meta.url));
const environments = ['development', 'staging', 'production'] as const;
const configs = environments.map((env) =>
  unstable_readConfig({ config: file, ...(env === 'development' ? {} : { env }) }),
);
type Config = (typeof configs)[number];

/** What names a thing of the account's, and so is another one in each environment. */
const ownNames = ['bucket_name', 'dataset', 'namespace_id', 'id', 'queue'] as const;

interface Binding {
  kind: string;
  /** All but {@link ownNames}. */
  is: Record<string, unknown>;
  names: string[];
}

/** Every binding of an environment, of whatever kind wrangler has: a kind that is added to the file is held alike as well. */
function bindingsOf(config: Config): Binding[] {
  const found: Binding[] = [];
  const visit = (kind: string, value: unknown): void => {
    if (Array.isArray(value)) {
      for (const entry of value) visit(kind, entry);
    } else if (typeof value === 'object' && value !== null) {
      const entry = value as Record<string, unknown>;
      if (!('binding' in entry || 'class_name' in entry || 'namespace_id' in entry || 'queue' in entry)) {
        for (const [key, inner] of Object.entries(entry)) visit(`${kind}.${key}`, inner);
        return;
      }
      const is = Object.fromEntries(
        Object.entries(entry).filter(([key]) => !(ownNames as readonly string[]).includes(key)),
      );
      const names = ownNames.flatMap((key) => (key in entry ? [`${kind} ${key} ${entry[key]}`] : []));
      found.push({ kind, is, names });
    }
  };
  for (const [key, value] of Object.entries(config)) {
    if (!['env', 'rawConfig', 'migrations', 'exports', 'previews'].includes(key)) visit(key, value);
  }
  return found;
}

describe('the environments', () => {
  const [development, ...others] = configs as [Config, ...Config[]];

  it('have the same bindings', () => {
    const of = (config: Config) => bindingsOf(config).map(({ kind, is }) => ({ kind, ...is }));
    expect(of(development).length).toBeGreaterThan(8);
    for (const config of others) expect(of(config)).toEqual(of(development));
  });

  it('share nothing of an account but the account', () => {
    const names = configs.flatMap((config) => [
      `Worker ${config.name}`,
      ...bindingsOf(config).flatMap((binding) => binding.names),
    ]);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('have the same settings, but for those that tell them apart', () => {
    const own = ({ vars }: Config) => Object.keys(vars).sort();
    const shared = ({
      compatibility_date,
      compatibility_flags,
      migrations,
      triggers,
      build,
      main,
    }: Config) => ({
      ...{ compatibility_date, compatibility_flags, migrations, triggers, build, main },
    });
    for (const config of others) {
      expect(shared(config)).toEqual(shared(development));
      expect(own(config)).toEqual(own(development));
    }
  });

  it('have the CPU that the documents name: 10 s, in production 30 s', () => {
    expect(configs.map(({ limits }) => limits?.cpu_ms)).toEqual([10_000, 30_000, 30_000]);
  });

  it('log every call, but for production, which logs some', () => {
    const rates = configs.map(({ observability }) => observability?.head_sampling_rate);
    expect(rates.slice(0, 2)).toEqual([1, 1]);
    expect(rates[2]).toBeGreaterThan(0);
    expect(rates[2]).toBeLessThan(1);
  });
});

it('a deploy waits for the longest call and for what it has to finish', () => {
  const { WEBSOCKET_TIMEOUT } = loadConfig({});
  for (const { durable_objects } of configs) {
    const strategy = durable_objects.code_update_strategy;
    expect(strategy?.mode).toBe('deferred');
    expect((strategy?.max_delay ?? 0) * 1000).toBeGreaterThanOrEqual(WEBSOCKET_TIMEOUT + LEASE_MARGIN_MS);
  }
});

it('addresses are logged without their query, in which a token may stand', () => {
  for (const { observability } of configs) {
    expect(observability).toMatchObject({ enabled: true, redact_query_string: true });
  }
});

it('alerts are looked for each minute, which is what their rules wait by', () => {
  for (const { triggers } of configs) expect(triggers.crons).toEqual(['* * * * *']);
});

it('whatever the Worker counts on is bound', () => {
  const env = readFileSync(fileURLToPath(new URL('../../src/env.ts', import.meta.url)), 'utf8');
  // Workers AI is the operator's choice.
  const names = [...env.matchAll(/^ {2}([A-Z_]+)\??:/gm)]
    .map(([, name]) => name!)
    .filter((name) => name !== 'AI');
  expect(names.length).toBeGreaterThan(10);
  for (const config of configs) {
    const bound = bindingsOf(config).map(({ is }) => is.binding ?? is.name);
    expect(names.filter((name) => !bound.includes(name))).toEqual([]);
  }
});

it('a bucket for the European Union lies there', () => {
  for (const { r2_buckets } of configs) {
    const where = r2_buckets.map(({ binding, jurisdiction }: { binding: string; jurisdiction?: string }) => [
      binding,
      jurisdiction,
    ]);
    expect(where).toEqual([
      ['RECORDINGS', undefined],
      ['RECORDINGS_EU', 'eu'],
    ]);
  }
});

it('a location counts by the limits that are the defaults', () => {
  const { RATE_LIMIT_PER_IP, RATE_LIMIT_PER_NODE } = loadConfig({});
  for (const { ratelimits } of configs) {
    expect(ratelimits).toMatchObject([
      { name: 'RATE_LIMITER', simple: { limit: RATE_LIMIT_PER_IP, period: 60 } },
      { name: 'NODE_RATE_LIMITER', simple: { limit: RATE_LIMIT_PER_NODE, period: 60 } },
    ]);
  }
});

it('every class that is bound has a migration', () => {
  for (const { durable_objects, migrations } of configs) {
    const migrated = migrations.flatMap(({ new_sqlite_classes = [] }) => new_sqlite_classes);
    expect(
      durable_objects.bindings.map(({ class_name }: { class_name: string }) => class_name).sort(),
    ).toEqual(migrated.sort());
  }
});
