import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { isAddressIn, type Network, parseNetwork } from '../../../src/auth/addresses.ts';
import { monotonicClock } from '../../../tools/caller/clock.ts';
import { Pacer } from '../../../tools/caller/pacer.ts';
import { type IncomingRequest, SipEndpoint } from '../sip/endpoint.ts';
import { uriOf } from '../sip/message.ts';
import { parseSdp, typeOf } from '../sip/sdp.ts';
import { type ApiHost, api } from './api.ts';
import { Channel } from './channel.ts';
import { readGlobals } from './configuration.ts';
import { InLeg } from './in-leg.ts';
import { type Dial, type Dialled, OutLeg, parseDial } from './out-leg.ts';
import { RtpLine } from './rtp-line.ts';
import { Scripts } from './scripts.ts';

/** What the dialplan sets before it runs connect.lua (`freeswitch/dialplan/calls.xml`), and what FreeSWITCH knows of μ-law. */
const dialplan = { media_timeout: '30000', STREAM_HEART_BEAT: '15', read_rate: '8000' };

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
 * - A transfer: whom the scripts' dial string names is dialled by the proxy, rings at the caller's ear, is talked to, ends the call by hanging up, or
 *   leaves the caller to the scripts again.
 * - A call that the node places (`originate`): it rings, is answered and streamed like any other, or comes to nothing with SIP's status and cause.
 * - A tone while the WebSocket is lost (`hold_line`), `longest_call_seconds`, 30 s without RTP.
 *
 * *Not like it*: no dialplan is read (work.lua at the start; connect.lua, then `stay` or `transfer`, for a call), no other module, no codec but μ-law, no SRTP, TCP or TLS, no
 * jitter buffer (a packet is handed on as it comes, and one that is lost leaves no silence), no re-INVITE, no event socket and so none of
 * `bin/`, no `max_calls_per_second`; NAT is not known. Threads are one: what FreeSWITCH does at the same time happens here in the order
 * in which it came. So it proves scripts, service and proxy on the wire; it does not prove FreeSWITCH.
 */
