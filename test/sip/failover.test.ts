import { describe, expect, it } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import { token } from './support/sip.ts';
import { placeCalls } from './support/sipp.ts';

describe.concurrent('a node that fails', () => {
  it('is killed while calls arrive, and no caller notices', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    const [node1] = await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy();
    const caller = await bed.end(proxy.trunk);
    const before = await Promise.all([HeldCall.place(caller, proxy), HeldCall.place(caller, proxy)]);
    expect(before.map(({ status }) => status)).toEqual([200, 200]);
    await node1.kill();
    const during = await Promise.all(Array.from({ length: 10 }, () => HeldCall.place(caller, proxy)));
    expect(during.map(({ status }) => status)).toEqual(during.map(() => 200));
    await proxy.line(/event=node\.down node=node1 address=sip:\S+ reason=no-answer-to-a-call/);
    const { node1: dead, node2: alive } = await proxy.nodes();
    expect(dead?.flags).toBe('IP');
    expect(alive?.calls).toBeGreaterThanOrEqual(10);
    // The next one does not wait for it any more.
    const failures = await proxy.count(/event=call\.node-failed/);
    expect(failures).toBeGreaterThan(0);
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 5, rate: 100 });
    expect(await proxy.count(/event=call\.node-failed/)).toBe(failures);
    await Promise.all(during.map((call) => call.hangUp()));
  });

  it('leaves the call to the next one under an id of its own', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    const [node1] = await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy();
    const caller = await bed.end(proxy.trunk);
    await node1.kill();
    const call = await HeldCall.place(caller, proxy, ['X-Call-Id: forged', 'X-Trunk: forged']);
    expect(call.status).toBe(200);
    expect(call.answer.all('x-call-id')).toEqual([expect.stringMatching(/^[0-9a-f-]{36}-1$/)]);
    expect(call.answer.all('x-trunk')).toEqual(['carrier-a']);
    // Both sides find the proxy at the address that moves, not at the one that pings.
    const address = `${proxy.address}:${proxy.port};`;
    expect(call.answer.all('record-route')).toEqual([expect.stringContaining(`<sip:${address}lr`)]);
    expect(call.answer.first('x-seen-via')).toContain(`SIP/2.0/UDP ${address}`);
    const id = call.answer.first('x-call-id').slice(0, 36);
    await proxy.line(new RegExp(`event=call\\.new call=${id} .* node=node1`));
    await proxy.line(new RegExp(`event=call\\.answered call=${id} .* node=node2`));
    expect(await proxy.calls()).toEqual({ node1: 0, node2: 1 });
    await call.hangUp();
    await proxy.untilIdle();
  });

  it('is one of all: 503, when to try again, and nothing counted', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    const nodes = await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy();
    const caller = await bed.end(proxy.trunk);
    await Promise.all(nodes.map((node) => node.kill()));
    const first = await HeldCall.place(caller, proxy);
    expect([first.status, first.answer.first('retry-after')]).toEqual([503, '5']);
    await proxy.line(/event=call\.refused reason=nodes-failed/);
    expect(await proxy.nodes()).toEqual({
      node1: { flags: 'IP', calls: 0 },
      node2: { flags: 'IP', calls: 0 },
    });
    const second = await HeldCall.place(caller, proxy);
    expect([second.status, second.answer.first('retry-after')]).toEqual([503, '5']);
    await proxy.line(/event=call\.refused reason=no-node/);
    expect((await caller.options(proxy))?.status).toBe(503);
    expect((await proxy.metrics()).body).toMatch(/^kamailio_node_up ?\{node="node1"\} 0/m);
  });

  it('is found out by its pings, and gets calls again when it answers them', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    const [, node2] = await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy({ PING_SECONDS: 1 });
    const caller = await bed.end(proxy.trunk);
    expect((await caller.options(proxy))?.status).toBe(200);
    await node2.kill();
    await proxy.untilNodes(({ node2 }) => node2?.flags === 'IP');
    await proxy.line(/event=node\.down node=node2 address=sip:\S+ reason=pings status=408/);
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 4, rate: 100 });
    expect(await proxy.count(/event=call\.(new|next-node) .* node=node2/)).toBe(0);
    await node2.start();
    await proxy.untilNodes(({ node2 }) => node2?.flags === 'AP');
    await proxy.line(/event=node\.up node=node2 address=sip:/);
    const calls = [await HeldCall.place(caller, proxy), await HeldCall.place(caller, proxy)];
    expect(await proxy.calls()).toEqual({ node1: 1, node2: 1 });
    await Promise.all(calls.map((call) => call.hangUp()));
  });

  it('goes after two pings in a row that it does not answer well, and comes back after two that it does', async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    const node = await bed.end(bed.network.address(2));
    const proxy = await bed.proxy({ PING_SECONDS: 1 }, [
      { name: 'node1', ...node.local, attributes: 'maxload=9' },
    ]);
    const answers = ['503 Full', '503 Full', '200 OK', '200 OK'];
    const states: (string | undefined)[] = [];
    for (let pings = 1; pings <= answers.length + 1; pings += 1) {
      const ping = await node.nth('OPTIONS', pings);
      // When a ping comes, the answer to the one before it has been counted.
      states.push((await proxy.nodes()).node1?.flags);
      const kept = ['via', 'from', 'to', 'call-id', 'cseq'].map((name) => `${name}: ${ping.first(name)}`);
      const ownAddress = { address: bed.network.address(1), port: proxy.port };
      node.send([`SIP/2.0 ${answers[pings - 1] ?? '200 OK'}`, ...kept], ownAddress);
    }
    expect(states).toEqual(['AX', 'TP', 'IP', 'IP', 'AP']);
  });

  it('pauses by itself: its 503 moves the calls on at once, and its pings take it out', async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node(undefined, 'node-pauses');
    await bed.node();
    const proxy = await bed.proxy({ PING_SECONDS: 1 });
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 3, rate: 100 });
    expect(await proxy.count(/event=call\.answered .* node=node2/)).toBe(3);
    const { node1 } = await proxy.untilNodes(({ node1 }) => node1?.flags === 'IP');
    expect(node1?.calls).toBe(0);
    await proxy.untilIdle();
  });

  it('rings and does not answer: the next one is asked in time, and it does not count as down', async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node(undefined, 'node-rings');
    await bed.node();
    const proxy = await bed.proxy({ ANSWER_TIMEOUT: 1000 });
    const call = await HeldCall.place(await bed.end(proxy.trunk), proxy);
    expect(call.status).toBe(200);
    await proxy.line(/event=call\.node-failed .* node=node1 status=408/);
    const { node1, node2 } = await proxy.nodes();
    expect([node1, node2]).toEqual([
      { flags: expect.stringMatching(/^A/), calls: 0 },
      { flags: expect.stringMatching(/^A/), calls: 1 },
    ]);
    expect(await proxy.count(/event=node\.down/)).toBe(0);
  });

  it('gives a final answer: nobody else is asked', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node(undefined, 'node-declines');
    await bed.node();
    const proxy = await bed.proxy();
    const call = await HeldCall.place(await bed.end(proxy.trunk), proxy);
    expect(call.status).toBe(486);
    await proxy.line(/event=call\.failed .* node=node1 status=486/);
    expect(await proxy.calls()).toEqual({ node1: 0, node2: 0 });
    expect(await proxy.count(/event=call\.answered/)).toBe(0);
  });
});

describe.concurrent('a call', () => {
  it('whose end never comes by is counted no more after a time, sooner if it was not even answered', async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    await bed.node(undefined, 'node-rings');
    const proxy = await bed.proxy({ SETUP_EXPIRES: 1, CALL_EXPIRES: 5, EXPIRY_SECONDS: 1 });
    const caller = await bed.end(proxy.trunk);
    expect((await HeldCall.place(caller, proxy)).status).toBe(200);
    caller.send(caller.request('INVITE', proxy, token()), proxy);
    await caller.expect('180', ({ status }) => status === 180);
    expect(await proxy.calls()).toEqual({ node1: 1, node2: 1 });
    await proxy.untilNodes(({ node2 }) => node2?.calls === 0);
    expect(await proxy.calls()).toEqual({ node1: 1, node2: 0 });
    await proxy.untilIdle();
  });
});
