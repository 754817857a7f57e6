import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Bed } from './support/bed.ts';
import { run, Service } from './support/processes.ts';
import { kamailioFolder } from './support/proxy.ts';

function file(name: string): Promise<string> {
  return readFile(join(kamailioFolder, name), 'utf8');
}

describe.concurrent('the files as they are shipped', () => {
  it('are a configuration that Kamailio takes without a warning', async () => {
    const { code, output } = await run('/usr/sbin/kamailio', [
      '-c',
      '-f',
      join(kamailioFolder, 'kamailio.cfg'),
    ]);
    expect(output).toContain('config file ok');
    expect(output).not.toMatch(/warning|error/i);
    expect(code).toBe(0);
  });

  it('ping every 10 s and give a node 2 s for its first answer', async () => {
    const defines = new Map(
      [...(await file('defines.cfg')).matchAll(/^#!trydef (\S+)\s+(.+)$/gm)].map(([, name, value]) => [
        name,
        value,
      ]),
    );
    expect(defines.get('PING_SECONDS')).toBe('10');
    expect(defines.get('NODE_TIMEOUT')).toBe('2000');
    expect(defines.get('BALANCE')).toBe('10');
    const config = await file('kamailio.cfg');
    expect(config).toContain('modparam("dispatcher", "ds_ping_interval", PING_SECONDS)');
    expect(config).toContain('modparam("tm", "fr_timer", NODE_TIMEOUT)');
  });

  it('have every number in defines.cfg, and nothing there that is not used', async () => {
    const names = [...(await file('defines.cfg')).matchAll(/^#!trydef (\S+)/gm)].map(([, name = '']) => name);
    const others = await Promise.all(
      ['kamailio.cfg', 'guard.cfg', 'routing.cfg', 'out.cfg', 'events.cfg'].map(file),
    );
    const code = others.join('\n').replaceAll(/^\s*#(?!!).*$/gm, '');
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
    expect(code).not.toMatch(/\b\d+\.\d+\.\d+\.\d+\b/);
  });

  it('lists that Kamailio reads line by line', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    // Those of nobody here: only whether each line is understood is seen.
    await writeFile(join(proxy.folder, 'nodes.list'), await file('nodes.list'));
    await writeFile(join(proxy.folder, 'trunks.list'), await file('trunks.list'));
    await proxy.rpc('dispatcher.reload');
    await proxy.rpc('permissions.addressReload');
    const names = ['carrier-a-1', 'carrier-a-2', 'carrier-b-1', 'node1', 'node2', 'node3'];
    expect(Object.keys(await proxy.nodes()).sort()).toEqual(names);
    const addresses = `${await proxy.rpc('permissions.addressDump')}${await proxy.rpc('permissions.subnetDump')}`;
    const lines = [...(await file('trunks.list')).matchAll(/^\d \S+ \d+ \d+ (\S+)$/gm)];
    expect(lines.length).toBeGreaterThan(0);
    expect([...addresses.matchAll(/tag: (\S+)/g)].map(([, tag]) => tag).sort()).toEqual(
      lines.map(([, tag]) => tag).sort(),
    );
  });

  it('scripts that shellcheck has nothing against', async () => {
    const scripts = (await readdir(join(kamailioFolder, 'bin'))).map((name) =>
      join(kamailioFolder, 'bin', name),
    );
    expect(scripts.length).toBeGreaterThan(0);
    expect(await run('shellcheck', ['-x', '-P', 'SCRIPTDIR', ...scripts])).toEqual({ code: 0, output: '' });
  });

  it('a keepalived.conf that keepalived takes, for the addresses of defines.cfg', async () => {
    const conf = await file('keepalived.conf');
    const defines = await file('defines.cfg');
    const own = /^\$OWN=(\S+)$/m.exec(conf)?.[1];
    const shared = /^\$ADDRESS=([^/]+)\//m.exec(conf)?.[1];
    for (const listener of ['UDP udp', 'TCP tcp', 'TLS tls']) {
      const [name, protocol] = listener.split(' ');
      expect(defines).toMatch(new RegExp(`^#!trydef LISTEN_${name} +${protocol}:${shared}:\\d+$`, 'm'));
    }
    expect(defines).toMatch(new RegExp(`^#!trydef LISTEN_OWN +udp:${own}:5060$`, 'm'));

    const outside = Object.entries(networkInterfaces()).find(([, all]) =>
      all?.some(({ internal }) => !internal),
    );
    const complaints = async (text: string): Promise<string[]> => {
      const path = join(tmpdir(), `keepalived-${process.pid}.conf`);
      await writeFile(path, text.replace('$INTERFACE=eth0', `$INTERFACE=${outside?.[0] ?? 'eth0'}`));
      // Its exit code says nothing: with -t it ends itself by a signal.
      const test = new Service('/usr/sbin/keepalived', ['-t', '-f', path], tmpdir());
      await test.exited;
      await rm(path);
      return test.lines.filter((line) => line.includes('Line ') || line.includes('rror'));
    };
    expect(await complaints(conf)).toEqual([]);
    expect(await complaints(conf.replace('nopreempt', 'nopreempts'))).toEqual([
      expect.stringContaining("Unknown keyword 'nopreempts'"),
    ]);
  });
});
