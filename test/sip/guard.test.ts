import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import { until } from './support/processes.ts';
import type { SipProxy } from './support/proxy.ts';
import { type SipSocket, token } from './support/sip.ts';
import { placeCalls } from './support/sipp.ts';

/** The addresses that are banned now. */
async function banned(proxy: SipProxy): Promise<string[]> {
  const dump = await proxy.rpc('htable.dump', 'ban');
  return [...dump.matchAll(/name: (\S+)/g)].map(([, address = '']) => address);
}

/** The status that a request outside a call is answered with. */
async function statusOf(socket: SipSocket, proxy: SipProxy, lines: readonly string[]): Promise<number> {
  socket.send(lines, proxy);
  const callId = lines.find((line) => line.startsWith('Call-ID: '))?.slice('Call-ID: '.length);
  const answer = await socket.expect(
    'An answer',
    (message) => message.callId === callId && message.status >= 200,
  );
  return answer.status;
}

describe.concurrent('a stranger', () => {
  it('hears nothing, and is logged once', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    const stranger = await bed.end(proxy.stranger);
    for (const method of ['INVITE', 'OPTIONS', 'REGISTER', 'INVITE', 'NONSENSE']) {
      stranger.send(stranger.request(method, proxy, token()), proxy);
    }
    await until(
      async () => (await proxy.metrics()).body,
      (body) => /^kamailio_strangers_total ?\{reason="unknown"\} 5/m.test(body),
    );
    expect(stranger.received).toEqual([]);
    expect(await proxy.count(/event=stranger\.dropped/)).toBe(1);
    expect(proxy.log.find((line) => line.includes('event=stranger.dropped'))).toContain(
      `source=${proxy.stranger}:${stranger.local.port} protocol=udp method=`,
    );
    expect(await proxy.calls()).toEqual({ node1: 0 });
    expect(await banned(proxy)).toEqual([]);
  });

  it("with a scanner's name is banned at its first word, for a time", async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy({ BAN_SECONDS: 1 });
    const scanner = await bed.end(proxy.stranger);
    scanner.send(
      scanner.request('OPTIONS', proxy, token(), ['User-Agent: Friendly-Scanner event=forged']),
      proxy,
    );
    const line = await proxy.line(/event=stranger\.banned/);
    expect(line).toContain(`source=${proxy.stranger}:`);
    expect(line).toContain('reason=scanner seconds=1 agent=Friendly-Scanner%20event%3dforged');
    await until(
      () => banned(proxy),
      (addresses) => addresses.length === 0,
    );
    // Unknown again, not banned any more.
    scanner.send(scanner.request('OPTIONS', proxy, token()), proxy);
    await proxy.line(/event=stranger\.dropped/);
    expect(scanner.received).toEqual([]);
  });

  it('does not get an answer of its own sent on to whom its second Via names', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    const node = await bed.node();
    const proxy = await bed.proxy();
    const victim = await bed.end(bed.network.address(13));
    const reply = (callId: string) => [
      'SIP/2.0 200 OK',
      `Via: SIP/2.0/UDP ${proxy.address}:${proxy.port};branch=z9hG4bK${token()}`,
      victim.via(),
      'From: <sip:caller@trunk>;tag=1',
      'To: <sip:100@node>;tag=2',
      `Call-ID: ${callId}`,
      'CSeq: 1 INVITE',
    ];
    const stranger = await bed.end(proxy.stranger);
    stranger.send(reply('reflected'), proxy);
    await until(
      () => proxy.rpc('stats.get_statistics', 'drop_replies'),
      (statistic) => statistic.includes('drop_replies = 1'),
    );
    expect(victim.received).toEqual([]);
    // A node repeats its 200 until it has the ACK, also when the transaction is gone.
    const nodeEnd = await bed.end(node.entry.address);
    nodeEnd.send(reply('repeated'), proxy);
    expect((await victim.expect('The 200', () => true)).callId).toBe('repeated');
  });

  it('who floods is banned, and nobody else', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    const other = bed.network.address(13);
    await placeCalls({ scenario: 'flood', from: proxy.stranger, to: proxy, calls: 300, rate: 1000 });
    await proxy.line(/event=stranger\.banned source=\S+ protocol=udp reason=flood seconds=3600/);
    expect(await banned(proxy)).toEqual([proxy.stranger]);
    const bystander = await bed.end(other);
    bystander.send(bystander.request('OPTIONS', proxy, token()), proxy);
    await proxy.line(new RegExp(`event=stranger\\.dropped source=${other}:`));
    expect(await banned(proxy)).toEqual([proxy.stranger]);
    // The trunk calls as before, also with a flood's pace and a scanner's name.
    const trunk = await bed.end(proxy.trunk);
    for (let ping = 0; ping < 200; ping += 1) {
      const options = trunk.request('OPTIONS', proxy, token(), ['User-Agent: sipvicious']);
      expect(await statusOf(trunk, proxy, options)).toBe(200);
    }
    expect((await HeldCall.place(trunk, proxy)).status).toBe(200);
  });

  it('with ever new addresses fills neither the log nor the table of bans', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy({ STRANGERS_LOGGED: 1, BANS: 1, RATE_SECONDS: 3600 });
    for (const host of [13, 15, 16, 17]) {
      const forged = await bed.end(bed.network.address(host));
      const agent = host > 15 ? ['User-Agent: sipvicious'] : [];
      forged.send(forged.request('OPTIONS', proxy, token(), agent), proxy);
    }
    await until(
      async () => (await proxy.metrics()).body,
      (body) => /reason="unknown"\} 2/.test(body) && /reason="scanner"\} 2/.test(body),
    );
    expect(await proxy.count(/event=stranger\.dropped/)).toBe(1);
    expect(await proxy.count(/event=stranger\.banned/)).toBe(1);
    expect(await banned(proxy)).toHaveLength(1);
  });

  it('may not read the metrics, nor speak SIP there', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    expect((await proxy.metrics('/metrics', proxy.stranger)).status).toBe(403);
    await proxy.line(new RegExp(`event=http\\.refused source=${proxy.stranger}:`));
    expect((await proxy.metrics('/')).status).toBe(404);
    expect((await proxy.metrics()).status).toBe(200);
    // HTTP on the port of SIP is refused to the allowed address too.
    const http = connect({ host: proxy.address, port: proxy.port, localAddress: proxy.address });
    http.write('GET /metrics HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n');
    const [answer] = (await once(http, 'data')) as [Buffer];
    http.destroy();
    expect(answer.toString('utf8')).toMatch(/^HTTP\/1\.1 403 /);
    // A trunk's SIP on the port of the metrics is not answered: the answer that comes is that to the GET behind it.
    const sip = connect({ host: proxy.address, port: proxy.metricsPort, localAddress: proxy.trunk });
    const trunk = await bed.end(proxy.trunk);
    const options = [...trunk.request('OPTIONS', proxy, token()), 'Content-Length: 0', '', ''].join('\r\n');
    sip.write(`${options.replace('SIP/2.0/UDP', 'SIP/2.0/TCP')}GET /metrics HTTP/1.1\r\nHost: proxy\r\n\r\n`);
    const [first] = (await once(sip, 'data')) as [Buffer];
    sip.destroy();
    expect(first.toString('utf8')).toMatch(/^HTTP\/1\.1 403 /);
  });
});

