/**
 * By what an address is counted: an IPv4 address as it is, an IPv6 one by its first 64 bits. Whoever has one IPv6 address has a whole /64
 * of them (RFC 6177 §2: a site gets no less), so the other bits tell nobody apart. What is no address counts as one, all of them together.
 */
export function addressKey(text: string | null): string {
  if (text === null) return 'unknown';
  if (!text.includes(':')) return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) ? text : 'unknown';
  const groups = groupsOf(text);
  if (groups === null) return 'unknown';
  // RFC 4291 §2.5.5.2: an IPv4 address written as IPv6.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255].join('.');
  }
  const network = groups.slice(0, 4).map((group) => group.toString(16));
  return `${network.join(':')}::/64`;
}

/** The eight groups of an IPv6 address in any of its spellings; null: it is none. */
function groupsOf(text: string): number[] | null {
  // The URL parser knows them all, and writes each in one way: hexadecimal, zeros left out at one place at most.
  const host = URL.parse(`http://[${text}]/`)?.hostname ?? '';
  if (!host.startsWith('[')) return null;
  const [head = '', tail] = host.slice(1, -1).split('::');
  const read = (part: string) =>
    part
      .split(':')
      .filter(Boolean)
      .map((group) => Number.parseInt(group, 16));
  const before = read(head);
  const after = read(tail ?? '');
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}
