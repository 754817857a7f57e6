import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorker } from './workerd.ts';

/** The peer, pinned: its interface is experimental and breaks between releases, as its documents say. */
export const PEER = { package: 'agents', version: '0.32.0', name: 'agents/voice 0.32.0' };

const folder = join(import.meta.dirname, '..', '.data', 'bench', `peer-${PEER.package}-${PEER.version}`);
/** npm's own account of what it installed, written when it is done. */
const installed = join(folder, 'node_modules', '.package-lock.json');

/**
 * Bundles the peer's Worker, and installs the peer before if it is not there: into a folder of its own, since the project does not
 * need it. Null, with a line that says why, where it cannot be had.
 *
 * @param worker in `workers/`: `peer.mjs` holds conversations, `taking-peer.mjs` only takes frames.
 */
export function bundlePeer(worker: 'peer.mjs' | 'taking-peer.mjs'): string | null {
  try {
    if (!existsSync(installed)) install();
    const standIns = {
      // A dependency asks for a Node module by its old name.
      path: standIn('path.mjs', "export * from 'node:path';"),
      // Not in plain workerd, and not used.
      'cloudflare:email': standIn('email.mjs', 'export class EmailMessage {}'),
    };
    return bundleWorker(join(import.meta.dirname, 'workers', worker), join(folder, 'node_modules'), standIns);
  } catch (error) {
    console.error(`The peer is left out: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

function standIn(file: string, module: string): string {
  const path = join(folder, file);
  writeFileSync(path, `${module}\n`);
  return path;
}

function install(): void {
  console.error(`Installing ${PEER.package} ${PEER.version} into ${folder}: some 90 MB, once.`);
  mkdirSync(folder, { recursive: true });
  const manifest = {
    name: 'bench-peer',
    private: true,
    type: 'module',
    dependencies: { [PEER.package]: PEER.version },
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  // The npm that runs this command, or else the one on the path.
  const npm = process.env.npm_execpath;
  const [command, first] = npm === undefined ? ['npm', []] : [process.execPath, [npm]];
  execFileSync(command, [...first, 'install', '--ignore-scripts', '--omit=dev', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 300_000,
  });
}
