import { describe, expect, it } from 'vitest';
import type { Principal } from '../../../src/call/principal.ts';
import { carriedTraceparent, readTraceparent } from '../../../src/tracing/trace-context.ts';

const good = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('a traceparent', () => {
  it.each([
    ['version 00', good],
    ['a later version, with more behind it', `cc${good.slice(2)}-what-is-new`],
  ])('is read: %s', (_, text) => {
    expect(readTraceparent(text)).toMatchObject({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      spanId: '00f067aa0ba902b7',
      traceFlags: 1,
      isRemote: true,
    });
  });

  it.each([
    '',
    'x',
    good.toUpperCase(),
    `ff${good.slice(2)}`,
    `${good}-more`,
    good.replace(/4bf.*4736/, '0'.repeat(32)),
    good.replace('00f067aa0ba902b7', '0'.repeat(16)),
    `${good}, ${good}`,
    `cc${good.slice(2)}-${'x'.repeat(10_000)}`,
  ])('is left alone: %s', (text) => {
    expect(readTraceparent(text)).toBeNull();
  });

  const from = (kind: Principal['kind'], traceparent = good) =>
    carriedTraceparent(new Request('http://a/', { headers: { traceparent } }), {
      kind,
      id: 'x',
      users: '*',
      campaigns: '*',
    });

  it.each(['node', 'service', 'anonymous'] as const)('of a %s is believed', (kind) => {
    expect(from(kind)).toBe(good);
    expect(from(kind, 'forged')).toBeUndefined();
  });

  it.each(['user', 'call', 'metrics'] as const)(
    'of a %s is not: the call could be put into somebody else’s trace',
    (kind) => {
      expect(from(kind)).toBeUndefined();
    },
  );
});
