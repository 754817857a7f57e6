import { describe, expect, it } from 'vitest';
import { isAddressIn, parseNetwork } from '../../../src/auth/addresses.ts';

const within = (address: string, ...networks: string[]) =>
  isAddressIn(
    address,
    networks.map((text) => parseNetwork(text)!),
  );

describe('an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.255', '192.0.2.0/24'],
    ['10.1.2.3', '10.0.0.0/8'],
    ['203.0.113.9', '0.0.0.0/0'],
    ['2001:db8::1', '2001:db8::/32'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::1', '::/0'],
    ['::ffff:192.0.2.7', '192.0.2.0/24'],
    ['::ffff:c000:207', '192.0.2.0/24'],
    ['192.0.2.7', '::ffff:192.0.2.7'],
  ])('%s lies in %s', (address, network) => {
    expect(within(address, '198.51.100.1', network)).toBe(true);
  });

  it.each([
    ['192.0.3.1', '192.0.2.0/24'],
    ['192.0.2.1', '2001:db8::/32'],
    ['2001:db9::1', '2001:db8::/32'],
    ['192.0.2.1', '::/0'],
    ['unknown', '0.0.0.0/0'],
    ['', '0.0.0.0/0'],
    ['0300.0.2.1', '0.0.0.0/0'],
    ['192.0.2.1.', '0.0.0.0/0'],
    ['192.0.2', '0.0.0.0/0'],
    ['192.0.2.256', '0.0.0.0/0'],
    ['1:2:3:4:5:6:7:8:9', '::/0'],
    ['1::2::3', '::/0'],
    ['192.0.2.1, 10.0.0.1', '0.0.0.0/0'],
  ])('%j does not lie in %s', (address, network) => {
    expect(within(address, network)).toBe(false);
  });

  it.each([
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.1/8',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    'host',
  ])('%j is no network', (text) => {
    expect(parseNetwork(text)).toBeNull();
  });
});