describe.concurrent('a trunk', () => {
  it('is told what is wrong with its request', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    const trunk = await bed.end(proxy.trunk);
    const ask = (method: string, change: (line: string) => string) =>
      statusOf(trunk, proxy, trunk.request(method, proxy, token()).map(change));
    const same = (line: string) => line;
    expect(await ask('REGISTER', same)).toBe(405);
    expect(await ask('INVITE', (line) => line.replace('Max-Forwards: 70', 'Max-Forwards: 0'))).toBe(483);
    expect(await ask('INVITE', (line) => line.replace('CSeq: 1 INVITE', 'CSeq: 1 BYE'))).toBe(400);
    expect(await ask('INVITE', (line) => line.replace(/^(To: .*)$/, '$1\r\nProxy-Require: teleport'))).toBe(
      420,
    );
    expect(await ask('INVITE', (line) => line.replace('INVITE sip:100@', 'INVITE sip:'))).toBe(484);
    // In a call that nobody knows.
    expect(await ask('BYE', (line) => line.replace(/^(To: .*)$/, '$1;tag=unknown'))).toBe(481);
    expect(await proxy.count(/event=request\.malformed source=\S+ method=INVITE/)).toBe(2);
    expect(await proxy.calls()).toEqual({ node1: 0 });
  });

  it('reaches nobody but the nodes: a forged Route makes no relay', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    const [trunk, victim] = [await bed.end(proxy.trunk), await bed.end(bed.network.address(13))];
    const route = `Route: <sip:${proxy.address}:${proxy.port};lr>`;
    const target = `sip:victim@${victim.local.address}:${victim.local.port}`;
    const forged = trunk
      .request('BYE', proxy, token(), [route])
      .map((line) => line.replace(/^BYE \S+/, `BYE ${target}`).replace(/^(To: .*)$/, '$1;tag=1'));
    expect(await statusOf(trunk, proxy, forged)).toBe(403);
    await proxy.line(/event=request\.not-for-a-node source=\S+ trunk=carrier-a method=BYE/);
    expect(victim.received).toEqual([]);
  });

  it('reaches nobody but the nodes: not by a second Route behind the proxy’s own, either', async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    const node = await bed.node();
    const proxy = await bed.proxy();
    const [trunk, victim] = [await bed.end(proxy.trunk), await bed.end(bed.network.address(13))];
    const routes = [
      `Route: <sip:${proxy.address}:${proxy.port};lr>`,
      `Route: <sip:${victim.local.address}:${victim.local.port};lr>`,
    ];
    const forged = trunk
      .request('BYE', proxy, token(), routes)
      .map((line) =>
        line
          .replace(/^BYE \S+/, `BYE sip:100@${node.entry.address}:${node.entry.port}`)
          .replace(/^(To: .*)$/, '$1;tag=1'),
      );
    expect(await statusOf(trunk, proxy, forged)).toBe(403);
    await proxy.line(/event=request\.not-for-a-node source=\S+ trunk=carrier-a method=BYE/);
    expect(victim.received).toEqual([]);
  });

  it('does not forge a log line by what it sends', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    const trunk = await bed.end(proxy.trunk);
    const invite = trunk
      .request('INVITE', proxy, `${token()} event=call.ended`)
      .map((line) => line.replace('sip:100@', 'sip:1%0aevent=node.down@'));
    trunk.send(invite, proxy);
    const line = await proxy.line(/event=call\.new/);
    expect(line.match(/event=/g)).toHaveLength(1);
  });
});

