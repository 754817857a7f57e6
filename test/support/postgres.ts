import { type ChildProcessWithoutNullStreams, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { hostedProjectSql } from '../../embedded/supabase/connection.ts';

const run = promisify(execFile);
const migrationsDir = join(import.meta.dirname, '..', '..', 'supabase', 'migrations');
const limitMs = 60_000;

/**
 * A real PostgreSQL server with the product's migrations, on a socket in a folder of its own: the embedded one has a single connection,
 * where nothing ever races. Debian's package `postgresql` has it; `npm test` installs that where it may.
 */
export class PostgresServer {
  readonly #bin: string;
  readonly #folder: string;
  readonly #server: ChildProcessWithoutNullStreams;
  readonly #sessions: Session[] = [];

  private constructor(bin: string, folder: string, server: ChildProcessWithoutNullStreams) {
    this.#bin = bin;
    this.#folder = folder;
    this.#server = server;
  }

  static async start(): Promise<PostgresServer> {
    const bin = serverFolder();
    const folder = await mkdtemp(join(tmpdir(), 'postgres-'));
    // The server refuses to run as root; the package has made a user for it.
    const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
    if (user.uid !== undefined) await chown(folder, user.uid, user.gid);
    // Its words are read below.
    const surroundings = { ...user, cwd: folder, env: { ...process.env, LC_ALL: 'C' } };
    const data = join(folder, 'data');
    const init = [
      '-D',
      data,
      '-U',
      'postgres',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--no-sync',
      '--no-instructions',
    ];
    await run(join(bin, 'initdb'), init, { ...surroundings, timeout: limitMs });
    const server = spawn(
      join(bin, 'postgres'),
      ['-D', data, '-k', folder, '-c', 'listen_addresses=', '-c', 'fsync=off', '-c', 'max_connections=40'],
      surroundings,
    );
    const postgres = new PostgresServer(bin, folder, server);
    try {
      await ready(server);
      await postgres.#psql(['-c', hostedProjectSql]);
      for (const file of (await readdir(migrationsDir)).sort()) {
        await postgres.#psql(['-1', '-c', await readFile(join(migrationsDir, file), 'utf8')]);
      }
      return postgres;
    } catch (error) {
      await postgres.close();
      throw error;
    }
  }

  /** Runs one query as the owner; its rows. */
  async query<Row extends Record<string, unknown>>(sql: string): Promise<Row[]> {
    const rows = `select coalesce(json_agg(row_to_json(answer)), '[]') from (${sql}) as answer`;
    return JSON.parse(await this.#psql(['-At', '-c', rows])) as Row[];
  }

  /** Runs one statement as the owner. */
  async execute(sql: string): Promise<void> {
    await this.#psql(['-c', sql]);
  }

  /** A connection of its own, as the service. */
  session(): Session {
    const session = new Session(join(this.#bin, 'psql'), this.#arguments());
    this.#sessions.push(session);
    return session;
  }

  async closeSessions(): Promise<void> {
    await Promise.all(this.#sessions.splice(0).map((session) => session.close()));
  }

  async close(): Promise<void> {
    await this.closeSessions();
    if (this.#server.exitCode === null) {
      const exited = once(this.#server, 'exit');
      // Immediate: nothing in it is worth a checkpoint.
      this.#server.kill('SIGQUIT');
      await exited;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  #arguments(): string[] {
    return ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', this.#folder, '-U', 'postgres', '-d', 'postgres'];
  }

  async #psql(more: string[]): Promise<string> {
    const { stdout } = await run(join(this.#bin, 'psql'), [...this.#arguments(), ...more], {
      timeout: limitMs,
    });
    return stdout;
  }
}

/** One connection, that of a psql: statements run in the order in which they are given. */
export class Session {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting: { resolve: (value: string) => void; reject: (error: Error) => void }[] = [];
  #errors = '';

  constructor(psql: string, args: readonly string[]) {
    this.#process = spawn(psql, [...args, '-At']);
    createInterface({ input: this.#process.stdout }).on('line', (line) =>
      this.#waiting.shift()?.resolve(line),
    );
    this.#process.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    // Its end says why.
    this.#process.stdin.on('error', () => {});
    this.#process.once('exit', () => {
      for (const { reject } of this.#waiting.splice(0))
        reject(new Error(`the session is over: ${this.#errors}`));
    });
    this.run('set role service_role');
  }

  /** Runs a statement that answers with no row. */
  run(sql: string): void {
    this.#process.stdin.write(`${sql};\n`);
  }

  /** Runs a statement that answers with one value; the value as JSON. */
  async ask<Value>(expression: string): Promise<Value> {
    const line = new Promise<string>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.run(`select to_json(${expression})`);
    return JSON.parse(await line) as Value;
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.stdin.end();
    await exited;
  }
}

/** The newest server in Debian's place, or the one on the path. */
function serverFolder(): string {
  const versions = '/usr/lib/postgresql';
  const debian = existsSync(versions)
    ? readdirSync(versions)
        .sort((a, b) => Number(b) - Number(a))
        .map((version) => join(versions, version, 'bin'))
    : [];
  const folders = [...debian, ...(process.env.PATH ?? '').split(delimiter)];
  const found = folders.find((folder) => existsSync(join(folder, 'initdb')));
  if (found === undefined)
    throw new Error('There is no PostgreSQL server here: install the package postgresql.');
  return found;
}

function idOf(which: '-u' | '-g'): number {
  return Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }));
}

/** Waits until it takes connections. */
async function ready(server: ChildProcessWithoutNullStreams): Promise<void> {
  let log = '';
  await new Promise<void>((resolve, reject) => {
    server.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes('database system is ready to accept connections')) resolve();
    });
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`PostgreSQL did not start:\n${log}`)));
  });
}
