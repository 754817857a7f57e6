import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
// Takes seconds to load on a busy machine: not in a test's time.
import 'wrangler';
import { parseDeployArguments } from '../../../tools/deploy/arguments.ts';
import { environmentNames, readEnvironment } from '../../../tools/deploy/environment.ts';
import { withNamespaceId } from '../../../tools/deploy/namespaces.ts';
import { checkedSecret, checkSecretName, secretNames, secretsOfFile } from '../../../tools/deploy/secrets.ts';

const root = path.join(import.meta.dirname, '..', '..', '..');
const toml = readFileSync(path.join(root, 'wrangler.toml'), 'utf8');
const folder = mkdtempSync(path.join(tmpdir(), 'deploy-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the id of a namespace', () => {
  it.each(environmentNames)('stands in %s, and nothing else is changed', async (environment) => {
    const once = withNamespaceId(toml, environment, 'RATE_LIMIT_KV', 'a'.repeat(32));
    const twice = withNamespaceId(once, environment, 'RATE_LIMIT_KV', 'b'.repeat(32));
    writeFileSync(path.join(folder, 'wrangler.toml'), twice);
    const ids = async (name: (typeof environmentNames)[number]) =>
      (await readEnvironment(folder, name)).namespaces.map(({ id }) => id);
    for (const name of environmentNames) {
      expect(await ids(name)).toEqual([null, name === environment ? 'b'.repeat(32) : null]);
    }
    expect(twice.replace(`id = "${'b'.repeat(32)}"\n`, '')).toBe(toml);
  });

  it('of a binding that is not there is refused', () => {
    expect(() => withNamespaceId(toml, 'staging', 'OTHER_KV', 'x')).toThrow('OTHER_KV');
  });
});

describe('a secret', () => {
  it('is a setting whose name says so', () => {
    const needed = [
      'OPENAI_API_KEY',
      'SUPABASE_URL',
      'SUPABASE_SERVICE_ROLE_KEY',
      'NODES',
      'PERSONAL_DATA_KEY',
      'ALERT_WEBHOOKS',
      'AWS_BEARER_TOKEN_BEDROCK',
      // A collector's key stands in them as a rule.
      'OTEL_EXPORTER_OTLP_HEADERS',
    ];
    expect(secretNames).toEqual(
      expect.arrayContaining([...needed, 'AWS_SECRET_ACCESS_KEY', 'SERVICE_TOKENS']),
    );
    expect(secretNames).not.toContain('AGENT_MAX_OUTPUT_TOKENS');
    expect(secretNames).not.toContain('CALL_TOKEN_TTL');
  });

  it('is kept without the line break of its file', () => {
    expect(checkedSecret('OPENAI_API_KEY', 'sk-1\r\n')).toBe('sk-1');
  });

  it.each([
    ['OPENAI_API_KEY', '\n', 'is empty'],
    ['OPENAI_API_KEY', 'ä'.repeat(2_561), 'more than 5120 bytes'],
    ['NODES', '{"fs-1": {"tokens": ["plain-secret"], "users": "*"}}', 'NODES.fs-1.tokens.0'],
    ['SUPABASE_URL', 'secret-host', 'SUPABASE_URL'],
  ])('%s is refused where it would not be taken, and is not repeated', (name, value, text) => {
    const refused = () => checkedSecret(name, value);
    expect(refused).toThrow(text);
    expect(refused).not.toThrow(/plain-secret|secret-host/);
  });

  it('is never given in the command line', () => {
    expect(() => checkSecretName('OPENAI_API_KEY=sk-1')).toThrow('history');
    expect(() => checkSecretName('OPENAI_KEY')).toThrow('There is no setting OPENAI_KEY');
  });

  it('is told from what else stands in a file', () => {
    const { values, others } = secretsOfFile('OPENAI_API_KEY="sk-1"\n# remark\nCONSOLE=true\nNODES=\n');
    expect([[...values], others]).toEqual([[['OPENAI_API_KEY', 'sk-1']], ['CONSOLE']]);
  });
});

describe('the command line', () => {
  it('of a deployment means staging, where it says nothing else', () => {
    expect(parseDeployArguments('deploy', [])).toMatchObject({
      environment: 'staging',
      yes: false,
      dryRun: false,
    });
    expect(parseDeployArguments('deploy', ['--env', 'production', '--yes'])).toMatchObject({
      environment: 'production',
      yes: true,
    });
    expect(parseDeployArguments('rollback', ['--help'])).toBeNull();
  });

  it.each([
    ['kv', []],
    ['r2', ['--env', 'prod']],
    ['kv', ['--env', 'staging', 'extra']],
    ['deploy', ['--to', 'x']],
    ['rollback', ['--env', 'staging', '--to', 'latest']],
    ['secrets', []],
  ] as const)('of %s is refused with %j', (task, args) => {
    expect(() => parseDeployArguments(task, args)).toThrow(
      expect.objectContaining({ name: 'DeployUsageError' }),
    );
  });
});
