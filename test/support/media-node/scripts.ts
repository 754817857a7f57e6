import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type LuaModules, runLuaWaiting } from '../freeswitch/lua.ts';
import { prelude } from '../freeswitch/prelude.ts';
import { type ApiHost, api } from './api.ts';
import type { Channel } from './channel.ts';

/** What a script is run on: a channel (`session`), an event, arguments. */
export interface ScriptContext {
  channel?: Channel;
  headers?: Record<string, string>;
  body?: string;
  args?: readonly string[];
}

/** The node's scripts, each run in a Lua of its own, as mod_lua does. */
export class Scripts {
  /** By file. */
  readonly #sources: ReadonlyMap<string, string>;
  /** What scripts require of each other. */
  readonly #modules: LuaModules;
  readonly #globals: Readonly<Record<string, string>>;
  readonly #api: ApiHost;
  readonly #log: (line: string) => void;
  readonly #running = new Set<Promise<void>>();

  constructor(
    conf: string,
    globals: Readonly<Record<string, string>>,
    apiHost: ApiHost,
    log: (line: string) => void,
  ) {
    const folder = join(conf, 'scripts');
    const read = (file: string) => readFileSync(join(folder, file), 'utf8');
    this.#sources = new Map(readdirSync(folder).map((file) => [file, read(file)]));
    const required = [...this.#sources.values()].flatMap((source) =>
      [...source.matchAll(/require\("(\w+)"\)/g)].map(([, name = '']) => name),
    );
    this.#modules = Object.fromEntries(required.map((name) => [name, read(`${name}.lua`)]));
    this.#globals = globals;
    this.#api = apiHost;
    this.#log = log;
  }

  /** Runs a script to its end; one that fails leaves an error in the log, as mod_lua's do. */
  run(file: string, context: ScriptContext): Promise<void> {
    const source = prelude + (this.#sources.get(file) ?? `error("there is no ${file}")`);
    const host = (name: string, ...args: string[]) => this.#host(context, name, args);
    const run = runLuaWaiting(source, file, host, this.#modules)
      .catch((error: Error) => this.#log(`mod_lua: ${file}: ${error.message}`))
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
    return run;
  }

  /** Those that are running have come to their ends. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  #host(
    { channel, headers, body, args }: ScriptContext,
    name: string,
    [first = '', second = '']: readonly string[],
  ): string | null | Promise<string | null> {
    switch (name) {
      case 'api':
        return api(this.#api, first, second);
      case 'setting':
        return this.#globals[first] ?? null;
      case 'log':
        this.#log(first.trim());
        return null;
      case 'uuid':
        return channel?.uuid ?? null;
      case 'get':
        return channel?.variables.get(first) ?? null;
      case 'set':
        channel?.variables.set(first, second);
        return null;
      case 'execute':
        if (first === 'answer') channel?.answer();
        else if (first === 'respond') channel?.refuse(second);
        else throw new Error(`the double has no application ${first}`);
        return null;
      case 'ready':
        return String(channel?.alive === true);
      case 'header':
        return headers?.[first] ?? null;
      case 'body':
        return body ?? null;
      case 'argument':
        return args?.[Number(first) - 1] ?? null;
      case 'sleep':
        return pause(Number(first)).then(() => null);
      case 'time':
        return `${Math.floor(Date.now() / 1_000)}`;
      case 'file':
        return existsSync(first) ? readFileSync(first, 'utf8') : null;
      default:
        throw new Error(`the double has no ${name}`);
    }
  }
}
