import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Signals that would end the process without its `exit` event, and what a shell adds to 128 for them. */
const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };
const undoing = new Set<() => void>();
let watching = false;

/**
 * Has `undo` called when this process ends: at its end, by an error, or by a signal other than SIGKILL.
 *
 * @param undo must not wait for anything.
 * @returns forgets it.
 */
export function atExit(undo: () => void): () => void {
  if (!watching) watch();
  undoing.add(undo);
  return () => undoing.delete(undo);
}

/** A new folder that goes when this process does. @param parent default: where the system keeps such. */
export function temporaryFolder(prefix: string, parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, prefix));
  atExit(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function watch(): void {
  watching = true;
  process.once('exit', () => {
    for (const undo of undoing) undo();
  });
  for (const [signal, number] of Object.entries(signals))
    process.once(signal, () => process.exit(128 + number));
}
