import { describe, expect, it, type TestContext } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import type { NodeEntry, ProxyOptions, SipProxy } from './support/proxy.ts';
import { type Endpoint, type SipSocket, token } from './support/sip.ts';
import { placeCalls } from './support/sipp.ts';

const number = '+4930901820';

function numberAt(proxy: Endpoint, dialled = number): string {
  return `sip:${dialled}@${proxy.address}:${proxy.port}`;
}

/** A node of our own that dials, and the proxy before it and before all gateways of the bed. */
async function dialing(
  bed: Bed,
  defines?: ProxyOptions['defines'],
  gateways?: readonly NodeEntry[],
): Promise<{
  node: SipSocket;
  proxy: SipProxy;
  dial: (more?: string[], dialled?: string) => Promise<HeldCall>;
}> {
  const node = await bed.end(bed.network.address(2));
  const entry = { name: 'node1', ...node.local, attributes: 'maxload=9' };
  const proxy = await bed.proxy(defines, [entry], undefined, gateways);
  const dial = (more: string[] = [], dialled = number) =>
    HeldCall.place(node, proxy, more, numberAt(proxy, dialled));
  return { node, proxy, dial };
}

/** A gateway of our own, to see and say what SIPp is clumsy at. */
async function ownGateway(
  bed: Bed,
  index: number,
  attributes = '',
): Promise<{ end: SipSocket; entry: NodeEntry }> {
  const end = await bed.end(bed.network.address(5 + index));
  const entry = { name: `gateway${index}`, ...end.local, attributes: `trunk=carrier-${index};${attributes}` };
  return { end, entry };
}

function bedOf({ onTestFinished }: Pick<TestContext, 'onTestFinished'>): Bed {
  return new Bed({ onTestFinished });
}

