import { onTestFinished } from 'vitest';
import { LoopbackNetwork } from './processes.ts';
import { Proxy, type ProxyOptions } from './proxy.ts';
import { SipSocket } from './sip.ts';
import { Node } from './sipp.ts';

/** What a test starts; all of it is gone when the test is over. */
export class Bed {
  readonly network = new LoopbackNetwork();
  readonly nodes: Node[] = [];

  /** A node: node1, node2, … in the order of their start. `attributes`, `scenario` as for `Node.start`. */
  async node(attributes?: string, scenario?: string): Promise<Node> {
    const index = this.nodes.length;
    const node = new Node({ name: `node${index + 1}`, address: this.network.address(2 + index), attributes, scenario });
    this.nodes.push(node);
    onTestFinished(() => node.kill());
    await node.start();
    return node;
  }

  /** The proxy before all nodes so far. */
  async proxy(defines?: ProxyOptions['defines'], port?: number): Promise<Proxy> {
    const nodes = this.nodes.map(({ entry }) => entry);
    const proxy = await Proxy.start({ network: this.network, nodes, defines, port });
    onTestFinished(() => proxy.stop());
    return proxy;
  }

  /** A SIP end by UDP at an address: the trunk's, a stranger's. */
  async end(address: string): Promise<SipSocket> {
    const socket = await SipSocket.open(address);
    onTestFinished(() => socket.close());
    return socket;
  }
}
