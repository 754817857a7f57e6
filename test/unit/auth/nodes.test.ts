import { describe, expect, it } from 'vitest';
import { holderOf } from '../../../src/auth/nodes.ts';
import { hashOfToken, kindOfToken, newToken } from '../../../src/auth/tokens.ts';
import { Refused } from '../../../src/auth/user-tokens.ts';
import { loadConfig } from '../../../src/config.ts';
import { seeded } from '../../support/random.ts';

const tokens = { old: newToken('node'), next: newToken('node'), other: newToken('node') };
const service = newToken('service');
const metrics = newToken('metrics');

const config = loadConfig({
  NODES: JSON.stringify({
    'fs-1': {
      tokens: [await hashOfToken(tokens.old), await hashOfToken(tokens.next)],
      users: ['acme'],
      campaigns: ['survey'],
    },
    'fs-2': {
      tokens: [await hashOfToken(tokens.other)],
      users: '*',
      addresses: ['192.0.2.0/24', '2001:db8::/32'],
    },
  }),
  SERVICE_TOKENS: await hashOfToken(service),
  METRICS_TOKENS: await hashOfToken(metrics),
});
const holder = (token: string, name: string | null = null, address: string | null = null) =>
  holderOf(token, name, address, config);

describe('a node', () => {
  it('shows any of its tokens: an old one is good until it is taken out', async () => {
    const node = { kind: 'node', id: 'fs-1', users: ['acme'], campaigns: ['survey'] };
    expect(await holder(tokens.old)).toEqual(node);
    expect(await holder(tokens.next)).toEqual(node);
    expect(await holder(tokens.next, 'fs-1')).toEqual(node);
  });

  it('calls for no campaign where none is named', async () => {
    expect(await holder(tokens.other, null, '192.0.2.7')).toMatchObject({ users: '*', campaigns: [] });
  });

  it('is none with the hash for a token: what the settings hold opens nothing', async () => {
    await expect(holder(await hashOfToken(tokens.old))).rejects.toBeInstanceOf(Refused);
  });

  it('is none with a token of another kind, or another node’s name', async () => {
    await expect(holder(newToken('node'))).rejects.toBeInstanceOf(Refused);
    await expect(holder(tokens.old, 'fs-2')).rejects.toBeInstanceOf(Refused);
    await expect(holder(tokens.old.replace('_node_', '_service_'))).rejects.toBeInstanceOf(Refused);
  });

  it('is none with any character of its token changed', async () => {
    const random = seeded(3);
    const alphabet = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'];
    for (let round = 0; round < 200; round++) {
      const at = 'ach_node_'.length + random.whole(43);
      const forged = tokens.old.slice(0, at) + random.of(alphabet) + tokens.old.slice(at + 1);
      if (forged !== tokens.old) await expect(holder(forged)).rejects.toBeInstanceOf(Refused);
    }
  });

  it('comes from its own addresses where it has any', async () => {
    expect(await holder(tokens.other, null, '2001:db8::1')).toMatchObject({ id: 'fs-2' });
    for (const address of ['192.0.3.1', '2001:db9::1', '', 'unknown', null]) {
      await expect(holder(tokens.other, null, address)).rejects.toBeInstanceOf(Refused);
    }
  });

  it('is none where two nodes have one token: nobody knows which it is', async () => {
    const hash = await hashOfToken(tokens.old);
    const node = { tokens: [hash], users: ['acme'] };
    const { NODES } = loadConfig({ NODES: JSON.stringify({ a: node, b: node }) });
    const both = { ...config, NODES };
    await expect(holderOf(tokens.old, null, null, both)).rejects.toThrow('several nodes');
  });
});

describe('the operator’s tokens', () => {
  it('are for everything, or for the metrics alone, and the log tells them apart', async () => {
    const id = (await hashOfToken(service)).slice(0, 8);
    expect(await holder(service)).toEqual({ kind: 'service', id, users: '*', campaigns: '*' });
    expect(await holder(metrics)).toMatchObject({ kind: 'metrics', users: [], campaigns: [] });
    await expect(holder(newToken('service'))).rejects.toBeInstanceOf(Refused);
    await expect(holder(newToken('metrics'))).rejects.toBeInstanceOf(Refused);
  });

  it('are known by their form', () => {
    expect([service, metrics, tokens.old].map(kindOfToken)).toEqual(['service', 'metrics', 'node']);
    for (const text of ['', 'ach_node_', `${tokens.old}x`, ` ${tokens.old}`, 'ach_call_x', 'a.b.c']) {
      expect(kindOfToken(text)).toBeNull();
    }
  });
});

describe('the setting NODES', () => {
  it.each([
    ['a token in clear', { tokens: [tokens.old], users: ['acme'] }],
    ['no token', { tokens: [], users: ['acme'] }],
    ['no users', { tokens: ['0'.repeat(64)] }],
    [
      'a network with bits behind its prefix',
      { tokens: ['0'.repeat(64)], users: '*', addresses: ['192.0.2.1/24'] },
    ],
    ['a mistyped name', { tokens: ['0'.repeat(64)], users: '*', campaign: ['x'] }],
  ])('is refused with %s, and the message repeats no token', (_, node) => {
    const load = () => loadConfig({ NODES: JSON.stringify({ 'fs-1': node }) });
    expect(load).toThrow('NODES.fs-1');
    expect(load).not.toThrow(tokens.old);
  });
});
