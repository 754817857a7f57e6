import { once } from 'node:events';
import { connect, type SecureVersion } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { Bed } from './support/bed.ts';
import { HeldCall } from './support/held-call.ts';
import { token } from './support/sip.ts';

describe.concurrent('TLS', () => {
  it('carries a call, and what is within it', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    const caller = await bed.tlsEnd(proxy.trunk, proxy);
    const to = { address: proxy.address, port: proxy.tlsPort };
    expect((await caller.options(to))?.status).toBe(200);
    const call = await HeldCall.place(caller, to);
    expect(call.status).toBe(200);
    expect(await proxy.calls()).toEqual({ node1: 1 });
    expect(await call.hangUp()).toBe(200);
    await proxy.untilIdle();
  });

  it("brings the agent's BYE back on the connection that the trunk has opened", async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node(undefined, 'node-hangs-up');
    const proxy = await bed.proxy();
    const call = await HeldCall.place(await bed.tlsEnd(proxy.trunk, proxy), {
      address: proxy.address,
      port: proxy.tlsPort,
    });
    await call.ended();
    await proxy.line(/event=call\.ended by=node node=node1/);
    await proxy.untilIdle();
  });

  it('is no way around the list of trunks: a stranger hears nothing, and its connection is closed', async ({
    onTestFinished,
  }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    const stranger = await bed.tlsEnd(proxy.stranger, proxy);
    stranger.send(stranger.request('INVITE', proxy, token()), proxy);
    await proxy.line(/event=stranger\.dropped source=\S+ protocol=tls method=INVITE/);
    await stranger.closed;
    expect(stranger.received).toEqual([]);
  });

  it('is TLS 1.2 or newer', async ({ onTestFinished }) => {
    const bed = new Bed({ onTestFinished });
    await bed.node();
    const proxy = await bed.proxy();
    const speak = async (version: SecureVersion): Promise<string> => {
      const socket = connect({
        ...{ host: proxy.address, port: proxy.tlsPort, rejectUnauthorized: false },
        ...{ minVersion: version, maxVersion: version },
        // Node's own rules would refuse 1.1 before it is sent.
        ciphers: 'ALL:@SECLEVEL=0',
      });
      try {
        await once(socket, 'secureConnect');
        return 'spoken';
      } catch (error) {
        return error instanceof Error && 'code' in error ? `${error.code}` : 'unknown';
      } finally {
        socket.destroy();
      }
    };
    expect(await speak('TLSv1.1')).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    expect(await speak('TLSv1.2')).toBe('spoken');
    expect(await speak('TLSv1.3')).toBe('spoken');
  });
});
