import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const serviceFileSchema = z.object({
  pid: z.number().int().positive(),
  /** The service's HTTP address, without a path. */
  url: z.url({ protocol: /^http$/ }),
  /** The embedded engines, up to and with `/v1`, and the key they want. */
  enginesUrl: z.url({ protocol: /^http$/ }),
  enginesKey: z.string().min(1),
  /** The embedded database, and the key of its service role. */
  supabaseUrl: z.url({ protocol: /^http$/ }),
  supabaseKey: z.string().min(1),
});

/** What a running launcher tells other processes of this machine and user. */
export type ServiceFile = z.output<typeof serviceFileSchema>;

function fileIn(dataDir: string): string {
  return path.join(dataDir, 'service.json');
}

/** For its owner's eyes only: it holds keys. */
export function writeServiceFile(dataDir: string, service: ServiceFile): void {
  const file = fileIn(dataDir);
  writeFileSync(file, `${JSON.stringify(service, null, 2)}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
}

/** The launcher that runs here, or null if there is none. */
export function readServiceFile(dataDir: string): ServiceFile | null {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(fileIn(dataDir), 'utf8'));
  } catch {
    return null;
  }
  const parsed = serviceFileSchema.safeParse(json);
  return parsed.success && isAlive(parsed.data.pid) ? parsed.data : null;
}

/** Removes it, if it is this process' own. */
export function removeServiceFile(dataDir: string): void {
  if (readServiceFile(dataDir)?.pid === process.pid) rmSync(fileIn(dataDir), { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
