import { createHook } from 'node:async_hooks';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from '@supabase/supabase-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostedLikeConnection } from '../../../embedded/supabase/connection.ts';
import { projectKeys } from '../../../embedded/supabase/data-folder.ts';
import { emptyDatabaseImage } from '../../../embedded/supabase/image.ts';
import { applyMigrations, readMigrations } from '../../../embedded/supabase/migrations.ts';
import { defaultCacheDir as cacheDir, startSupabase } from '../../../embedded/supabase/supabase.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const never = new AbortController().signal;

let scratch: string;
let dataDir: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'embedded-supabase-'));
  dataDir = join(scratch, 'data');
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

/** A copy of the real migrations that a test may add to. */
async function copyOfMigrations(): Promise<string> {
  const folder = join(scratch, 'migrations');
  await cp(join(root, 'supabase', 'migrations'), folder, { recursive: true });
  return folder;
}

describe('a project with a data folder', () => {
  it('keeps rows and keys over a restart and applies each migration once', async () => {
    const migrationsDir = await copyOfMigrations();
    const versions = (await readdir(migrationsDir)).sort().map((file) => file.slice(0, 14));
    const first = await startSupabase({ dataDir, migrationsDir });
    expect(first.migrationsApplied).toEqual(versions);
    expect((await stat(join(dataDir, 'keys.json'))).mode & 0o777, 'readable by its owner alone').toBe(0o600);
    await expect(startSupabase({ dataDir }), 'one process at a time').rejects.toMatchObject({
      failure: 'DATA_IN_USE',
    });
    const { error } = await createClient(first.url, first.serviceRoleKey)
      .from('call_logs')
      .insert({ call_id: 'kept', user_id: 'user', start_time: new Date(0).toISOString() })
      .abortSignal(never);
    expect(error).toBeNull();
    await first.close();

    await writeFile(
      join(migrationsDir, '29990101000000_more.sql'),
      'create table public.more (id int primary key);',
    );
    const second = await startSupabase({ dataDir, migrationsDir });
    try {
      expect(second.migrationsApplied).toEqual(['29990101000000']);
      expect(second.serviceRoleKey).toBe(first.serviceRoleKey);
      expect(second.publishableKey).toBe(first.publishableKey);
      const client = createClient(second.url, first.serviceRoleKey);
      expect((await client.from('call_logs').select('call_id')).data).toEqual([{ call_id: 'kept' }]);
      expect((await client.from('more').select()).data).toEqual([]);
    } finally {
      await second.close();
    }
  });

  it('opens a folder whose process was killed, with everything that had been answered', async () => {
    const command = await startCommand(['--port', '0', '--data-dir', dataDir]);
    const { serviceRoleKey } = JSON.parse(await readFile(command.keysFile, 'utf8'));
    const { error } = await createClient(command.url, serviceRoleKey)
      .from('call_logs')
      .insert({ call_id: 'survivor', user_id: 'user', start_time: new Date(0).toISOString() });
    expect(error).toBeNull();
    const exited = once(command.process, 'exit');
    command.process.kill('SIGKILL');
    await exited;

    const supabase = await startSupabase({ dataDir });
    try {
      expect(await supabase.query('select call_id from call_logs')).toEqual([{ call_id: 'survivor' }]);
    } finally {
      await supabase.close();
    }
  });

  it('refuses keys that are none', async () => {
    await mkdir(dataDir);
    await writeFile(join(dataDir, 'keys.json'), '{"serviceRoleKey":""}');
    await expect(startSupabase({ dataDir })).rejects.toMatchObject({ failure: 'DATA_DAMAGED' });
    expect(await readdir(dataDir)).not.toContain('lock');
  });
});

describe('migrations', () => {
  it('are append-only, one transaction each', async () => {
    const folder = await copyOfMigrations();
    const added = join(folder, '29990101000000_more.sql');
    const connection = new HostedLikeConnection({
      image: await emptyDatabaseImage(cacheDir, () => undefined),
    });
    const apply = async () => applyMigrations(connection.driver, await readMigrations(folder));
    try {
      await connection.prepare();
      await apply();
      await writeFile(added, 'create table public.half (id int); select * from nowhere;');
      await expect(apply()).rejects.toThrow('29990101000000_more failed');
      expect((await connection.driver.query("select to_regclass('public.half') as half")).rows).toEqual([
        { half: null },
      ]);

      await writeFile(added, 'select 1;');
      expect(await apply()).toEqual(['29990101000000']);
      expect(await apply(), 'once').toEqual([]);

      await writeFile(added, 'select 2;');
      await expect(apply(), 'changed').rejects.toMatchObject({ failure: 'MIGRATION' });
      await rm(added);
      await expect(apply(), 'removed').rejects.toMatchObject({ failure: 'MIGRATION' });
      await writeFile(added, 'select 1;');
      const before = join(folder, '20000101000000_before.sql');
      await writeFile(before, 'select 1;');
      await expect(apply(), 'put before others').rejects.toMatchObject({ failure: 'MIGRATION' });
      await rm(before);
      expect(await apply()).toEqual([]);
    } finally {
      await connection.close();
    }
  });

  it('are refused under a name that the Supabase CLI would skip, and under one version twice', async () => {
    const folder = await copyOfMigrations();
    await writeFile(join(folder, '29990101000000_a.sql'), 'select 1;');
    await writeFile(join(folder, '29990101000000_b.sql'), 'select 1;');
    await expect(readMigrations(folder)).rejects.toThrow('29990101000000');
    await writeFile(join(folder, 'notes.sql'), 'select 1;');
    await expect(readMigrations(folder)).rejects.toThrow('notes.sql');
  });
});