export class MediaNodeDouble {
  readonly #globals: Readonly<Record<string, string>>;
  readonly #proxies: readonly Network[];
  readonly #scripts: Scripts;
  readonly #channels = new Map<string, Channel>();
  /** Whom callers are bridged to, by Call-ID, and what their BYE means. */
  readonly #bridges = new Map<string, () => void>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #pacer = new Pacer({
    clock: monotonicClock,
    onFrame: () => {
      for (const channel of this.#channels.values()) channel.tick();
    },
  });
  readonly #api: ApiHost = {
    channel: (uuid) => this.#channels.get(uuid),
    calls: () => this.#channels.size,
    run: (file, args) => void this.#scripts.run(basename(file), { args }),
    runLater: (seconds, file, args) =>
      this.#later(seconds, () => void this.#scripts.run(basename(file), { args })),
    transfer: (channel, extension) => void this.#extension(channel, extension),
    originate: (dialString) => this.#originate(parseDial(dialString)),
    hash: new Set(),
  };
  #endpoint: SipEndpoint | null = null;

  private constructor(conf: string, log: (line: string) => void) {
    this.#globals = readGlobals(conf);
    this.#scripts = new Scripts(conf, this.#globals, this.#api, log);
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
    // lua.conf.xml's startup-script.
    void node.#scripts.run('work.lua', {});
    return node;
  }

  /** Hangs up what is left, and reports it. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const channel of [...this.#channels.values()]) channel.kill('MANAGER_REQUEST');
    await this.#scripts.idle();
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
    const { method, callId } = request.message;
    const channel = [...this.#channels.values()].find(({ leg }) => leg.callId === callId);
    const bridged = this.#bridges.get(callId);
    const full = this.#channels.size >= Number(this.#setting('max_calls'));
    const busy = { status: 503, reason: 'Maximum Calls In Progress' };
    if (method === 'OPTIONS') {
      request.answer(full ? busy : { status: 200, reason: 'OK' });
    } else if (method === 'INVITE') {
      if (!isAddressIn(request.from.address, this.#proxies))
        request.answer({ status: 403, reason: 'Forbidden' });
      else if (full) request.answer(busy);
      else if (channel !== undefined) request.answer({ status: 488, reason: 'Not Acceptable Here' });
      else void this.#invited(request);
    } else if (method !== 'BYE' && method !== 'CANCEL') {
      request.answer({ status: 501, reason: 'Not Implemented' });
    } else if (channel === undefined && bridged === undefined) {
      request.answer({ status: 481, reason: 'Call Does Not Exist' });
    } else {
      request.answer({ status: 200, reason: 'OK' });
      if (method === 'CANCEL') channel?.cancelled();
      else if (channel !== undefined) channel.hungUp();
      else bridged?.();
    }
  }

  /** A line whose audio and keys are a channel's; the channel is made of it. */
  async #open(
    uuid: string,
    legOf: (line: RtpLine, endpoint: SipEndpoint) => InLeg | OutLeg,
  ): Promise<Channel> {
    const endpoint = this.#endpoint;
    if (endpoint === null) throw new Error('the node is stopped');
    const line = await RtpLine.open(endpoint.local.address, {
      audio: (samples) => channel.heard(samples),
      key: (digit, samples) =>
        this.#fire(channel, 'DTMF', { 'DTMF-Digit': digit, 'DTMF-Duration': `${samples}` }),
    });
    const channel: Channel = new Channel(uuid, legOf(line, endpoint), {
      module: (name, body) =>
        this.#fire(channel, 'CUSTOM', { 'Event-Subclass': `mod_openai_audio_stream::${name}` }, body),
      ended: () => this.#ended(channel),
    });
    const known = { ...dialplan, sip_call_id: channel.leg.callId };
    for (const [name, value] of Object.entries(known)) channel.variables.set(name, value);
    this.#channels.set(uuid, channel);
    return channel;
  }

  async #invited(request: IncomingRequest): Promise<void> {
    const { message } = request;
    const offer = parseSdp(message.body);
    if (offer === null || typeOf(offer, 'PCMU') === null) {
      request.answer({ status: 488, reason: 'Not Acceptable Here' });
      return;
    }
    request.answer({ status: 100, reason: 'Trying' });
    const channel = await this.#open(
      randomUUID(),
      (line, endpoint) => new InLeg(endpoint, request, offer, line),
    );
    const number = (uri: string) => /sips?:([^@;>]*)@/.exec(uri)?.[1] ?? '';
    channel.variables.set('destination_number', number(message.uri));
    channel.variables.set('caller_id_number', number(uriOf(message.first('From'))));
    for (const [name, value] of message.headers) {
      if (name.startsWith('X-')) channel.variables.set(`sip_h_${name}`, value);
    }
    await this.#connect(channel);
  }

  // --- the dialplan ---------------------------------------------------------------------------------------

  async #connect(channel: Channel): Promise<void> {
    await this.#scripts.run('connect.lua', { channel });
    const longest = Number(this.#setting('longest_call_seconds'));
    if (channel.alive) this.#later(longest, () => channel.kill('ALLOTTED_TIMEOUT'));
  }

  /** `stay`, or `transfer` where the call has been asked for one. */
  async #extension(channel: Channel, name: string): Promise<void> {
    channel.bridge(null);
    const dialString = channel.variables.get('agent_transfer_dial') ?? '';
    if (name !== 'transfer' || channel.variables.get('agent_transfer') !== 'asked') return;
    const dialled = await this.#bridge(channel, parseDial(dialString));
    // Somebody has answered, or the call was led elsewhere meanwhile: the rest is not this extension's.
    if (dialled === null || dialled.answered) return;
    const status = dialled.sipStatus === null ? '' : `${dialled.sipStatus}`;
    channel.variables.set('originate_disposition', dialled.cause);
    channel.variables.set('sip_invite_failure_status', status);
    await this.#scripts.run('report.lua', { args: [channel.uuid, 'over'] });
  }

  /** The application `bridge`, with `hangup_after_bridge`. Null: it was given up for another extension. */
  async #bridge(channel: Channel, dial: Dial): Promise<Dialled | null> {
    const endpoint = this.#endpoint;
    if (endpoint === null) return null;
    const audio = (samples: Int16Array) => channel.fromBridged(samples);
    const line = await RtpLine.open(endpoint.local.address, { audio, key: () => {} });
    const leg = new OutLeg(endpoint, dial, line);
    this.#bridges.set(leg.callId, () => {
      leg.hungUp();
      this.#bridges.delete(leg.callId);
      channel.kill('NORMAL_CLEARING');
    });
    channel.bridge(leg, this.#setting('transfer_ringback'));
    const dialled = await leg.dial(() => channel.bridgedTo(leg) && this.#hook(dial, 'api_on_ring'));
    if (!dialled.answered) this.#bridges.delete(leg.callId);
    if (!channel.bridgedTo(leg)) return null;
    if (dialled.answered) this.#hook(dial, 'api_on_answer');
    else channel.bridge(null);
    return dialled;
  }

  /** The API command `originate`: what it answers once somebody has taken the call, or nobody has. */
  async #originate(dial: Dial): Promise<string> {
    const uuid = dial.variables.get('origination_uuid') ?? randomUUID();
    if (this.#channels.has(uuid)) return '-ERR DESTINATION_OUT_OF_ORDER\n';
    const channel = await this.#open(uuid, (line, endpoint) => new OutLeg(endpoint, dial, line));
    const { leg } = channel;
    if (leg.direction === 'inbound') throw new Error('a call that is placed is outbound');
    for (const [name, value] of dial.variables) channel.variables.set(name, value);
    channel.variables.set('destination_number', 'dialled');
    const dialled = await leg.dial(() => this.#hook(dial, 'api_on_ring'));
    if (!channel.alive) return `-ERR ${channel.variables.get('hangup_cause')}\n`;
    if (!dialled.answered) {
      if (dialled.sipStatus !== null) channel.variables.set('sip_term_status', `${dialled.sipStatus}`);
      channel.end(dialled.cause, dialled.sipStatus === null ? 'send_cancel' : 'recv_refuse');
      return `-ERR ${dialled.cause}\n`;
    }
    channel.answer();
    this.#hook(dial, 'api_on_answer');
    void this.#connect(channel);
    return `+OK ${uuid}\n`;
  }

  /** A command that stands in a dial string. */
  #hook(dial: Dial, name: string): void {
    const [command = '', ...args] = (dial.variables.get(name) ?? '').split(' ');
    if (command !== '') void api(this.#api, command, args.join(' '));
  }

  // --- events ---------------------------------------------------------------------------------------------

  /** What lua.conf.xml binds. */
  #fire(channel: Channel, name: string, headers: Record<string, string>, body = ''): void {
    const own = { 'Unique-ID': channel.uuid, 'Event-Name': name };
    void this.#scripts.run('event.lua', { headers: { ...own, ...headers }, body });
  }

  #ended(channel: Channel): void {
    const variables = [...channel.variables].map(([name, value]) => [`variable_${name}`, value] as const);
    this.#fire(channel, 'CHANNEL_HANGUP_COMPLETE', Object.fromEntries(variables));
    this.#channels.delete(channel.uuid);
  }

  #later(seconds: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, seconds * 1_000);
    this.#timers.add(timer);
  }
}
