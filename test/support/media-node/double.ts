import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isAddressIn, type Network, parseNetwork } from '../../../src/auth/addresses.ts';
import { monotonicClock } from '../../../tools/caller/clock.ts';
import { Pacer } from '../../../tools/caller/pacer.ts';
import { runLuaWaiting } from '../freeswitch/lua.ts';
import { prelude } from '../freeswitch/prelude.ts';
import { type IncomingRequest, SipEndpoint } from '../sip/endpoint.ts';
import { endpointOf, uriOf } from '../sip/message.ts';
import { parseSdp, typeOf } from '../sip/sdp.ts';
import { type ApiHost, api } from './api.ts';
import { Channel } from './channel.ts';
import { readGlobals } from './configuration.ts';

/** What the dialplan sets before it runs connect.lua (`freeswitch/dialplan/calls.xml`). */
const dialplan = { media_timeout: '30000', STREAM_HEART_BEAT: '15' };

/**
 * A FreeSWITCH node that is none. THE CONTRACT
 *
 * *Like the real one*: it runs the shipped Lua scripts themselves, each in a Lua of its own as mod_lua does, with the shipped `node.xml` and
 * `numbers.list`; so how a call is introduced, when a lost WebSocket is opened again and when it is given up, which close codes end the call,
 * what is reported of a hang-up and what is logged are not told twice here. What the scripts stand on is made after FreeSWITCH 1.11.1 and
 * `mod_openai_audio_stream` at dda0418, whose sources were read and which were run beside it on the same tests (`FREESWITCH_BIN`):
 * - SIP by UDP: INVITE (answered as the scripts say), ACK, CANCEL, BYE from either side with `Reason`, OPTIONS (200, or 503 when full); 403 for
 *   whoever is no proxy; 488 without μ-law. Repeats are answered, the 200 is repeated until its ACK, routes are followed.
 * - RTP: G.711 μ-law in 20 ms; keys by RFC 4733, told once, when they end.
 * - The module, in raw mode at 8 kHz: its handshake with the node's token, binary L16 both ways, a frame for a frame, `send_json`, its events,
 *   its clearing, how much it plays of what in which frame; a module that failed is rid of its socket, one that lost it wants a `stop`.
 * - A tone while the WebSocket is lost (`hold_line`), `longest_call_seconds`, 30 s without RTP.
 *
 * *Not like it*: no dialplan is read (connect.lua, then `stay`, is all there is), no other module, no codec but μ-law, no SRTP, TCP or TLS, no
 * jitter buffer (a packet is handed on as it comes, and one that is lost leaves no silence), no re-INVITE, no event socket and so none of
 * `bin/`, no `max_calls_per_second`; NAT is not known. Threads are one: what FreeSWITCH does at the same time happens here in the order
 * in which it came. So it proves scripts, service and proxy on the wire; it does not prove FreeSWITCH.
 */
