import { expect, it } from 'vitest';
import { addressKey } from '../../../src/http/client-address.ts';

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::', 'fe80:0:0:0::/64'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::ffff:c000:207', '192.0.2.7'],
])('counts %s as %s', (address, key) => {
  expect(addressKey(address)).toBe(key);
});

it.each([
  null,
  '',
  'unknown',
  '1.2.3',
  '1.2.3.4.5',
  'a:b',
  '::1::',
  ']@evil.example/:',
  '[::1]',
  `${'1:'.repeat(300)}`,
])('counts %j with all others that are no addresses', (address) => {
  expect(addressKey(address)).toBe('unknown');
});