describe.concurrent('a node dials a number', () => {
  it('by a trunk: the call stands, counts for no node, and its end goes by the proxy', async (context) => {
    const bed = bedOf(context);
    await bed.gateway();
    const { proxy, dial } = await dialing(bed);
    const call = await dial(['X-Call-Id: call-7', 'X-Trunk: carrier-1']);
    expect(call.status).toBe(200);
    // The trunk sees neither of the two headers, and the address that moves.
    expect(call.answer.all('x-call-id')).toEqual([]);
    expect(call.answer.all('x-trunk')).toEqual([]);
    const address = `${proxy.address}:${proxy.port};`;
    expect(call.answer.all('record-route')).toEqual([expect.stringContaining(`<sip:${address}lr`)]);
    expect(call.answer.first('x-seen-via')).toContain(`SIP/2.0/UDP ${address}`);
    expect((await proxy.calls()).node1).toBe(0);
    expect(await call.hangUp()).toBe(200);
    await proxy.line(/event=dial\.new call=call-7 sip=\S+ node=node1 trunk=carrier-1 gateway=gateway1$/);
    await proxy.line(/event=dial\.answered call=call-7 sip=\S+ trunk=carrier-1 gateway=gateway1$/);
    await proxy.line(/event=dial\.ended by=node node=node1/);
    expect(await proxy.count(/ERROR/)).toBe(0);
    expect((await proxy.metrics()).body).toMatch(/^kamailio_dials_answered_total ?\{trunk="carrier-1"\} 1/m);
  });

  it('by a trunk that speaks TCP: both ends find the proxy by their own transport', async (context) => {
    const bed = bedOf(context);
    await bed.gateway(undefined, undefined, 'tcp');
    const { proxy, dial } = await dialing(bed);
    const call = await dial();
    expect(call.status).toBe(200);
    expect(call.answer.all('record-route').join()).toContain(';transport=tcp');
    expect(await call.hangUp()).toBe(200);
    expect(await proxy.count(/ERROR/)).toBe(0);
  });

  it('that hangs up itself: the BYE finds the node', async (context) => {
    const bed = bedOf(context);
    await bed.gateway('node-hangs-up');
    const { proxy, dial } = await dialing(bed);
    await (await dial()).ended();
    await proxy.line(/event=dial\.ended by=peer node=node1/);
    expect(await proxy.count(/ERROR/)).toBe(0);
    expect((await proxy.calls()).node1).toBe(0);
  });

  it('and gives up while it rings', async (context) => {
    const bed = bedOf(context);
    await bed.gateway('node-rings');
    await bed.node();
    const proxy = await bed.proxy();
    const { entry } = bed.nodes[0]!;
    await placeCalls({
      scenario: 'node-dials-and-cancels',
      from: entry.address,
      to: proxy,
      calls: 3,
      rate: 50,
    });
    expect(await proxy.count(/event=dial\.canceled .* gateway=gateway1/)).toBe(3);
    expect(await proxy.count(/ERROR/)).toBe(0);
  });

  it('shows its own number, and learns the status and the reason of a refusal', async (context) => {
    const bed = bedOf(context);
    const { end, entry } = await ownGateway(bed, 1);
    const { proxy, dial } = await dialing(bed, {}, [entry]);
    for (const status of ['486 Busy Here', '603 Decline', '404 Not Found', '480 Temporarily Unavailable']) {
      const placed = dial(['P-Asserted-Identity: <sip:+493012345@proxy>']);
      const invite = await end.nth(
        'INVITE',
        end.received.filter(({ method }) => method === 'INVITE').length + 1,
      );
      expect(invite.uri).toBe(`sip:${number}@${entry.address}:${entry.port}`);
      expect(invite.first('p-asserted-identity')).toBe('<sip:+493012345@proxy>');
      expect(invite.first('from')).toMatch(/^<sip:caller@/);
      end.answer(invite, status, proxy, ['Reason: Q.850;cause=17']);
      const { answer } = await placed;
      expect([answer.status, answer.first('reason')]).toEqual([Number(status.slice(0, 3)), 'Q.850;cause=17']);
    }
    await proxy.line(/event=dial\.failed .* gateway=gateway1 status=603/);
    expect(proxy.log.filter((line) => line.includes(number.slice(1)))).toEqual([]);
  });

  it('without its + where the trunk wants it so', async (context) => {
    const bed = bedOf(context);
    const { end, entry } = await ownGateway(bed, 1, 'plus=no');
    const { proxy, dial } = await dialing(bed, {}, [entry]);
    const placed = dial();
    const invite = await end.nth('INVITE', 1);
    expect(invite.uri).toBe(`sip:${number.slice(1)}@${entry.address}:${entry.port}`);
    end.answer(invite, '486 Busy Here', proxy);
    expect((await placed).status).toBe(486);
  });

  it('under the name by which the carrier tells its customers apart; the next trunk has none', async (context) => {
    const bed = bedOf(context);
    const [one, two] = [await ownGateway(bed, 1, 'host=shop.pstn.example'), await ownGateway(bed, 2)];
    const { proxy, dial } = await dialing(bed, {}, [one.entry, two.entry]);
    const placed = dial();
    const invite = await one.end.nth('INVITE', 1);
    expect(invite.uri).toBe(`sip:${number}@shop.pstn.example:${one.entry.port}`);
    one.end.answer(invite, '503 Service Unavailable', proxy);
    const next = await two.end.nth('INVITE', 1);
    expect(next.uri).toBe(`sip:${number}@${two.entry.address}:${two.entry.port}`);
    two.end.answer(next, '486 Busy Here', proxy);
    expect((await placed).status).toBe(486);
  });

  it('and is not redirected by a trunk', async (context) => {
    const bed = bedOf(context);
    const { end, entry } = await ownGateway(bed, 1);
    const { proxy, dial } = await dialing(bed, {}, [entry]);
    const placed = dial();
    end.answer(await end.nth('INVITE', 1), '302 Moved', proxy, ['Contact: <sip:+1900@dear.example>']);
    const { answer } = await placed;
    expect([answer.status, answer.all('contact')]).toEqual([480, []]);
  });
});

