import { describe, expect, it } from 'vitest';
import { holderOf } from '../../../src/auth/nodes.ts';
import { hashOfToken } from '../../../src/auth/tokens.ts';
import { loadConfig } from '../../../src/config.ts';
import { adviceBeforeDeploy } from '../../../tools/access/deploy.ts';
import { makeToken, parseTokenArguments, TokenUsageError } from '../../../tools/access/token.ts';

const make = async (args: string, settings: object = {}) =>
  await makeToken(parseTokenArguments(args.split(' '))!, loadConfig(settings));

describe('npm run token', () => {
  it('makes a node’s token and the setting that lets the node in', async () => {
    const { token, hash, setting, value } = await make('node fs-1 --users acme,widgets --campaigns survey');
    expect(hash).toBe(await hashOfToken(token!));
    expect(value).not.toContain(token);
    const config = loadConfig({ [setting]: value });
    const node = { kind: 'node', id: 'fs-1', users: ['acme', 'widgets'], campaigns: ['survey'] };
    expect(await holderOf(token!, null, null, config)).toEqual(node);
  });

  it('puts a second token beside the first, and takes the first one out', async () => {
    const first = await make('node fs-1 --users *');
    const before = { NODES: JSON.stringify({ ...JSON.parse(first.value), 'fs-2': other }) };
    const second = await make('node fs-1', before);
    const both = loadConfig({ NODES: second.value });
    for (const { token } of [first, second]) {
      expect(await holderOf(token!, null, null, both)).toMatchObject({ id: 'fs-1', users: '*' });
    }
    const dropped = await make(`node fs-1 --drop ${first.hash}`, { NODES: second.value });
    expect(dropped.token).toBeNull();
    expect(JSON.parse(dropped.value)).toEqual({
      'fs-1': { tokens: [second.hash], users: '*' },
      'fs-2': other,
    });
  });

  it('makes tokens for programs and for the metrics', async () => {
    const first = await make('service');
    const second = await make('service', { SERVICE_TOKENS: first.value });
    expect(second.value).toBe(`${first.hash},${second.hash}`);
    const config = loadConfig({ SERVICE_TOKENS: second.value });
    expect(await holderOf(first.token!, null, null, config)).toMatchObject({ kind: 'service' });
    expect((await make('metrics')).setting).toBe('METRICS_TOKENS');
  });

  it.each([
    '',
    'king',
    'node',
    'node fs-1',
    'node fs-1 fs-2 --users acme',
    'service --users acme',
    'service fs-1',
    `service --drop ${'0'.repeat(64)}`,
    'node fs-1 --user acme',
  ])('explains what is wrong with %j', async (args) => {
    await expect(Promise.resolve().then(() => make(args))).rejects.toBeInstanceOf(TokenUsageError);
  });
});

const other = { tokens: ['0'.repeat(64)], users: ['acme'], addresses: ['192.0.2.0/24'] };

describe('before a deployment', () => {
  it('without authentication is refused', () => {
    expect(adviceBeforeDeploy(loadConfig({ AUTH: 'none' })).refusal).toContain('AUTH is none');
  });

  it('names the nodes, or says that there is none', () => {
    const notes = (settings: object) => adviceBeforeDeploy(loadConfig(settings)).notes.join(' ');
    expect(notes({})).toContain('No nodes');
    expect(notes({ NODES: JSON.stringify({ 'fs-2': other }) })).toContain('Nodes: fs-2.');
  });
});