export class MediaNodeDouble {
  readonly #conf: string;
  readonly #globals: Record<string, string>;
  readonly #proxies: readonly Network[];
  readonly #log: (line: string) => void;
  readonly #channels = new Map<string, Channel>();
  readonly #hash = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #running = new Set<Promise<void>>();
  readonly #pacer = new Pacer({
    clock: monotonicClock,
    onFrame: () => {
      for (const channel of this.#channels.values()) channel.tick();
    },
  });
  #endpoint: SipEndpoint | null = null;

  private constructor(conf: string, log: (line: string) => void) {
    this.#conf = conf;
    this.#log = log;
    this.#globals = readGlobals(conf);
    const proxies = this.#setting('proxies').split(',').map(parseNetwork);
    this.#proxies = proxies.filter((proxy) => proxy !== null);
  }

  /** @param conf the node's configuration. @param log takes the lines of its log. */
  static async start(conf: string, log: (line: string) => void): Promise<MediaNodeDouble> {
    const node = new MediaNodeDouble(conf, log);
    const address = node.#setting('node_address');
    const port = Number(node.#setting('sip_port'));
    node.#endpoint = await SipEndpoint.open(address, (request) => node.#take(request), port);
    node.#pacer.start();
    return node;
  }

  /** Hangs up what is left, and reports it. */
  async stop(): Promise<void> {
    for (const channel of [...this.#channels.values()]) channel.kill('MANAGER_REQUEST');
    await Promise.all(this.#running);
    this.#pacer.stop();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#endpoint?.close();
    this.#endpoint = null;
  }

  #setting(name: string): string {
    return this.#globals[name] ?? '';
  }

  // --- SIP ------------------------------------------------------------------------------------------------

  #take(request: IncomingRequest): void {
    const { message } = request;
    const channel = [...this.#channels.values()].find(({ callId }) => callId === message.callId);
    const full = this.#channels.size >= Number(this.#setting('max_calls'));
    switch (message.method) {
      case 'OPTIONS':
        request.answer(
          full ? { status: 503, reason: 'Maximum Calls In Progress' } : { status: 200, reason: 'OK' },
        );
        return;
      case 'INVITE':
        if (!isAddressIn(request.from.address, this.#proxies))
          request.answer({ status: 403, reason: 'Forbidden' });
        else if (full) request.answer({ status: 503, reason: 'Maximum Calls In Progress' });
        else if (channel !== undefined) request.answer({ status: 488, reason: 'Not Acceptable Here' });
        else void this.#invited(request);
        return;
      case 'CANCEL':
      case 'BYE':
        if (channel === undefined) {
          request.answer({ status: 481, reason: 'Call Does Not Exist' });
          return;
        }
        request.answer({ status: 200, reason: 'OK' });
        if (message.method === 'BYE') channel.hungUp();
        else channel.cancelled();
        return;
      default:
        request.answer({ status: 501, reason: 'Not Implemented' });
    }
  }

  async #invited(request: IncomingRequest): Promise<void> {
    const { message } = request;
    const caller = parseSdp(message.body);
    const endpoint = this.#endpoint;
    if (endpoint === null) return;
    if (caller === null || typeOf(caller, 'PCMU') === null) {
      request.answer({ status: 488, reason: 'Not Acceptable Here' });
      return;
    }
    request.answer({ status: 100, reason: 'Trying' });
    const channel: Channel = await Channel.take(endpoint, request, caller, {
      module: (name, body) =>
        this.#fire(channel, 'CUSTOM', { 'Event-Subclass': `mod_openai_audio_stream::${name}` }, body),
      key: (digit, samples) =>
        this.#fire(channel, 'DTMF', { 'DTMF-Digit': digit, 'DTMF-Duration': `${samples}` }),
      ended: () => this.#ended(channel),
    });
    const number = (uri: string) => /sips?:([^@;>]*)@/.exec(uri)?.[1] ?? '';
    const headers = message.headers.filter(([name]) => name.startsWith('X-'));
    const variables = {
      ...dialplan,
      destination_number: number(message.uri),
      caller_id_number: number(uriOf(message.first('From'))),
      sip_call_id: message.callId,
      sip_network_ip: endpointOf(message.first('Contact')).address,
      read_rate: '8000',
      ...Object.fromEntries(headers.map(([name, value]) => [`sip_h_${name}`, value])),
    };
    for (const [name, value] of Object.entries(variables)) channel.variables.set(name, value);
    this.#channels.set(channel.uuid, channel);
    await this.#script('connect.lua', { channel });
    const longest = Number(this.#setting('longest_call_seconds'));
    if (channel.alive) this.#later(longest, () => channel.kill('ALLOTTED_TIMEOUT'));
  }

  // --- events and scripts ---------------------------------------------------------------------------------

  /** What lua.conf.xml binds. */
  #fire(channel: Channel, name: string, headers: Record<string, string>, body = ''): void {
    void this.#script('event.lua', {
      channel,
      headers: { 'Unique-ID': channel.uuid, 'Event-Name': name, ...headers },
      body,
    });
  }

  #ended(channel: Channel): void {
    const variables = [...channel.variables].map(([name, value]) => [`variable_${name}`, value] as const);
    this.#fire(channel, 'CHANNEL_HANGUP_COMPLETE', Object.fromEntries(variables));
    this.#channels.delete(channel.uuid);
  }

  /** Runs a script to its end; one that fails leaves an error in the log, as mod_lua's do. */
  #script(
    file: string,
    given: { channel?: Channel; headers?: Record<string, string>; body?: string; args?: readonly string[] },
  ): Promise<void> {
    const source = readFileSync(join(this.#conf, 'scripts', file), 'utf8');
    const run = runLuaWaiting(prelude + source, file, (name, ...args) => this.#host(given, name, args))
      .catch((error: Error) => this.#log(`mod_lua: ${file}: ${error.message}`))
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
    return run;
  }

  #host(
    given: { channel?: Channel; headers?: Record<string, string>; body?: string; args?: readonly string[] },
    name: string,
    [first = '', second = '']: readonly string[],
  ): string | null | Promise<string | null> {
    const { channel, headers, body, args } = given;
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

  get #api(): ApiHost {
    return {
      channel: (uuid) => this.#channels.get(uuid),
      run: (file, args) => void this.#script(basename(file), { args }),
      runLater: (seconds, file, args) =>
        this.#later(seconds, () => void this.#script(basename(file), { args })),
      hash: this.#hash,
    };
  }

  #later(seconds: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, seconds * 1_000);
    this.#timers.add(timer);
  }
}