describe('starting and stopping', () => {
  it('names a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    try {
      const started = startSupabase({ port });
      await expect(started).rejects.toMatchObject({ failure: 'ADDRESS_UNAVAILABLE' });
      await expect(started).rejects.toThrow(`127.0.0.1:${port}`);
    } finally {
      other.close();
      await once(other, 'close');
    }
  });

  it('closes twice without complaint, and answers no more', async () => {
    const supabase = await startSupabase();
    await Promise.all([supabase.close(), supabase.close()]);
    await supabase.close();
    await expect(fetch(`${supabase.url}/rest/v1/call_logs`)).rejects.toThrow();
  });

  it('gives every project keys of its own', async () => {
    const [one, other] = await Promise.all([projectKeys(undefined), projectKeys(undefined)]);
    expect(one.serviceRoleKey).toMatch(/^sb_secret_/);
    expect(one.publishableKey).toMatch(/^sb_publishable_/);
    expect(new Set([...Object.values(one), ...Object.values(other)]).size).toBe(6);
  });

  it('makes its empty database again where the kept one is cut short', async () => {
    const folder = join(scratch, 'cache');
    const made = async () => {
      let times = 0;
      const image = await emptyDatabaseImage(folder, () => {
        times += 1;
      });
      expect(image.size).toBeGreaterThan(1_000_000);
      return times;
    };
    expect(await made()).toBe(1);
    expect(await made()).toBe(0);
    const [file] = await readdir(folder);
    const whole = await readFile(join(folder, file!));
    await writeFile(join(folder, file!), whole.subarray(0, whole.length / 2));
    expect(await made()).toBe(1);
    expect(await readdir(folder)).toEqual([file]);
  });

  it('opens no connection and looks up no name of its own', async () => {
    const outgoing: string[] = [];
    const watched = new Set([
      'TCPCONNECTWRAP',
      'GETADDRINFOREQWRAP',
      'QUERYWRAP',
      'UDPSENDWRAP',
      'PIPECONNECTWRAP',
    ]);
    const hook = createHook({
      init(_id, type) {
        if (watched.has(type)) outgoing.push(type);
      },
    }).enable();
    try {
      const supabase = await startSupabase();
      await supabase.query('select 1');
      expect(outgoing).toEqual([]);
      // The watch sees what there is to see: this request is the test's own.
      await fetch(`${supabase.url}/rest/v1/call_logs`, { headers: { apikey: supabase.serviceRoleKey } });
      await supabase.close();
      expect(outgoing).toEqual(['TCPCONNECTWRAP']);
    } finally {
      hook.disable();
    }
  });
});

describe('the command', () => {
  it('prints its address but no key, and ends on SIGTERM', async () => {
    const command = await startCommand(['--port', '0', '--data-dir', dataDir]);
    const { serviceRoleKey, publishableKey } = JSON.parse(await readFile(command.keysFile, 'utf8'));
    const response = await fetch(`${command.url}/rest/v1/call_logs`, { headers: { apikey: serviceRoleKey } });
    expect(await response.json()).toEqual([]);
    const exited = once(command.process, 'exit');
    command.process.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    expect(command.output.join('\n')).not.toContain(serviceRoleKey);
    expect(command.output.join('\n')).not.toContain(publishableKey);
    expect(await readdir(dataDir)).not.toContain('lock');
  });
});

/** Runs `main.ts` until it has printed where it is. */
async function startCommand(args: string[]) {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(root, 'embedded', 'supabase', 'main.ts'), ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const output: string[] = [];
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    output.push(line);
    url ??= /^SUPABASE_URL=(.+)$/.exec(line)?.[1];
    const keysFile = /^keys: (.+)$/.exec(line)?.[1];
    if (url !== undefined && keysFile !== undefined) return { process: child, output, url, keysFile };
  }
  throw new Error(`the command ended:\n${output.join('\n')}`);
}
