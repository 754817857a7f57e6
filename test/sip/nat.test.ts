import { describe, expect, it, type TestContext } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import { freePort } from './support/processes.ts';
import type { NodeEntry, SipProxy } from './support/proxy.ts';
import type { Endpoint } from './support/sip.ts';

/** As the trunks know the proxy (RFC 5737): nobody here could reach it. */
const outside = '203.0.113.5:5070';

/** The proxy behind 1:1 NAT, and where nodes find it. */
async function behindNat(
  bed: Bed,
  nodes?: readonly NodeEntry[],
): Promise<{ proxy: SipProxy; inside: Endpoint }> {
  const address = bed.network.address(0);
  const [port, nodesPort] = [await freePort(address), await freePort(address)];
  const proxy = await bed.proxy(
    {
      LISTEN_UDP: `udp:${address}:${port} advertise ${outside}`,
      LISTEN_NODES: `udp:${address}:${nodesPort}`,
    },
    nodes,
    port,
  );
  return { proxy, inside: { address, port: nodesPort } };
}

function bedOf({ onTestFinished }: Pick<TestContext, 'onTestFinished'>): Bed {
  return new Bed({ onTestFinished });
}

describe.concurrent('behind 1:1 NAT', () => {
  it('the trunk is told the address outside, the node the one inside, and a BYE of the trunk finds the node', async (context) => {
    const bed = bedOf(context);
    await bed.node();
    const { proxy, inside } = await behindNat(bed);
    const call = await HeldCall.place(await bed.end(proxy.trunk), proxy);
    expect(call.status).toBe(200);
    expect(call.answer.first('x-seen-via')).toContain(`SIP/2.0/UDP ${inside.address}:${inside.port};`);
    // The node's side first: the trunk goes through them from the last one on.
    const routes = call.answer.all('record-route').join().split(',');
    expect(routes).toEqual([
      expect.stringContaining(`<sip:${inside.address}:${inside.port};`),
      expect.stringContaining(`<sip:${outside};`),
    ]);
    expect(await call.hangUp()).toBe(200);
    await proxy.line(/event=call\.ended by=trunk node=node1/);
    await proxy.untilIdle();
    expect(await proxy.count(/ERROR/)).toBe(0);
  });

  it('a BYE of the node finds the trunk', async (context) => {
    const bed = bedOf(context);
    await bed.node(undefined, 'node-hangs-up');
    const { proxy } = await behindNat(bed);
    const call = await HeldCall.place(await bed.end(proxy.trunk), proxy);
    const bye = await call.ended();
    expect(bye.first('via')).toContain(`SIP/2.0/UDP ${outside};`);
    await proxy.line(/event=call\.ended by=node node=node1/);
    await proxy.untilIdle();
  });

  it('a node dials from inside, and the trunk sees the address outside', async (context) => {
    const bed = bedOf(context);
    await bed.gateway();
    const node = await bed.end(bed.network.address(2));
    const entry = { name: 'node1', ...node.local, attributes: 'maxload=9' };
    const { proxy, inside } = await behindNat(bed, [entry]);
    const number = `sip:+4930901820@${inside.address}:${inside.port}`;
    const call = await HeldCall.place(node, inside, [], number);
    expect(call.status).toBe(200);
    expect(call.answer.first('x-seen-via')).toContain(`SIP/2.0/UDP ${outside};`);
    expect(call.answer.all('record-route').join().split(',').at(-1)).toContain(
      `<sip:${inside.address}:${inside.port};`,
    );
    expect(await call.hangUp()).toBe(200);
    await proxy.line(/event=dial\.ended by=node node=node1/);
    expect(await proxy.count(/ERROR/)).toBe(0);
  });
});
