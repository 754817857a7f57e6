import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import { run } from './support/processes.ts';
import { kamailioFolder, type SipProxy } from './support/proxy.ts';
import { placeCalls } from './support/sipp.ts';

/** A script of kamailio/bin on a proxy. */
function script(
  proxy: SipProxy,
  name: string,
  ...args: readonly string[]
): Promise<{ code: number; output: string }> {
  return run('env', [
    `KAMAILIO_CTL=${proxy.socket}`,
    `NODES_LIST=${proxy.nodesList}`,
    join(kamailioFolder, 'bin', name),
    ...args,
  ]);
}

describe.concurrent('drain', () => {
  it('keeps new calls away and leaves the others alone, until undrain', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy();
    const caller = await bed.end(proxy.trunk);
    const [onNode1, onNode2] = [await HeldCall.place(caller, proxy), await HeldCall.place(caller, proxy)];
    expect(await script(proxy, 'drain', 'node2')).toEqual({
      code: 0,
      output: 'node2 is drained: 1 calls.\n',
    });
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 4, rate: 100 });
    expect(await proxy.nodes()).toMatchObject({ node1: { calls: 1 }, node2: { flags: 'DX', calls: 1 } });
    expect(await proxy.count(/event=call\.new .* node=node2/)).toBe(1);

    // It does not come back by its pings, but the call that it has ends as any other.
    expect(await onNode2.hangUp()).toBe(200);
    expect(await script(proxy, 'drain', 'node2', '5')).toEqual({
      code: 0,
      output: 'node2 is drained: 0 calls.\n',
    });
    expect((await proxy.nodes()).node2?.flags).toBe('DX');

    expect(await script(proxy, 'undrain', 'node2')).toEqual({
      code: 0,
      output: 'node2 takes calls again.\n',
    });
    const third = await HeldCall.place(caller, proxy);
    expect(await proxy.calls()).toEqual({ node1: 1, node2: 1 });
    expect(await Promise.all([onNode1.hangUp(), third.hangUp()])).toEqual([200, 200]);
  });

  it('says so when calls are left at the end of the wait, and when there is no such node', async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    await HeldCall.place(await bed.end(proxy.trunk), proxy);
    expect(await script(proxy, 'drain', 'node1', '1')).toEqual({
      code: 1,
      output: 'node1 is drained: 1 calls.\n',
    });
    const unknown = await script(proxy, 'drain', 'node7');
    expect(unknown).toEqual({ code: 1, output: 'There is no node node7; there are: node1 \n' });
  });
});

describe.concurrent('drain', () => {
  it('keeps what nodes dial away from a gateway', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const node = await bed.end(bed.network.address(2));
    await bed.gateway();
    await bed.gateway();
    const proxy = await bed.proxy();
    const drained = await script(proxy, 'drain', 'gateway1');
    expect(drained).toEqual({ code: 0, output: 'gateway1 is drained: 0 calls.\n' });
    const target = `sip:+4930901820@${proxy.address}:${proxy.port}`;
    expect((await HeldCall.place(node, proxy, [], target)).status).toBe(200);
    expect(await proxy.count(/event=dial\.answered .* gateway=gateway2/)).toBe(1);
    expect((await script(proxy, 'undrain', 'gateway1')).code).toBe(0);
    expect((await HeldCall.place(node, proxy, [], target)).status).toBe(200);
    expect(await proxy.count(/event=dial\.answered .* gateway=gateway1/)).toBe(1);
  });
});

describe.concurrent('reload', () => {
  it('takes gateways in and out, and those that are drained stay so', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    const { entry: node } = await bed.node();
    const [one, two] = [(await bed.gateway()).entry, (await bed.gateway()).entry];
    const proxy = await bed.proxy({ RELOAD_SECONDS: 1 }, undefined, undefined, [one]);
    await script(proxy, 'drain', 'gateway1');
    await proxy.writeNodes([node], [one, two]);
    expect(await script(proxy, 'reload')).toMatchObject({ code: 0 });
    expect(await proxy.nodes()).toMatchObject({ gateway1: { flags: 'DX' }, gateway2: { flags: 'AX' } });
    await proxy.writeNodes([node], [two]);
    expect(await script(proxy, 'reload')).toMatchObject({ code: 0 });
    expect(Object.keys(await proxy.nodes()).sort()).toEqual(['gateway2', 'node1']);
  });

  it('takes nodes in and out without touching the counts of the others, or who is drained', async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    const nodes = [await bed.node(), await bed.node(), await bed.node()];
    const [first, second, third] = nodes.map(({ entry }) => entry);
    if (first === undefined || second === undefined || third === undefined) throw new Error('three nodes');
    const proxy = await bed.proxy({ RELOAD_SECONDS: 1 });
    const caller = await bed.end(proxy.trunk);
    const call = await HeldCall.place(caller, proxy);
    await script(proxy, 'drain', 'node2');

    // node3 goes, node2 stays, node1 has a call and so keeps what it has.
    await proxy.writeNodes([{ ...first, attributes: 'maxload=7' }, second]);
    const refused = await script(proxy, 'reload');
    expect(refused.code).toBe(1);
    expect(refused.output).toContain(
      `sip:${first.address}:${first.port} (duid=node1;maxload=100) has 1 calls`,
    );
    expect(await proxy.nodes()).toMatchObject({ node1: { calls: 1 }, node2: { flags: 'DX' } });

    expect(await call.hangUp()).toBe(200);
    await proxy.untilIdle();
    await proxy.writeNodes([{ ...first, attributes: 'maxload=1' }, second, third]);
    const done = await script(proxy, 'reload');
    expect(done).toMatchObject({ code: 0 });
    expect((await proxy.nodes()).node2?.flags).toBe('DX');
    // maxload 1, and node2 is drained: the second call goes to node3, which is new.
    await HeldCall.place(caller, proxy);
    await HeldCall.place(caller, proxy);
    await HeldCall.place(caller, proxy);
    expect(await proxy.calls()).toEqual({ node1: 1, node2: 0, node3: 2 });
  });

  it('of an empty list changes nothing', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    await proxy.writeNodes([]);
    const refused = await script(proxy, 'reload');
    expect([refused.code, refused.output]).toEqual([1, expect.stringContaining('nothing is changed')]);
    expect(Object.keys(await proxy.nodes())).toEqual(['node1']);
  });
});

describe.concurrent('healthy', () => {
  it('tells keepalived whether the proxy answers', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    expect((await script(proxy, 'healthy')).code).toBe(0);
    await proxy.kill();
    expect((await script(proxy, 'healthy')).code).not.toBe(0);
    const mute = await script(proxy, 'drain', 'node1');
    expect(mute).toEqual({ code: 1, output: `No answer from the proxy at ${proxy.socket}.\n` });
  });
});
