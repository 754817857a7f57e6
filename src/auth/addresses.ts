/** A network: an IPv4 or IPv6 address and how many of its leading bits count. */
export interface Network {
  /** IPv4 has 32 bits, IPv6 128. */
  bits: 32 | 128;
  value: bigint;
  prefix: number;
  /** As it was written. */
  text: string;
}

/** `192.0.2.0/24`, `2001:db8::/32`, or one address. Null: it is none, or has bits behind its prefix (a slip of the pen). */
export function parseNetwork(text: string): Network | null {
  const [address = '', length, ...rest] = text.trim().split('/');
  const parsed = parseAddress(address);
  if (parsed === null || rest.length > 0) return null;
  if (length !== undefined && !/^\d{1,3}$/.test(length)) return null;
  const prefix = length === undefined ? parsed.bits : Number(length);
  if (prefix > parsed.bits) return null;
  const hostBits = BigInt(parsed.bits - prefix);
  if ((parsed.value >> hostBits) << hostBits !== parsed.value) return null;
  return { ...parsed, prefix, text: text.trim() };
}

/** Whether the address lies in one of the networks. What is no address lies in none. */
export function isAddressIn(address: string, networks: readonly Network[]): boolean {
  const parsed = parseAddress(address);
  if (parsed === null) return false;
  return networks.some(({ bits, value, prefix }) => {
    const hostBits = BigInt(bits - prefix);
    return bits === parsed.bits && parsed.value >> hostBits === value >> hostBits;
  });
}

/** An IPv4 address written as IPv6 (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) is the IPv4 address. */
function parseAddress(text: string): { bits: 32 | 128; value: bigint } | null {
  if (!text.includes(':')) {
    const value = parseV4(text);
    return value === null ? null : { bits: 32, value };
  }
  const value = parseV6(text);
  if (value === null) return null;
  return value >> 32n === 0xffffn ? { bits: 32, value: value & 0xffff_ffffn } : { bits: 128, value };
}

/** Four decimal numbers; a leading zero would be octal to others. */
function parseV4(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return null;
  }
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function parseV6(text: string): bigint | null {
  const [head = '', tail, ...rest] = text.split('::');
  if (rest.length > 0) return null;
  const before = groupsOf(head, tail === undefined);
  const after = tail === undefined ? [] : groupsOf(tail, true);
  if (before === null || after === null) return null;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...before, ...Array<bigint>(missing).fill(0n), ...after];
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

/** @param isLast its last group may be an IPv4 address, which makes two. */
function groupsOf(text: string, isLast: boolean): bigint[] | null {
  if (text === '') return [];
  const groups: bigint[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (isLast && i === parts.length - 1 && part.includes('.')) {
      const v4 = parseV4(part);
      if (v4 === null) return null;
      groups.push(v4 >> 16n, v4 & 0xffffn);
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups.push(BigInt(`0x${part}`));
    else return null;
  }
  return groups;
}
