import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { unstable_readConfig } from 'wrangler';
import { LEASE_MARGIN_MS, loadConfig } from '../../src/config.ts';

const file = fileURLToPath(new URL('../../wrangler.toml', import.meta.url));
const environments = [undefined, 'production'] as const;
const configs = environments.map((env) =>
  unstable_readConfig({ config: file, ...(env === undefined ? {} : { env }) }),
);

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

it('production has every binding that the laptop has', () => {
  const [laptop, production] = configs.map(({ durable_objects, r2_buckets, kv_namespaces, ratelimits }) => ({
    objects: durable_objects.bindings.map(
      ({ name, class_name }: { name: string; class_name: string }) => `${name} ${class_name}`,
    ),
    buckets: r2_buckets.map(({ binding }: { binding: string }) => binding),
    namespaces: kv_namespaces.map(({ binding }: { binding: string }) => binding),
    limits: ratelimits.map(({ name, simple }: { name: string; simple: object }) => ({ name, simple })),
  }));
  expect(production).toEqual(laptop);
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
  const [{ durable_objects, migrations }] = configs as [(typeof configs)[number]];
  const migrated = migrations.flatMap(({ new_sqlite_classes = [] }) => new_sqlite_classes);
  expect(durable_objects.bindings.map(({ class_name }: { class_name: string }) => class_name).sort()).toEqual(
    migrated.sort(),
  );
});