describe.concurrent('the trunks', () => {
  it('are asked in order: the next one where the first is dead, which then is asked no more', async (context) => {
    const bed = bedOf(context);
    const dead = await bed.gateway();
    await bed.gateway();
    const { proxy, dial } = await dialing(bed, { GATEWAY_TIMEOUT: 500 });
    await dead.kill();
    expect((await dial()).status).toBe(200);
    await proxy.line(/event=gateway\.down gateway=gateway1 address=sip:\S+ reason=no-answer-to-a-call/);
    await proxy.line(/event=dial\.next-trunk .* trunk=carrier-2 gateway=gateway2/);
    expect((await proxy.metrics()).body).toMatch(/^kamailio_gateway_up ?\{gateway="gateway1"\} 0/m);
    expect((await dial()).status).toBe(200);
    expect(await proxy.count(/event=dial\.trunk-failed/)).toBe(1);
    // Whoever asks for the dead one does not get another.
    const { answer } = await dial(['X-Trunk: carrier-1']);
    expect([answer.status, answer.first('retry-after')]).toEqual([503, '5']);
    await proxy.line(/event=dial\.refused reason=no-trunk/);
  });

  it('are asked in order: the next one where the first is full; 503 where all are', async (context) => {
    const bed = bedOf(context);
    await bed.gateway('node-pauses');
    await bed.gateway();
    const { proxy, dial } = await dialing(bed);
    expect((await dial()).status).toBe(200);
    expect((await dial(['X-Trunk: carrier-1'])).status).toBe(503);
    await proxy.line(/event=dial\.refused reason=trunks-failed/);
    // Asked for by name, the second is the first.
    expect((await dial(['X-Trunk: carrier-2'])).status).toBe(200);
    expect(await proxy.count(/event=dial\.trunk-failed/)).toBe(2);
  });

  it('are not asked further once it has rung: nobody is rung up twice for one call', async (context) => {
    const bed = bedOf(context);
    const { end, entry } = await ownGateway(bed, 1);
    const other = await ownGateway(bed, 2);
    const { node, proxy, dial } = await dialing(bed, {}, [entry, other.entry]);
    const placed = dial();
    const invite = await end.nth('INVITE', 1);
    end.answer(invite, '180 Ringing', proxy);
    await node.expect('180', ({ status }) => status === 180);
    end.answer(invite, '503 Gone', proxy);
    // RFC 3261, 16.7: what one server has said of itself is not what all say.
    expect((await placed).status).toBe(500);
    await proxy.line(/event=dial\.failed .* gateway=gateway1 status=503/);
    expect(other.end.received).toEqual([]);
  });

  it('get no more calls a second than theirs', async (context) => {
    const bed = bedOf(context);
    await bed.gateway(undefined, 'rate=2');
    await bed.gateway(undefined, 'rate=1');
    // Counted over an hour, so that no second begins within the test.
    const { proxy, dial } = await dialing(bed, { RATE_SECONDS: 3600 });
    const calls = [];
    while (calls.length < 4) calls.push(await dial());
    expect(calls.map(({ status }) => status)).toEqual([200, 200, 200, 503]);
    expect(calls[3]?.answer.first('retry-after')).toBe('5');
    await proxy.line(/event=dial\.refused reason=rate-of-trunk/);
    expect(await proxy.count(/event=dial\.answered .* gateway=gateway2/)).toBe(1);
    // What is within a call counts for no rate.
    expect(await calls[0]?.hangUp()).toBe(200);
  });

  it('repeat their 200 to the node also when the proxy has forgotten the call, and to nobody else', async (context) => {
    const bed = bedOf(context);
    const { end, entry } = await ownGateway(bed, 1);
    const { node, proxy } = await dialing(bed, {}, [entry]);
    const victim = await bed.end(bed.network.address(13));
    const repeat = (callId: string, to: SipSocket) =>
      end.send(
        [
          'SIP/2.0 200 OK',
          `Via: SIP/2.0/UDP ${proxy.address}:${proxy.port};branch=z9hG4bK${token()}`,
          to.via(),
          'From: <sip:a@node>;tag=1',
          'To: <sip:b@trunk>;tag=2',
          `Call-ID: ${callId}`,
          'CSeq: 1 INVITE',
        ],
        proxy,
      );
    repeat('reflected', victim);
    repeat('repeated', node);
    expect((await node.expect('The 200', () => true)).callId).toBe('repeated');
    expect(victim.received).toEqual([]);
  });
});

