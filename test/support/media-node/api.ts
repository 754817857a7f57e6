import type { Channel } from './channel.ts';

/** What the API's commands reach beside the channel that they name. */
export interface ApiHost {
  channel(uuid: string): Channel | undefined;
  /** How many there are. */
  calls(): number;
  /** Runs a script of the node's on a thread of its own. */
  run(file: string, args: readonly string[]): void;
  /** The same, later. */
  runLater(seconds: number, file: string, args: readonly string[]): void;
  /** Leads a call to another extension of the dialplan. */
  transfer(channel: Channel, extension: string): void;
  /** Places a call, and leads it to `connect.lua` when it is answered. */
  originate(dialString: string): Promise<string>;
  /** `mod_hash`'s keys. */
  hash: Set<string>;
}

const ok = '+OK\n';

/** FreeSWITCH's API commands that the shipped scripts use, as FreeSWITCH 1.11.1 answers them; any other is none of its commands. */
export function api(host: ApiHost, command: string, text: string): string | Promise<string> {
  const [first = '', second = '', ...rest] = text.split(' ');
  const channel = host.channel(first);
  const gone = '-ERR No such channel!\n';
  switch (command) {
    case 'uuid_exists':
      return String(channel?.alive === true);
    case 'uuid_getvar':
      return channel === undefined ? gone : (channel.variables.get(second) ?? '_undef_');
    case 'uuid_setvar':
      channel?.variables.set(second, rest.join(' '));
      return channel === undefined ? gone : ok;
    case 'uuid_kill':
      // The hang-up is the channel's own thread's.
      if (channel !== undefined) setImmediate(() => channel.kill(second));
      return channel === undefined ? gone : ok;
    case 'uuid_transfer':
      if (channel !== undefined) setImmediate(() => host.transfer(channel, second));
      return channel === undefined ? '-ERR No such channel!\n' : ok;
    case 'uuid_displace':
      if (second === 'start') channel?.hold(rest[0] ?? '');
      else channel?.hold(null);
      return channel === undefined ? '-ERR Cannot locate session!\n' : '+OK Success\n';
    case 'uuid_send_dtmf':
      channel?.leg.line.press(second.replaceAll(/[wW]/g, ''));
      return channel === undefined ? gone : ok;
    case 'uuid_break':
      return channel === undefined ? gone : ok;
    case 'uuid_raw_audio_stream':
      return channel !== undefined && stream(channel, second, rest)
        ? '+OK Success\n'
        : '-ERR Operation Failed\n';
    case 'hash':
      return hash(host.hash, text);
    case 'sched_api':
      // `+5 none luarun FILE ARGUMENTS`
      host.runLater(Number(first), rest[1] ?? '', rest.slice(2));
      return '+OK Added: 1\n';
    case 'luarun':
      host.run(first, text.split(' ').slice(1));
      return ok;
    case 'originate':
      // `DIALSTRING EXTENSION XML calls`; the dial string has blanks in quotes.
      return host.originate(text.replace(/ \S+ XML calls$/, ''));
    case 'sofia':
      return 'BIND-URL         \tsip:mod_sofia@127.0.0.1\n';
    case 'fsctl':
      // `pause_check inbound`: this one is never drained.
      return 'false';
    case 'show':
      return `\n${host.calls()} total.\n`;
    case 'curl':
      return curl(text);
    default:
      return 'INVALID COMMAND!\n';
  }
}

function stream(channel: Channel, command: string, args: readonly string[]): boolean {
  const { module, variables } = channel;
  switch (command) {
    case 'start':
      return module.start({
        url: args[0] ?? '',
        extraHeaders: variables.get('STREAM_EXTRA_HEADERS') ?? null,
        heartBeatSeconds: Number(variables.get('STREAM_HEART_BEAT')),
      });
    case 'stop':
      return module.stop();
    case 'send_json':
      return module.sendJson(args[0] ?? '');
    default:
      return false;
  }
}

function hash(keys: Set<string>, text: string): string {
  const [action = '', realm = '', name = ''] = text.split('/');
  const key = `${realm}/${name}`;
  if (action === 'delete') return keys.delete(key) ? ok : '-ERR Not found\n';
  if (keys.has(key)) return '-ERR key already exists\n';
  keys.add(key);
  return ok;
}

/** `mod_curl`: `URL json … timeout SECONDS append_headers NAME:VALUE content-type TYPE post BODY`. */
async function curl(text: string): Promise<string> {
  const [request = '', body = ''] = text.split(' post ');
  const [url = ''] = request.split(' ');
  const header = / append_headers ([^:]+):(\S+)/.exec(request);
  const headers: Record<string, string> = { 'Content-Type': / content-type (\S+)/.exec(request)?.[1] ?? '' };
  if (header !== null) headers[header[1] ?? ''] = header[2] ?? '';
  const seconds = Number(/ timeout (\d+)/.exec(request)?.[1] ?? 30);
  try {
    const signal = AbortSignal.timeout(seconds * 1_000);
    const response = await fetch(url, { method: 'POST', headers, body, signal });
    return JSON.stringify({ status_code: `${response.status}`, body: await response.text() });
  } catch {
    return JSON.stringify({ status_code: '0', body: '' });
  }
}
