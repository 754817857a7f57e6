import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { LoopbackNetwork } from './processes.ts';
import { type ProxyOptions, SipProxy } from './proxy.ts';
import { SipSocket } from './sip.ts';
import { SipNode } from './sipp.ts';

/** What a test starts; all of it is gone when the test is over. */
export class Bed {
  readonly network = new LoopbackNetwork();
  readonly nodes: SipNode[] = [];
  readonly gateways: SipNode[] = [];
  readonly #onTestFinished: TestContext['onTestFinished'];

  constructor({ onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
    this.#onTestFinished = onTestFinished;
  }

  /** A node: node1, node2, … in the order of their start. `attributes`, `scenario` as for `SipNode.start`. */
  async node(attributes?: string, scenario?: string): Promise<SipNode> {
    const index = this.nodes.length;
    const node = new SipNode({
      name: `node${index + 1}`,
      address: this.network.address(2 + index),
      attributes,
      scenario,
    });
    this.nodes.push(node);
    this.#onTestFinished(() => node.kill());
    await node.start();
    return node;
  }

  /** A trunk's gateway, by which nodes dial: gateway1 of the trunk carrier-1, … Whoever is called behind it does what the scenario says. */
  async gateway(scenario?: string, attributes?: string, transport?: 'tcp'): Promise<SipNode> {
    const index = this.gateways.length + 1;
    const gateway = new SipNode({
      name: `gateway${index}`,
      address: this.network.address(5 + index),
      attributes: [`trunk=carrier-${index}`, attributes ?? []].flat().join(';'),
      scenario,
      transport,
    });
    this.gateways.push(gateway);
    this.#onTestFinished(() => gateway.kill());
    await gateway.start();
    return gateway;
  }

  /** The proxy before all nodes and gateways so far, or before others. */
  async proxy(
    defines?: ProxyOptions['defines'],
    nodes: ProxyOptions['nodes'] = this.nodes.map(({ entry }) => entry),
    port?: number,
    gateways: ProxyOptions['gateways'] = this.gateways.map(({ entry }) => entry),
  ): Promise<SipProxy> {
    const proxy = await SipProxy.start({ network: this.network, nodes, gateways, defines, port });
    this.#onTestFinished(() => proxy.stop());
    return proxy;
  }

  /** A SIP end by UDP at an address: the trunk's, a stranger's. */
  async end(address: string): Promise<SipSocket> {
    const socket = await SipSocket.open(address);
    this.#onTestFinished(() => socket.close());
    return socket;
  }

  /** The same by TLS, to the proxy. */
  async tlsEnd(address: string, proxy: SipProxy): Promise<SipSocket> {
    const certificate = await readFile(join(proxy.folder, 'certificate.pem'), 'utf8');
    const to = { address: proxy.address, port: proxy.tlsPort };
    const socket = await SipSocket.openTls(address, to, certificate);
    this.#onTestFinished(() => socket.close());
    return socket;
  }
}