describe.concurrent('who may dial what', () => {
  it('a number of no country, a service number, or one outside NUMBERS_OUT is refused', async (context) => {
    const bed = bedOf(context);
    await bed.gateway();
    const { proxy, dial } = await dialing(bed, { NUMBERS_OUT: '"^[+]49[0-9]{5,12}$"' });
    for (const dialled of ['100', '0049301234', '+15551234567', '+49301234%3bx', '+49']) {
      expect([dialled, (await dial([], dialled)).status]).toEqual([dialled, 403]);
    }
    expect(await proxy.count(/event=dial\.refused reason=not-allowed call=- node=node1/)).toBe(5);
    expect((await dial()).status).toBe(200);
    expect(proxy.log.filter((line) => line.includes('5551234567'))).toEqual([]);
  });

  it('a trunk, a gateway and a peer reach no trunk by this proxy, a stranger hears nothing', async (context) => {
    const bed = bedOf(context);
    const { end, entry } = await ownGateway(bed, 1);
    const node = await bed.node();
    const proxy = await bed.proxy({}, [node.entry], undefined, [entry]);
    const target = numberAt(proxy);
    // A trunk's call goes to a node, whatever number it names.
    const trunk = await HeldCall.place(await bed.end(proxy.trunk), proxy, ['X-Trunk: carrier-1'], target);
    expect(await proxy.calls()).toEqual({ gateway1: 0, node1: 1 });
    await trunk.hangUp();
    expect((await HeldCall.place(end, proxy, [], target)).status).toBe(403);
    expect((await HeldCall.place(await bed.end(proxy.peer), proxy, [], target)).status).toBe(403);
    const stranger = await bed.end(proxy.stranger);
    stranger.send(stranger.request('INVITE', proxy, token(), [], target), proxy);
    await proxy.line(/event=stranger\.dropped source=\S+ protocol=udp method=INVITE/);
    expect(stranger.received).toEqual([]);
    expect(end.received.filter(({ method, status }) => method === 'INVITE' && status === 0)).toEqual([]);
  });

  it('a SIP address only of a peer, by no other way than its own', async (context) => {
    const bed = bedOf(context);
    await bed.gateway();
    const peer = await bed.end(bed.network.address(18));
    const victim = await bed.end(bed.network.address(13));
    const { node, proxy } = await dialing(bed);
    const at = ({ local: { address, port } }: SipSocket) => `${address}:${port}`;
    const dial = (target: string) => HeldCall.place(node, proxy, [`Route: <sip:${at(victim)};lr>`], target);
    expect((await dial(`sip:anna@${at(victim)}`)).status).toBe(403);
    await proxy.line(/event=dial\.refused reason=not-a-peer call=- node=node1/);
    const placed = dial(`sip:anna@${at(peer)};maddr=${victim.local.address}`);
    const invite = await peer.nth('INVITE', 1);
    expect(invite.uri).toBe(`sip:anna@${at(peer)};transport=udp`);
    peer.answer(invite, '200 OK', proxy);
    const call = await placed;
    expect(call.status).toBe(200);
    await peer.nth('ACK', 1);
    // The peer speaks within the call, and may end it.
    const hungUp = call.hangUp();
    peer.answer(await peer.nth('BYE', 1), '200 OK', proxy);
    expect(await hungUp).toBe(200);
    expect(victim.received).toEqual([]);
  });

  it('does not forge a log line by the id of its call', async (context) => {
    const bed = bedOf(context);
    await bed.gateway();
    const { proxy, dial } = await dialing(bed);
    expect((await dial(['X-Call-Id: 1 event=dial.answered'])).status).toBe(200);
    expect((await proxy.line(/event=dial\.new/)).match(/event=|call=- /g)).toEqual(['event=', 'call=- ']);
  });
});
