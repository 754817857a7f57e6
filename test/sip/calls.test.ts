import { describe, expect, it } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import { token } from './support/sip.ts';
import { placeCalls } from './support/sipp.ts';

describe.concurrent('a call', () => {
  it('that the caller gives up while it rings is counted no more', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node(undefined, 'node-rings');
    const proxy = await bed.proxy();
    await placeCalls({ scenario: 'caller-cancels', from: proxy.trunk, to: proxy, calls: 5, rate: 100 });
    await proxy.untilIdle();
    expect(await proxy.count(/event=call\.canceled .* node=node1/)).toBe(5);
    expect(await proxy.count(/ERROR/)).toBe(0);
  });

  it('that the agent ends reaches the caller by the proxy', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node(undefined, 'node-hangs-up');
    const proxy = await bed.proxy();
    const call = await HeldCall.place(await bed.end(proxy.trunk), proxy);
    await call.ended();
    await proxy.line(/event=call\.ended by=node node=node1/);
    await proxy.untilIdle();
  });

  it('is answered once in the log, however often the node repeats its 200', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    const node = await bed.end(bed.network.address(2));
    const proxy = await bed.proxy({}, [{ name: 'node1', ...node.local, attributes: 'maxload=9' }]);
    const caller = await bed.end(proxy.trunk);
    const invite = caller.request('INVITE', proxy, token());
    caller.send(invite, proxy);
    const taken = await node.nth('INVITE', 1);
    const vias = taken.all('via').map((via) => `Via: ${via}`);
    const kept = ['from', 'call-id', 'cseq', 'record-route'].map((name) => `${name}: ${taken.first(name)}`);
    const { address, port } = node.local;
    const contact = `Contact: <sip:node@${address}:${port}>`;
    const answer = ['SIP/2.0 200 OK', ...vias, ...kept, `To: ${taken.first('to')};tag=1`, contact];
    node.send(answer, proxy);
    node.send(answer, proxy);
    await caller.expect(
      'The second 200',
      () => caller.received.filter(({ status }) => status === 200).length === 2,
    );
    expect(await proxy.count(/event=call\.answered/)).toBe(1);
  });

  it('outlives the proxy that set it up: the one that takes its address over finds the node', async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    await Promise.all([bed.node(), bed.node()]);
    const one = await bed.proxy();
    const caller = await bed.end(one.trunk);
    const calls = [await HeldCall.place(caller, one), await HeldCall.place(caller, one)];
    expect(await one.calls()).toEqual({ node1: 1, node2: 1 });
    // The node sees the address that moves, and answers there.
    expect(calls[0]?.answer.first('x-seen-via')).toContain(`SIP/2.0/UDP ${one.address}:${one.port};`);
    await one.kill();
    const other = await bed.proxy(undefined, undefined, one.port);
    // Its counts are its own.
    expect(await other.calls()).toEqual({ node1: 0, node2: 0 });
    expect(await Promise.all(calls.map((call) => call.hangUp()))).toEqual([200, 200]);
    expect(await other.count(/event=call\.ended by=trunk node=node1 /)).toBe(1);
    expect(await other.count(/event=call\.ended by=trunk node=node2 /)).toBe(1);
    expect(await other.calls()).toEqual({ node1: 0, node2: 0 });
    expect((await HeldCall.place(caller, other)).status).toBe(200);
  });
});