describe.concurrent('a node', () => {
  it('may not place a call here', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    const node = await bed.node();
    const proxy = await bed.proxy();
    const dialer = await bed.end(node.entry.address);
    expect(await statusOf(dialer, proxy, dialer.request('INVITE', proxy, token()))).toBe(403);
  });
});

describe.concurrent('new calls', () => {
  it('beyond the rate of a trunk are refused, those of another trunk are not', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    // Counted over an hour, so that no second begins within the test.
    const proxy = await bed.proxy({ RATE_PER_TRUNK: 5, RATE_TOTAL: 7, RATE_SECONDS: 3600 });
    await placeCalls({ scenario: 'caller', from: proxy.trunk, to: proxy, calls: 8, rate: 200 });
    const counts = () =>
      Promise.all([
        proxy.count(/event=call\.new/),
        proxy.count(/event=call\.refused reason=rate-of-trunk /),
        proxy.count(/event=call\.refused reason=rate /),
      ]);
    expect(await counts()).toEqual([5, 3, 0]);
    const otherTrunk = await bed.end(bed.network.address(11));
    const calls = [];
    while (calls.length < 3) calls.push(await HeldCall.place(otherTrunk, proxy));
    expect(calls.map(({ status }) => status)).toEqual([200, 200, 503]);
    expect(calls[2]?.answer.first('retry-after')).toBe('5');
    expect(await counts()).toEqual([7, 3, 1]);
    expect((await proxy.metrics()).body).toMatch(
      /^kamailio_calls_refused_total ?\{reason="rate-of-trunk"\} 3/m,
    );
    // What is within a call counts for no rate.
    expect(await calls[0]?.hangUp()).toBe(200);
  });
});
