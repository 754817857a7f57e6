import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

/** A Debian package that tests need, and a file by which it is known to be there. */
export interface DebianPackage {
  name: string;
  file: string;
  why: string;
  /** The service that its installation would start, and that nobody has asked for. */
  service?: string;
}

export const testPackages: readonly DebianPackage[] = [
  {
    name: 'pocketsphinx-testdata',
    file: '/usr/share/pocketsphinx/test/data/cards/001.wav',
    why: 'human recordings, by which the transcripts are judged',
  },
  {
    name: 'chromium',
    file: '/usr/bin/chromium',
    why: 'the browser in which the console page is tested',
  },
  {
    name: 'postgresql',
    file: '/usr/bin/pg_ctlcluster',
    why: 'a database with many connections, on which payments are raced',
  },
  {
    name: 'kamailio',
    file: '/usr/sbin/kamailio',
    why: 'the SIP proxy, whose configuration is tested',
    service: 'kamailio.service',
  },
  {
    name: 'kamailio-tls-modules',
    file: '/usr/share/doc/kamailio-tls-modules/copyright',
    why: 'its TLS listener',
  },
  {
    name: 'kamailio-extra-modules',
    file: '/usr/share/doc/kamailio-extra-modules/copyright',
    why: 'its metrics of each node, and the ids of its calls',
  },
  { name: 'sip-tester', file: '/usr/bin/sipp', why: 'the callers and the nodes on both sides of the proxy' },
  { name: 'openssl', file: '/usr/bin/openssl', why: 'the certificate of a test' },
  { name: 'shellcheck', file: '/usr/bin/shellcheck', why: 'the lint of the scripts in kamailio/bin' },
  {
    name: 'keepalived',
    file: '/usr/sbin/keepalived',
    why: 'the syntax of kamailio/keepalived.conf',
    service: 'keepalived.service',
  },
  {
    name: 'prometheus',
    file: '/usr/bin/promtool',
    why: 'the judge of what /metrics answers',
    service: 'prometheus.service',
  },
];

/** How one becomes root without a question, as a command to put first; null if one cannot. */
export type Elevation = readonly string[] | null;

export interface Machine {
  exists(file: string): boolean;
  /** Runs a command to its end; null if it cannot be started. */
  run(command: readonly string[], limitMs: number): Promise<{ code: number; output: string } | null>;
  isRoot: boolean;
}

const aptLimitMs = 180_000;
const serviceLimitMs = 30_000;

/**
 * Installs what is missing of `packages`, where this is a Debian and one may. Returns those that are still missing.
 */
export async function ensureDebianPackages(
  packages: readonly DebianPackage[],
  machine: Machine,
  say: (line: string) => void,
): Promise<readonly DebianPackage[]> {
  const missing = packages.filter(({ file }) => !machine.exists(file));
  if (missing.length === 0) return [];
  const names = missing.map(({ name }) => name);
  const elevation = await howToElevate(machine);
  if (elevation === null) return missing;
  say(`Installing ${names.join(', ')} with apt-get (some 10 to 60 s).`);
  const apt = [...elevation, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  const install = [...apt, 'install', '-y', '--no-install-recommends', ...names];
  // A masked service is neither started by its package nor enabled for the next start of the machine. Without systemd none is started:
  // invoke-rc.d blocks what no policy allows.
  const services = missing.flatMap(({ service }) => service ?? []);
  const quiet = services.length > 0 && machine.exists('/run/systemd/system');
  if (quiet) await machine.run([...elevation, 'systemctl', 'mask', ...services], serviceLimitMs);
  let result = await machine.run(install, aptLimitMs);
  if (result !== null && result.code !== 0) {
    // The list of packages is empty or old, as in a fresh container.
    say('  … fetching the list of packages');
    await machine.run([...apt, 'update'], aptLimitMs);
    result = await machine.run(install, aptLimitMs);
  }
  if (quiet) {
    await machine.run([...elevation, 'systemctl', 'unmask', ...services], serviceLimitMs);
    await machine.run([...elevation, 'systemctl', 'disable', ...services], serviceLimitMs);
  }
  if (result !== null && result.code !== 0) say(result.output.trimEnd());
  return packages.filter(({ file }) => !machine.exists(file));
}

async function howToElevate(machine: Machine): Promise<Elevation> {
  if ((await machine.run(['apt-get', '--version'], 10_000))?.code !== 0) return null;
  if (machine.isRoot) return [];
  return (await machine.run(['sudo', '-n', 'true'], 10_000))?.code === 0 ? ['sudo', '-n'] : null;
}

const keptOutput = 5_000;
const progressMs = 5_000;

/** This machine; `say` is told every few seconds that a command still runs. */
export function thisMachine(say: (line: string) => void): Machine {
  return {
    exists: existsSync,
    isRoot: process.getuid?.() === 0,
    run([command, ...args], limitMs) {
      return new Promise((resolve) => {
        const startedAt = performance.now();
        const child = spawn(command ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: limitMs });
        let output = '';
        const keep = (chunk: Buffer) => {
          output = (output + chunk.toString('utf8')).slice(-keptOutput);
        };
        child.stdout.on('data', keep);
        child.stderr.on('data', keep);
        const progress = setInterval(() => {
          say(`  … ${Math.round((performance.now() - startedAt) / 1000)} s`);
        }, progressMs);
        const finish = (result: { code: number; output: string } | null) => {
          clearInterval(progress);
          resolve(result);
        };
        child.once('error', () => finish(null));
        child.once('close', (code) => finish({ code: code ?? 1, output }));
      });
    },
  };
}
