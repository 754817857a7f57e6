import { describe, expect, it } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import type { SipProxy } from './support/proxy.ts';
import type { SipSocket } from './support/sip.ts';
import { placeCalls } from './support/sipp.ts';

/** One after the other, so that each finds the count that the one before has left. */
async function placeInTurn(count: number, socket: SipSocket, proxy: SipProxy): Promise<HeldCall[]> {
  const calls: HeldCall[] = [];
  while (calls.length < count) calls.push(await HeldCall.place(socket, proxy));
  return calls;
}

describe.concurrent('balance', () => {
  it('gives each call to the node with the fewest, and counts back to zero', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy();
    const calls = await placeInTurn(20, await bed.end(proxy.trunk), proxy);
    expect(calls.map(({ status }) => status)).toEqual(calls.map(() => 200));
    expect(await proxy.calls()).toEqual({ node1: 10, node2: 10 });
    expect((await proxy.metrics()).body).toMatch(/^kamailio_node_calls ?\{node="node2"\} 10/m);
    await Promise.all(calls.map((call) => call.hangUp()));
    await proxy.untilIdle();
    expect((await proxy.metrics()).body).toMatch(/^kamailio_node_calls ?\{node="node2"\} 0/m);
  });

  it('gives a node no more than its maxload, and says when to try again', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await Promise.all([bed.node('maxload=2'), bed.node('maxload=3')]);
    const proxy = await bed.proxy();
    const caller = await bed.end(proxy.trunk);
    const calls = await placeInTurn(8, caller, proxy);
    expect(calls.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 503, 503, 503]);
    expect(await proxy.calls()).toEqual({ node1: 2, node2: 3 });
    expect(calls.at(-1)?.answer.first('retry-after')).toBe('5');
    expect(await proxy.count(/event=call\.refused reason=full trunk=carrier-a/)).toBe(3);

    expect(await calls[0]?.hangUp()).toBe(200);
    expect((await HeldCall.place(caller, proxy)).status).toBe(200);
  });

  it('gives calls in turn with algorithm 4', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await Promise.all([bed.node(), bed.node(), bed.node()]);
    const proxy = await bed.proxy({ BALANCE: 4 });
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 12, rate: 100 });
    expect(await answered(proxy, ['node1', 'node2', 'node3'])).toEqual([4, 4, 4]);
    // The dispatcher counts nothing then, and is not asked to.
    expect(await proxy.count(/ERROR/)).toBe(0);
  });

  it('gives calls by weight with algorithm 11', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await Promise.all([bed.node('rweight=75'), bed.node('rweight=25')]);
    const proxy = await bed.proxy({ BALANCE: 11, RATE_PER_TRUNK: 1000, RATE_TOTAL: 1000 });
    // The dispatcher deals from a shuffled pack of 100.
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 100, rate: 200 });
    expect(await answered(proxy, ['node1', 'node2'])).toEqual([75, 25]);
  });
});

/** How many calls each of the nodes has answered. */
function answered(proxy: SipProxy, nodes: readonly string[]): Promise<number[]> {
  return Promise.all(nodes.map((node) => proxy.count(new RegExp(`event=call\\.answered .* node=${node}$`))));
}
