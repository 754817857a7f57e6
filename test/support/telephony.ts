import { hashOfToken, newToken } from '../../src/auth/tokens.ts';
import { freePort, LoopbackNetwork } from '../sip/support/processes.ts';
import { type NodeEntry, SipProxy } from '../sip/support/proxy.ts';
import { type Laptop, startLaptop } from './laptop.ts';
import { type MediaNode, startMediaNode } from './media-node/media-node.ts';
import { Phone, type PhoneCall } from './sip/phone.ts';
import { Wire } from './sip/wire.ts';

/** The number that is called, and whose it is. */
export const called = { number: '+4930901820', userId: 'user-1', campaignId: 'campaign-1' };

/** Where the trunk takes calls of ours. */
const carrier = 'carrier-a';

export interface TelephonyOptions {
  /** Ends a start that is under way. */
  signal: AbortSignal;
  /** Of the Worker. */
  settings?: Record<string, string>;
  /** Of Kamailio. */
  defines?: Record<string, number>;
  /** The node reaches the service by itself, and not by a wire that can be cut. */
  direct?: boolean;
}

type Close = () => Promise<unknown> | unknown;

interface Parts {
  laptop: Laptop;
  node: MediaNode;
  entry: NodeEntry;
  wire: Wire;
  proxy: SipProxy;
  gateway: Phone;
  tokens: { node: string; service: string };
  spare: LoopbackNetwork;
}

/** A whole installation on loopback: telephones behind a trunk, the real Kamailio, a node, and the service as `npm start` runs it. */
export class Telephony {
  readonly laptop: Laptop;
  readonly node: MediaNode;
  /** Of the node, as in Kamailio's nodes.list. */
  readonly entry: NodeEntry;
  /** Between node and service. */
  readonly wire: Wire;
  readonly proxy: SipProxy;
  /** The telephones behind the trunk that are called. */
  readonly gateway: Phone;
  readonly #tokens: Parts['tokens'];
  readonly #spare: LoopbackNetwork;
  readonly #close: Close[];

  private constructor({ laptop, node, entry, wire, proxy, gateway, tokens, spare }: Parts, close: Close[]) {
    this.laptop = laptop;
    this.node = node;
    this.entry = entry;
    this.wire = wire;
    this.proxy = proxy;
    this.gateway = gateway;
    this.#tokens = tokens;
    this.#spare = spare;
    this.#close = close;
  }

  static async start(options: TelephonyOptions): Promise<Telephony> {
    const close: Close[] = [];
    try {
      return new Telephony(await startParts(options, close), close);
    } catch (error) {
      await closeAll(close);
      throw error;
    }
  }

  /** Has the service place a call, as a program of the operator's does; its id. The node says first that it is up, as `bin/heartbeat` does. */
  async dial(to: string): Promise<string> {
    const up = {
      state: 'up',
      calls: 0,
      maxCalls: 100,
      callsPerSecond: 0,
      idleCpu: 1,
      loadAverage: 0,
      cores: 1,
    };
    await this.#post('nodes/heartbeat', this.#tokens.node, up);
    const placed = await this.#post('calls', this.#tokens.service, { userId: called.userId, to });
    return ((await placed.json()) as { callId: string }).callId;
  }

  async #post(path: string, token: string, body: object): Promise<Response> {
    const response = await fetch(`${this.laptop.url}/api/v1/${path}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  /** Another proxy, whose first choice is a node that is dead, and the second one the node. */
  async proxyWithDeadNode(): Promise<SipProxy> {
    const address = this.#spare.address(3);
    const dead = { name: 'dead', address, port: await freePort(address), attributes: 'maxload=100' };
    const proxy = await SipProxy.start({ network: this.#spare, nodes: [dead, this.entry] });
    this.#close.push(() => proxy.stop());
    return proxy;
  }

  /** A telephone behind the proxy's trunk. */
  async phone(proxy = this.proxy): Promise<Phone> {
    const phone = await Phone.open(proxy.trunk);
    this.#close.push(() => phone.close());
    return phone;
  }

  /** The service's id of a call, as the node tells it. */
  async callIdOf(call: PhoneCall): Promise<string> {
    const line = await this.node.line(new RegExp(`event=call\\.answered call=\\S+ sip=${call.sipCallId} `));
    return /call=(\S+)/.exec(line)?.[1] ?? '';
  }

  async close(): Promise<void> {
    await closeAll(this.#close);
  }
}

async function startParts(
  { signal, settings, defines, direct }: TelephonyOptions,
  close: Close[],
): Promise<Parts> {
  const [network, spare] = [new LoopbackNetwork(), new LoopbackNetwork()];
  // FreeSWITCH's database in /dev/shm has the node's name: no two tests may have the same.
  const name = `node-${process.pid}`;
  const tokens = { node: newToken('node'), service: newToken('service') };
  const node = {
    tokens: [await hashOfToken(tokens.node)],
    users: [called.userId],
    campaigns: [called.campaignId],
    addresses: ['127.0.0.1/32'],
  };
  const laptop = await startLaptop(signal, {
    AUTH: 'required',
    SERVICE_TOKENS: await hashOfToken(tokens.service),
    NODES: JSON.stringify({ [name]: node }),
    ...settings,
  });
  close.push(() => laptop.close());
  const servicePort = Number(new URL(laptop.url).port);
  const wire = await Wire.lead(servicePort);
  close.push(() => wire.close());
  const address = network.address(2);
  const entry = { name, address, port: await freePort(address), attributes: 'maxload=500' };
  const proxyPort = await freePort(network.address(0));
  const media = await startMediaNode({
    ...entry,
    proxies: [network, spare].flatMap((each) => [each.address(0), each.address(1)]),
    service: `ws://127.0.0.1:${direct === true ? servicePort : wire.port}`,
    token: tokens.node,
    numbers: [called],
    settings: {
      proxy: `${network.address(0)}:${proxyPort}`,
      event_socket_port: `${await freePort('127.0.0.1')}`,
    },
  });
  close.push(() => media.stop());
  const trunk = network.address(10);
  const gatewayAt = { address: trunk, port: await freePort(trunk) };
  const gateway = await Phone.open(gatewayAt.address, gatewayAt.port);
  close.push(() => gateway.close());
  // A test's machine may be busy for longer than a node may be silent.
  const patient = { NODE_TIMEOUT: 10_000, ...defines };
  const gateways = [{ ...gatewayAt, name: 'gateway', attributes: `trunk=${carrier}` }];
  const proxy = await SipProxy.start({
    network,
    nodes: [entry],
    gateways,
    defines: patient,
    port: proxyPort,
  });
  close.push(() => proxy.stop());
  return { laptop, node: media, entry, wire, proxy, gateway, tokens, spare };
}

/** The last one first. */
async function closeAll(parts: readonly Close[]): Promise<void> {
  for (const close of parts.toReversed()) await close();
}
