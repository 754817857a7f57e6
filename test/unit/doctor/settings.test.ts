import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
// Takes seconds to load on a busy machine: not in a test's time.
import 'wrangler';
import { localSettings } from '../../../tools/doctor/local.ts';
import { readSettings, SettingsError } from '../../../tools/doctor/settings.ts';
import { writeServiceFile } from '../../../tools/service/service-file.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'doctor-test-'));
  writeFileSync(
    path.join(root, 'wrangler.toml'),
    `name = "w"
main = "index.ts"
compatibility_date = "2026-10-20"
[vars]
STT_MODEL = "of the toml"
LLM_MODEL = "of the toml"
TTS_MODEL = "of the toml"
AGENT_MAX_OUTPUT_TOKENS = 200
[env.production.vars]
STT_MODEL = "of production"
[env.production.ai]
binding = "AI"
`,
  );
  writeFileSync(path.join(root, 'index.ts'), 'export default {};');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const read = (environment?: string, variables: Record<string, string> = {}) =>
  readSettings({ root, environment, variables });

describe('settings', () => {
  it('come from the environment, then .dev.vars, then the [vars] of wrangler.toml', async () => {
    writeFileSync(path.join(root, '.dev.vars'), 'LLM_MODEL="of the file" # quoted\nTTS_MODEL=of the file\n');
    const { values, sources } = await read(undefined, { TTS_MODEL: 'of the process', LLM_MODEL: ' ' });
    expect(values).toEqual({
      STT_MODEL: 'of the toml',
      LLM_MODEL: 'of the file',
      TTS_MODEL: 'of the process',
      AGENT_MAX_OUTPUT_TOKENS: 200,
    });
    expect(Object.fromEntries(sources)).toEqual({
      STT_MODEL: 'wrangler.toml',
      LLM_MODEL: '.dev.vars or .env',
      TTS_MODEL: 'the environment',
      AGENT_MAX_OUTPUT_TOKENS: 'wrangler.toml',
    });
  });

  it('take nothing from the process that is no setting of a provider, the database or the agent', async () => {
    const { values } = await read('production', {
      PATH: '/bin',
      RECORDING: 'perhaps',
      SUPABASE_URL: 'http://s',
    });
    expect(values).toEqual({ STT_MODEL: 'of production', SUPABASE_URL: 'http://s' });
  });

  it('tell whether the Worker has the binding of Workers AI', async () => {
    expect(Object.keys((await read()).bindings ?? {})).toEqual([]);
    expect(Object.keys((await read('production')).bindings ?? {})).toEqual(['AI']);
  });

  it('of an environment have its own file, and no other environment’s', async () => {
    writeFileSync(path.join(root, '.dev.vars'), 'OPENAI_API_KEY=everyday\n');
    writeFileSync(path.join(root, '.dev.vars.production'), 'OPENAI_API_KEY=real\n');
    expect((await read('production')).values).toEqual({ STT_MODEL: 'of production', OPENAI_API_KEY: 'real' });
    expect((await read()).values).toMatchObject({ STT_MODEL: 'of the toml', OPENAI_API_KEY: 'everyday' });
  });

  it('say which environment there is none of, and which file is broken', async () => {
    await expect(read('nope')).rejects.toThrow(/nope/);
    writeFileSync(path.join(root, 'wrangler.toml'), '[vars\n');
    const error = await read().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SettingsError);
  });
});

describe('settings of a running `npm start`', () => {
  it('are those that it has given its Worker', () => {
    writeServiceFile(root, {
      pid: process.pid,
      url: 'http://127.0.0.1:1',
      enginesUrl: 'http://127.0.0.1:2/v1',
      enginesKey: 'engines',
      supabaseUrl: 'http://127.0.0.1:3',
      supabaseKey: 'sb_secret_x',
    });
    const { values, sources } = localSettings(root);
    expect(values).toMatchObject({
      STT_BASE_URL: 'http://127.0.0.1:2/v1',
      LLM_API_KEY: 'engines',
      TTS_MODEL: 'flite',
      SUPABASE_URL: 'http://127.0.0.1:3',
      SUPABASE_SERVICE_ROLE_KEY: 'sb_secret_x',
    });
    expect(sources.get('LLM_API_KEY')).toBe('`npm start`');
  });

  it('are none where none runs', () => {
    expect(() => localSettings(root)).toThrow(SettingsError);
  });
});
