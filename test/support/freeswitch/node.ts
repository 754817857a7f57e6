import { readFileSync } from 'node:fs';
import path from 'node:path';
import { runLua } from './lua.ts';
import { prelude } from './prelude.ts';

export const folder = path.resolve(import.meta.dirname, '../../../freeswitch');

/** What the scripts share. */
const modules = Object.fromEntries(
  ['stream', 'transfer', 'service'].map((name) => [
    name,
    readFileSync(path.join(folder, 'scripts', `${name}.lua`), 'utf8'),
  ]),
);

const settings = {
  conf_dir: folder,
  node_name: 'node1',
  node_token: 'ach_node_secret',
  service: 'wss://calls.example.com',
  service_percent: '100',
  stream_module: 'mod_openai_audio_stream',
  transfer_shows: 'called',
  hold_line: 'tone_stream://hold',
  reopen_seconds: '30',
  proxy: '10.0.0.10:5060',
  max_calls: '100',
  max_dials: '20',
};

export const uuid = '7d3c5f0e-0000-4000-8000-000000000001';

interface Task {
  due: number;
  script: string;
  args: string[];
}

/**
 * One call on a FreeSWITCH that is none: the API's commands that the scripts use, as FreeSWITCH 1.11.1 answers them, and a clock that stands still.
 * Runs the scripts themselves.
 */
export class FreeSwitchDouble {
  readonly settings: Record<string, string> = { ...settings };
  readonly variables = new Map<string, string>();
  /** Commands of the streaming module, and of what the caller hears. */
  readonly commands: string[] = [];
  readonly applications: string[] = [];
  readonly log: string[] = [];
  /** Of numbers.list; null: it cannot be read. */
  numbers: string | null = '# ours\n+4930901820 user-1 campaign-1\n4930901821  user-2  -\n';
  killed: string | null = null;
  now = 1_800_000_000;
  /** HTTP status of each request in turn; the last one again and again. */
  statuses = [204];
  /** The body of each answer with 200. */
  body = '';
  /** What `originate` answers, and what it does meanwhile. */
  originate: () => string = () => `+OK ${uuid}\n`;
  /** Calls on the node, whether its SIP profile runs, and whether it drains. */
  load = { calls: 0, profile: true, draining: false };
  /** What a `start` of the module answers. */
  startAnswer = '+OK Success\n';
  readonly #hash = new Set<string>();
  #tasks: Task[] = [];

  constructor(variables: Record<string, string> = {}) {
    const caller = {
      destination_number: '+4930901820',
      caller_id_number: '+491701234567',
      sip_call_id: 'abc@trunk',
      'sip_h_X-Call-Id': 'call-1-0',
      'sip_h_X-Trunk': 'trunk1',
      read_rate: '8000',
    };
    for (const [name, value] of Object.entries({ ...caller, ...variables })) this.variables.set(name, value);
  }

  /** The dialplan runs connect.lua. */
  call(): void {
    this.#run('connect.lua', {});
  }

  /** FreeSWITCH starts: lua.conf.xml's startup-script. */
  start(): void {
    this.#run('work.lua', {});
  }

  /** Runs Lua beside the scripts; what it logs last. */
  evaluate(source: string): string {
    this.#runSource(source, 'test', {});
    return this.log.at(-1) ?? '';
  }

  /** An event that lua.conf.xml binds. */
  event(subclass: string, body = '', headers: Record<string, string> = {}): void {
    const own = subclass.includes('::')
      ? { 'Event-Name': 'CUSTOM', 'Event-Subclass': subclass }
      : { 'Event-Name': subclass };
    this.#run('event.lua', { headers: { 'Unique-ID': uuid, ...own, ...headers }, body });
  }

  /** The dialled channel, or the dialplan behind it, tells how a transfer goes. */
  report(what: 'ringing' | 'answered' | 'over'): void {
    this.#run('report.lua', { args: [uuid, what] });
  }

  /** So many seconds go by, and what is due in them is run. */
  pass(seconds: number): void {
    const until = this.now + seconds;
    for (;;) {
      const next = this.#tasks.filter(({ due }) => due <= until).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.#tasks = this.#tasks.filter((task) => task !== next);
      this.now = Math.max(this.now, next.due);
      this.#run(path.basename(next.script), { args: next.args });
    }
    this.now = until;
  }

