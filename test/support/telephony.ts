import { hashOfToken, newToken } from '../../src/auth/tokens.ts';
import { freePort, LoopbackNetwork } from '../sip/support/processes.ts';
import { SipProxy } from '../sip/support/proxy.ts';
import { type Laptop, startLaptop } from './laptop.ts';
import { type MediaNode, startMediaNode } from './media-node/media-node.ts';
import { Phone, type PhoneCall } from './sip/phone.ts';
import { Wire } from './sip/wire.ts';

/** Whose number is called: the campaign may be its user's alone. */
export const called = { number: '+4930901820', userId: 'user-1', campaignId: 'campaign-1' };

/** A whole installation on loopback: a telephone's trunk, the real Kamailio, a node, and the service as `npm start` runs it. */
export class Telephony {
  readonly laptop: Laptop;
  readonly node: MediaNode;
  readonly nodeName: string;
  /** Between node and service. */
  readonly wire: Wire;
  readonly proxy: SipProxy;
  readonly #phones: Phone[] = [];
  readonly #parts: (() => Promise<unknown> | unknown)[];

  private constructor(
    parts: Pick<Telephony, 'laptop' | 'node' | 'nodeName' | 'wire' | 'proxy'>,
    close: (() => Promise<unknown> | unknown)[],
  ) {
    this.laptop = parts.laptop;
    this.node = parts.node;
    this.nodeName = parts.nodeName;
    this.wire = parts.wire;
    this.proxy = parts.proxy;
    this.#parts = close;
  }

  /**
   * @param signal ends a start that is under way. @param settings of the Worker.
   * @param defines of Kamailio, over those of the shipped configuration.
   */
  static async start(
    signal: AbortSignal,
    settings: Record<string, string> = {},
    defines: Record<string, number> = {},
  ): Promise<Telephony> {
    const close: (() => Promise<unknown> | unknown)[] = [];
    try {
      const network = new LoopbackNetwork();
      // Its database in /dev/shm has the node's name: no two tests' may be the same.
      const nodeName = `node-${process.pid}`;
      const token = newToken('node');
      const nodes = {
        [nodeName]: {
          tokens: [await hashOfToken(token)],
          users: [called.userId],
          campaigns: [called.campaignId],
          addresses: ['127.0.0.1/32'],
        },
      };
      const laptop = await startLaptop(signal, {
        AUTH: 'required',
        NODES: JSON.stringify(nodes),
        ...settings,
      });
      close.push(() => laptop.close());
      const wire = await Wire.lead(Number(new URL(laptop.url).port));
      close.push(() => wire.close());
      const address = network.address(2);
      const port = await freePort(address);
      const node = await startMediaNode({
        name: nodeName,
        address,
        port,
        proxies: [network.address(0), network.address(1)],
        service: `ws://127.0.0.1:${wire.port}`,
        token,
        numbers: [called],
        settings: { event_socket_port: `${await freePort('127.0.0.1')}` },
      });
      close.push(() => node.stop());
      const dead = network.address(3);
      const proxy = await SipProxy.start({
        network,
        // Of two that are as busy the first is taken: the dead one is tried when the other one has more calls.
        nodes: [
          { name: nodeName, address, port, attributes: 'maxload=500' },
          { name: 'dead', address: dead, port: await freePort(dead), attributes: 'maxload=500' },
        ],
        defines,
      });
      close.push(() => proxy.stop());
      return new Telephony({ laptop, node, nodeName, wire, proxy }, close);
    } catch (error) {
      await closeAll(close);
      throw error;
    }
  }

  /** A telephone of its own, behind the trunk. */
  async phone(): Promise<Phone> {
    const phone = await Phone.open(this.proxy.trunk);
    this.#phones.push(phone);
    return phone;
  }

  /** The service's id of a call, as the node tells it. */
  async callIdOf(call: PhoneCall): Promise<string> {
    const line = await this.node.line(new RegExp(`event=call\\.answered call=\\S+ sip=${call.sipCallId} `));
    return /call=(\S+)/.exec(line)?.[1] ?? '';
  }

  async close(): Promise<void> {
    for (const phone of this.#phones) phone.close();
    await closeAll(this.#parts);
  }
}

/** The last one first. */
async function closeAll(parts: readonly (() => Promise<unknown> | unknown)[]): Promise<void> {
  for (const close of parts.toReversed()) await close();
}
