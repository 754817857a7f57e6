import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { closeCodes, errorCodes, nativeFeatures } from '../../src/dialects/native-messages.ts';

const root = join(import.meta.dirname, '..', '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

describe('README', () => {
  // Optional settings have no default, so the parsed defaults do not name them.
  const optional = [
    'OPENAI_API_KEY',
    'OPENAI_BASE_URL',
    'SUPABASE_URL',
    'SUPABASE_SERVICE_ROLE_KEY',
    'SUPABASE_JWT_SECRET',
    'SUPABASE_JWT_ISSUER',
    'AGENT_LANGUAGE',
    'PRICE_PER_SECOND',
    'STT_DEADLINE_MS',
    'LLM_DEADLINE_MS',
    'TTS_DEADLINE_MS',
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  ];
  it.each([...Object.keys(loadConfig({})), ...optional])('names the setting %s', (name) => {
    expect(readme).toContain(`\`${name}\``);
  });

  it.each(errorCodes)('explains the error code %s', (code) => {
    expect(readme).toContain(`\n| \`${code}\` |`);
  });

  it.each(Object.values(closeCodes))('explains the close code %d', (code) => {
    expect(readme).toContain(`\n| ${code} |`);
  });

  it.each(nativeFeatures)('names the feature %s', (feature) => {
    expect(readme).toMatch(new RegExp(`\`${feature}\\b`));
  });

  it('names no script that does not exist', () => {
    for (const [, name] of readme.matchAll(/npm run ([a-z0-9:]+)/g))
      expect(manifest.scripts).toHaveProperty(name!);
  });
});
