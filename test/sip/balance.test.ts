import { describe, expect, it } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import { placeCalls } from './support/sipp.ts';

describe('balance', () => {
  it('gives each call to the node with the fewest, and counts back to zero', async () => {
    const bed = new Bed();
    await Promise.all([bed.node(), bed.node()]);
    const proxy = await bed.proxy();
    const caller = await bed.end(proxy.trunk);
    const calls = await Promise.all(Array.from({ length: 20 }, () => HeldCall.place(caller, proxy)));
    console.log(calls[0]?.answer.all('record-route'), calls[0]?.answer.first('x-call-id'), calls[0]?.answer.first('x-trunk'));
    expect(calls.map(({ status }) => status)).toEqual(calls.map(() => 200));
    expect(await proxy.calls()).toEqual({ node1: 10, node2: 10 });
    await Promise.all(calls.map((call) => call.hangUp()));
    await proxy.untilIdle();
    console.log((await proxy.metrics()).body.split('\n').filter((l) => !/^kamailio_(core|tmx|sl|tcp|shmem|dns|xhttp_prom|httpapi|pike)_/.test(l)).join('\n'));
    console.log(proxy.log.join('\n'));
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 4, rate: 100 });
  });
});
