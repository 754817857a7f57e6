import { describe, expect, it } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import { placeCalls } from './support/sipp.ts';

/** No ping within the test: that a node is dead shows by the calls alone. */
const noPings = { PING_SECONDS: 3600 };

describe('a node that fails', () => {
  it('is killed while calls arrive, and no caller notices', async () => {
    const bed = new Bed();
    const [node1] = await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy(noPings);
    const caller = await bed.end(proxy.trunk);
    const before = await Promise.all([HeldCall.place(caller, proxy), HeldCall.place(caller, proxy)]);
    expect(before.map(({ status }) => status)).toEqual([200, 200]);
    await node1.kill();
    const during = await Promise.all(Array.from({ length: 10 }, () => HeldCall.place(caller, proxy)));
    expect(during.map(({ status }) => status)).toEqual(during.map(() => 200));
    await proxy.line(/event=node\.down node=sip:\S+ reason=no-answer-to-a-call/);
    const { node1: dead, node2: alive } = await proxy.nodes();
    expect(dead?.flags).toBe('IP');
    expect(alive?.calls).toBeGreaterThanOrEqual(10);
    // The next one does not wait for it any more.
    const failures = proxy.count(/event=call\.node-failed/);
    expect(failures).toBeGreaterThan(0);
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 5, rate: 100 });
    expect(proxy.count(/event=call\.node-failed/)).toBe(failures);
    await Promise.all(during.map((call) => call.hangUp()));
  });

  it('leaves the call to the next one under an id of its own', async () => {
    const bed = new Bed();
    const [node1] = await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy(noPings);
    const caller = await bed.end(proxy.trunk);
    await node1.kill();
    const call = await HeldCall.place(caller, proxy, ['X-Call-Id: forged', 'X-Trunk: forged']);
    expect(call.status).toBe(200);
    expect(call.answer.all('x-call-id')).toEqual([expect.stringMatching(/^[0-9a-f-]{36}-1$/)]);
    expect(call.answer.all('x-trunk')).toEqual(['carrier-a']);
    const id = call.answer.first('x-call-id').slice(0, 36);
    await proxy.line(new RegExp(`event=call\\.new call=${id} .* node=node1`));
    await proxy.line(new RegExp(`event=call\\.answered call=${id} .* node=node2`));
    expect(await proxy.calls()).toEqual({ node1: 0, node2: 1 });
    await call.hangUp();
    await proxy.untilIdle();
  });

  it('is one of all: 503, when to try again, and nothing counted', async () => {
    const bed = new Bed();
    const nodes = await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy(noPings);
    const caller = await bed.end(proxy.trunk);
    await Promise.all(nodes.map((node) => node.kill()));
    const first = await HeldCall.place(caller, proxy);
    expect([first.status, first.answer.first('retry-after')]).toEqual([503, '5']);
    await proxy.line(/event=call\.refused reason=nodes-failed/);
    expect(await proxy.nodes()).toEqual({ node1: { flags: 'IP', calls: 0 }, node2: { flags: 'IP', calls: 0 } });
    const second = await HeldCall.place(caller, proxy);
    expect([second.status, second.answer.first('retry-after')]).toEqual([503, '5']);
    await proxy.line(/event=call\.refused reason=no-node/);
    expect((await caller.options(proxy))?.status).toBe(503);
    expect((await proxy.metrics()).body).toMatch(/^kamailio_node_up ?\{node="node1"\} 0/m);
  });

  it('is found out by its pings, and gets calls again when it answers them', async () => {
    const bed = new Bed();
    const [, node2] = await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy();
    const caller = await bed.end(proxy.trunk);
    expect((await caller.options(proxy))?.status).toBe(200);
    await node2.kill();
    await proxy.untilNodes(({ node2 }) => node2?.flags === 'IP');
    await proxy.line(/event=node\.down node=sip:\S+ reason=pings/);
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 4, rate: 100 });
    expect(proxy.count(/event=call\.(new|next-node) .* node=node2/)).toBe(0);
    await node2.start();
    await proxy.untilNodes(({ node2 }) => node2?.flags === 'AP');
    await proxy.line(/event=node\.up/);
    const calls = [await HeldCall.place(caller, proxy), await HeldCall.place(caller, proxy)];
    expect(await proxy.calls()).toEqual({ node1: 1, node2: 1 });
    await Promise.all(calls.map((call) => call.hangUp()));
  });

  it('pauses by itself: its 503 moves the calls on at once, and its pings take it out', async () => {
    const bed = new Bed();
    await bed.node(undefined, 'node-pauses');
    await bed.node();
    const proxy = await bed.proxy();
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 3, rate: 100 });
    expect(proxy.count(/event=call\.answered .* node=node2/)).toBe(3);
    const { node1 } = await proxy.untilNodes(({ node1 }) => node1?.flags === 'IP');
    expect(node1?.calls).toBe(0);
    await proxy.untilIdle();
  });

  it('gives a final answer: nobody else is asked', async () => {
    const bed = new Bed();
    await bed.node(undefined, 'node-declines');
    await bed.node();
    const proxy = await bed.proxy(noPings);
    const call = await HeldCall.place(await bed.end(proxy.trunk), proxy);
    expect(call.status).toBe(486);
    await proxy.line(/event=call\.failed .* node=node1 status=486/);
    expect(await proxy.calls()).toEqual({ node1: 0, node2: 0 });
    expect(proxy.count(/event=call\.answered/)).toBe(0);
  });
});

describe('a call', () => {
  it('that the caller gives up while it rings is counted no more', async () => {
    const bed = new Bed();
    await bed.node(undefined, 'node-rings');
    const proxy = await bed.proxy();
    await placeCalls({ scenario: 'caller-cancels', from: proxy.trunk, to: proxy, calls: 5, rate: 100 });
    await proxy.untilIdle();
    expect(proxy.count(/event=call\.canceled .* node=node1/)).toBe(5);
    expect(proxy.count(/ERROR/)).toBe(0);
  });

  it('that the agent ends reaches the caller by the proxy', async () => {
    const bed = new Bed();
    await bed.node(undefined, 'node-hangs-up');
    const proxy = await bed.proxy();
    const call = await HeldCall.place(await bed.end(proxy.trunk), proxy);
    await call.ended();
    await proxy.line(/event=call\.ended by=node node=node1/);
    await proxy.untilIdle();
  });

  it('outlives the proxy that set it up: the one that takes its address over finds the node', async () => {
    const bed = new Bed();
    await Promise.all([bed.node(), bed.node()]);
    const one = await bed.proxy();
    const caller = await bed.end(one.trunk);
    const calls = [await HeldCall.place(caller, one), await HeldCall.place(caller, one)];
    expect(await one.calls()).toEqual({ node1: 1, node2: 1 });
    await one.kill();
    const other = await bed.proxy(undefined, one.port);
    // Its counts are its own.
    expect(await other.calls()).toEqual({ node1: 0, node2: 0 });
    expect(await Promise.all(calls.map((call) => call.hangUp()))).toEqual([200, 200]);
    expect(['node1', 'node2'].map((node) => other.count(new RegExp(`event=call\\.ended .* node=${node} `)))).toEqual([1, 1]);
    expect(await other.calls()).toEqual({ node1: 0, node2: 0 });
    expect((await HeldCall.place(caller, other)).status).toBe(200);
  });
});
