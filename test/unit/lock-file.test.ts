import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>;
};

describe('the lock file', () => {
  it('carries no download addresses: they would be those of one registry’s mirror', () => {
    const addresses = Object.values(lock.packages).flatMap((entry) => entry.resolved ?? []);
    expect(addresses.filter((address) => address.startsWith('http'))).toEqual([]);
  });

  it('has the packages of every platform: one that lacks some is refused elsewhere by npm ci', () => {
    const missing = Object.entries(lock.packages).flatMap(([name, entry]) =>
      Object.keys(entry.optionalDependencies ?? {})
        .filter((dependency) => !dependency.includes('android'))
        .filter(
          (dependency) =>
            lock.packages[`node_modules/${dependency}`] === undefined &&
            lock.packages[`${name}/node_modules/${dependency}`] === undefined,
        )
        .map((dependency) => `${name} → ${dependency}`),
    );
    expect(missing).toEqual([]);
  });

  it('pins one Node for Linux, macOS and Windows', () => {
    const nodes = Object.keys(lock.packages).filter((name) =>
      /^node_modules\/node-(?:bin-)?(?:linux|darwin|win)/.test(name),
    );
    expect(nodes.length).toBe(5);
  });
});
