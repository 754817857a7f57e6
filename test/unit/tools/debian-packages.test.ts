import { expect, test } from 'vitest';
import { type DebianPackage, ensureDebianPackages, type Machine } from '../../../tools/debian-packages.ts';

const wanted: DebianPackage[] = [
  { name: 'here', file: '/here', why: '' },
  { name: 'absent', file: '/absent', why: '' },
];

/** A machine that answers commands by `answers`: the first whose key is part of the command. */
function machine(isRoot: boolean, answers: Record<string, () => number | null>) {
  const ran: string[] = [];
  const files = new Set(['/here']);
  const it: Machine = {
    isRoot,
    exists: (file) => files.has(file),
    async run(command) {
      const line = command.join(' ');
      ran.push(line);
      const key = Object.keys(answers).find((part) => line.includes(part));
      const code = key === undefined ? 0 : answers[key]!();
      return code === null ? null : { code, output: `${line}: ${code}` };
    },
  };
  return { it, ran, files };
}

function installed(files: Set<string>): number {
  files.add('/absent');
  return 0;
}

test('runs nothing when everything is there', async () => {
  const { it, ran } = machine(true, {});
  expect(await ensureDebianPackages([wanted[0]!], it, () => {})).toEqual([]);
  expect(ran).toEqual([]);
});

test('installs only what is missing, as root', async () => {
  const { it, ran, files } = machine(true, { install: () => installed(files) });
  expect(await ensureDebianPackages(wanted, it, () => {})).toEqual([]);
  expect(ran.at(-1)).toMatch(/^env \S+ apt-get install -y --no-install-recommends absent$/);
});

test('fetches the list of packages when the first try fails', async () => {
  let tries = 0;
  const { it, ran, files } = machine(true, {
    'install -y': () => {
      tries += 1;
      if (tries === 1) return 100;
      files.add('/absent');
      return 0;
    },
  });
  expect(await ensureDebianPackages(wanted, it, () => {})).toEqual([]);
  expect(ran.map((line) => /update|install/.exec(line)?.[0]).filter(Boolean)).toEqual([
    'install',
    'update',
    'install',
  ]);
});

test('uses sudo only where it asks for no password', async () => {
  const { it, ran, files } = machine(false, { 'install -y': () => installed(files) });
  await ensureDebianPackages(wanted, it, () => {});
  expect(ran.at(-1)).toMatch(/^sudo -n env/);
  const asks = machine(false, { 'sudo -n true': () => 1 });
  expect(await ensureDebianPackages(wanted, asks.it, () => {})).toEqual([wanted[1]]);
  expect(asks.ran.some((line) => line.includes('install'))).toBe(false);
});

test('says what is missing on a machine without apt-get, and when the installation fails', async () => {
  const elsewhere = machine(true, { '--version': () => null });
  expect(await ensureDebianPackages(wanted, elsewhere.it, () => {})).toEqual([wanted[1]]);
  const said: string[] = [];
  const failing = machine(true, { 'install -y': () => 100 });
  expect(await ensureDebianPackages(wanted, failing.it, (line) => said.push(line))).toEqual([wanted[1]]);
  expect(said.join('\n')).toContain('install -y --no-install-recommends absent: 100');
});

test("a package's service is not started, nor enabled, by an installation for tests", async () => {
  const packages = [...wanted, { name: 'daemon', file: '/daemon', why: '', service: 'daemon.service' }];
  const { it, ran, files } = machine(true, { 'install -y': () => installed(files.add('/daemon')) });
  files.add('/run/systemd/system');
  expect(await ensureDebianPackages(packages, it, () => {})).toEqual([]);
  expect(ran.map((line) => line.replace(/^env .*apt-get install .*/, 'install'))).toEqual([
    'apt-get --version',
    'systemctl mask daemon.service',
    'install',
    'systemctl unmask daemon.service',
    'systemctl disable daemon.service',
  ]);
  // In a container nothing runs as a service.
  const container = machine(true, { 'install -y': () => installed(container.files.add('/daemon')) });
  await ensureDebianPackages(packages, container.it, () => {});
  expect(container.ran.some((line) => line.includes('systemctl'))).toBe(false);
});