  commandsOf(name: string): string[] {
    return this.commands.filter((command) => command.startsWith(`${name} `));
  }

  get hashed(): number {
    return this.#hash.size;
  }

  #run(script: string, given: { headers?: Record<string, string>; body?: string; args?: string[] }): void {
    this.#runSource(readFileSync(path.join(folder, 'scripts', script), 'utf8'), script, given);
  }

  #runSource(
    source: string,
    script: string,
    given: { headers?: Record<string, string>; body?: string; args?: string[] },
  ): void {
    const host = (name: string, ...args: string[]): string | null => {
      const [first = '', second = ''] = args;
      switch (name) {
        case 'api':
          return this.#api(first, second);
        case 'setting':
          return this.settings[first] ?? null;
        case 'log':
          this.log.push(first.trim());
          return null;
        case 'uuid':
          return uuid;
        case 'get':
          return this.variables.get(first) ?? null;
        case 'set':
          this.variables.set(first, second);
          return null;
        case 'execute':
          this.applications.push(`${first} ${second}`.trim());
          return null;
        case 'ready':
          return String(this.killed === null);
        case 'header':
          return given.headers?.[first] ?? null;
        case 'body':
          return given.body ?? null;
        case 'argument':
          return given.args?.[Number(first) - 1] ?? null;
        case 'sleep':
          this.now += Number(first) / 1_000;
          return null;
        case 'time':
          return String(this.now);
        case 'file':
          return this.numbers;
        default:
          throw new Error(`host: ${name}`);
      }
    };
    runLua(prelude + source, script, host, modules);
  }

  #api(command: string, text: string): string {
    const [first = '', second = '', ...rest] = text.split(' ');
    const alive = this.killed === null && first === uuid;
    switch (command) {
      case 'uuid_exists':
        return String(alive);
      case 'uuid_getvar':
        return alive ? (this.variables.get(second) ?? '_undef_') : '-ERR No such channel!\n';
      case 'uuid_setvar':
        if (alive) this.variables.set(second, rest.join(' '));
        return alive ? '+OK\n' : '-ERR No such channel!\n';
      case 'uuid_kill':
        this.killed = second;
        return '+OK\n';
      case 'hash': {
        const [action = '', , key = ''] = text.split('/');
        if (action === 'delete') return this.#hash.delete(key) ? '+OK\n' : '-ERR Not found\n';
        if (this.#hash.has(key)) return '-ERR key already exists\n';
        this.#hash.add(key);
        return '+OK\n';
      }
      case 'sched_api':
        // `+5 none luarun SCRIPT ARGS`
        this.#tasks.push({ due: this.now + Number(first), script: rest[1] ?? '', args: rest.slice(2) });
        return '+OK Added: 1\n';
      case 'luarun':
        this.#tasks.push({ due: this.now, script: first, args: text.split(' ').slice(1) });
        return '+OK\n';
      case 'curl': {
        this.commands.push(`curl ${text}`);
        const status = this.statuses.length > 1 ? this.statuses.shift() : this.statuses[0];
        return JSON.stringify({ status_code: String(status), body: status === 200 ? this.body : '' });
      }
      case 'originate':
        this.commands.push(`originate ${text}`);
        return this.originate();
      case 'show':
        return `\n${this.load.calls} total.\n`;
      case 'sofia':
        return this.load.profile ? 'BIND-URL  \tsip:mod_sofia@127.0.0.1:5060\n' : 'Invalid Profile!\n';
      case 'fsctl':
        return String(this.load.draining);
      default:
        this.commands.push(`${command} ${text}`);
        return second === 'start' ? this.startAnswer : '+OK Success\n';
    }
  }
}

/** The JSON behind a command's last blank, which may be in base64. */
export function sentJson(command: string | undefined): unknown {
  const last = command?.split(' ').at(-1) ?? '';
  return JSON.parse(last.startsWith('{') ? last : Buffer.from(last, 'base64').toString());
}
