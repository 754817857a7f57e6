import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MediaNode, startMediaNode } from '../support/media-node/media-node.ts';
import { ServiceDouble } from '../support/media-node/service-double.ts';
import { SipEndpoint, token } from '../support/sip/endpoint.ts';
import { type Endpoint, SipMessage } from '../support/sip/message.ts';
import { CallRefused, callerNumber, Phone, type PhoneCall } from '../support/sip/phone.ts';
import { pcmuSdp } from '../support/sip/sdp.ts';
import { freePort, LoopbackNetwork } from './support/processes.ts';

/**
 * What the proxy and the service see of a media node. The double and a real FreeSWITCH (`FREESWITCH_BIN`) pass the same tests: what the double
 * is trusted for is held against the real one here.
 */
const network = new LoopbackNetwork();
const [proxy, stranger, address] = [network.address(0), network.address(1), network.address(2)];
const ours = { number: '+4930901820', userId: 'user-1', campaignId: 'campaign-1' };
const nodeToken = 'ach_node_test';
const name = `node-${process.pid}`;
let service: ServiceDouble;
let node: MediaNode;
let at: Endpoint;

beforeAll(async () => {
  service = await ServiceDouble.start();
  at = { address, port: await freePort(address) };
  node = await startMediaNode({
    ...at,
    name,
    proxies: [proxy],
    service: `ws://127.0.0.1:${service.port}`,
    token: nodeToken,
    numbers: [ours],
    settings: {
      event_socket_port: `${await freePort('127.0.0.1')}`,
      reopen_seconds: '3',
      // No way out: it neither asks for calls to place nor offers to connect callers.
      proxy: '',
    },
  });
});

afterAll(async () => {
  await node?.stop();
  service?.close();
});

/** Calls the node as the proxy does. */
async function place(
  callId: string = token(),
  options: { from?: string; number?: string; sdp?: (local: Endpoint) => string } = {},
): Promise<{ call: PhoneCall; callId: string; phone: Phone }> {
  const { from = proxy, number = ours.number, sdp = pcmuSdp } = options;
  const phone = await Phone.open(from);
  const headers = [
    ['X-Call-Id', callId],
    ['X-Trunk', 'trunk-a'],
  ] as const;
  try {
    return { call: await phone.call(at, number, { headers, sdp }), callId, phone };
  } catch (error) {
    phone.close();
    throw error;
  }
}

async function refusal(options: Parameters<typeof place>[1]): Promise<number> {
  const error: unknown = await place(token(), options).catch((thrown: unknown) => thrown);
  if (error instanceof CallRefused) return error.status;
  throw error;
}

/** So many milliseconds of a tone. */
function tone(ms: number): Int16Array {
  return Int16Array.from({ length: 8 * ms }, (_, i) => Math.round(8_000 * Math.sin(i / 3)));
}

describe.concurrent('a media node', () => {
  it('opens a WebSocket with its token, and introduces the call', async () => {
    const { call, callId, phone } = await place();
    const socket = await service.socket(callId);
    const { url, headers } = socket.request;
    expect(url).toMatch(new RegExp(`^/ws/freeswitch\\?callId=${callId}&features=dtmf$`));
    expect(headers).toMatchObject({
      authorization: `Bearer ${nodeToken}`,
      origin: `ws://127.0.0.1:${service.port}`,
      'user-agent': expect.stringMatching(/^ixwebsocket\//),
    });
    expect(headers).not.toHaveProperty('sec-websocket-extensions');
    expect(await socket.text(0)).toEqual({
      type: 'start_call',
      callId,
      userId: ours.userId,
      campaignId: ours.campaignId,
      from: callerNumber,
      to: ours.number,
      sampleRate: 8000,
      sip: { callId: call.sipCallId, trunk: 'trunk-a', node: name },
    });
    // Frames of 20 ms, L16 at 8 kHz.
    await socket.until(() => socket.binary.length >= 20, 'audio');
    expect(new Set(socket.binary)).toEqual(new Set([320]));
    await call.hangUp();
    await socket.until(() => socket.closeCode !== null, 'the close');
    expect(socket.closeCode).toBe(1000);
    phone.close();
  });

  it('plays what it is sent, and nothing of it after the service has cleared it', async () => {
    const { call, callId, phone } = await place();
    const socket = await service.socket(callId);
    socket.say(tone(500));
    const from = await call.sound();
    const to = await call.quiet(300);
    expect(to - from).toBeGreaterThan(480);
    expect(to - from).toBeLessThan(540);
    socket.say(tone(10_000));
    const second = await call.sound();
    socket.tell({ type: 'input_audio_buffer.speech_started' });
    const cleared = await call.quiet(300);
    expect(cleared - second).toBeLessThan(9_000);
    socket.say(tone(500));
    await call.sound();
    await call.hangUp();
    phone.close();
  });

  it('tells of the keys that are pressed, each once', async () => {
    const { call, callId, phone } = await place();
    const socket = await service.socket(callId);
    await socket.text(0);
    call.press('7#');
    const first = await socket.text(1);
    const second = await socket.text(2);
    expect([first, second]).toEqual([
      { type: 'dtmf', digit: '7', duration: expect.any(Number) },
      { type: 'dtmf', digit: '#', duration: expect.any(Number) },
    ]);
    expect(Math.abs((first.duration as number) - 1_280)).toBeLessThanOrEqual(160);
    await call.hangUp();
    phone.close();
  });

  it('reports with its token how a call ended', async () => {
    const { call, callId, phone } = await place();
    await service.socket(callId);
    await call.hangUp();
    expect(await service.hangup(callId)).toEqual({
      token: nodeToken,
      body: { callId, cause: 'NORMAL_CLEARING', q850: 16, by: 'recv_bye', seconds: expect.any(Number) },
    });
    phone.close();
  });

  it('hangs up when the service says so', async () => {
    const { call, callId, phone } = await place();
    (await service.socket(callId)).tell({ type: 'hangup' });
    expect((await call.ended()).first('Reason')).toBe('Q.850;cause=16;text="NORMAL_CLEARING"');
    expect((await service.hangup(callId)).body).toMatchObject({ cause: 'NORMAL_CLEARING', by: 'send_bye' });
    phone.close();
  });

  it('hangs up when the socket is closed with a code after which a call is over', async () => {
    const { call, callId, phone } = await place();
    const socket = await service.socket(callId);
    await socket.text(0);
    socket.close(4403);
    expect((await call.ended()).first('Reason')).toContain('cause=16;');
    await node.line(new RegExp(`event=call\\.released call=${callId} cause=NORMAL_CLEARING why=closed-4403`));
    phone.close();
  });

  it('hangs up when the service turns it away for good', async () => {
    const callId = token();
    service.refuse(callId, 401);
    const { call, phone } = await place(callId);
    expect((await call.ended()).first('Reason')).toContain('cause=41;');
    await node.line(new RegExp(`event=call\\.released call=${callId} .*why=status-401`));
    phone.close();
  });

  it('opens a lost WebSocket again with what the service gave it to come back by', async () => {
    const { call, callId, phone } = await place();
    const socket = await service.socket(callId);
    await socket.text(0);
    socket.tell({ type: 'accepted', callId, resumeToken: 'the-way-back' });
    // An answer to a key says that what came before it was taken.
    call.press('1');
    await socket.text(1);
    socket.close(1011);
    const again = await service.socket(callId, 1);
    expect(await again.text(0)).toMatchObject({ type: 'start_call', callId, resumeToken: 'the-way-back' });
    again.say(tone(300));
    await call.sound();
    await call.hangUp();
    phone.close();
  });

  it('gives a call up whose WebSocket does not come back, and the caller hears the hold line until then', async () => {
    const { call, callId, phone } = await place();
    const socket = await service.socket(callId);
    await socket.text(0);
    service.refuse(callId, 503);
    socket.close(1011);
    await call.sound();
    expect((await call.ended()).first('Reason')).toContain('cause=41;');
    expect((await service.hangup(callId)).body).toMatchObject({
      cause: 'NORMAL_TEMPORARY_FAILURE',
      q850: 41,
    });
    // At once, and again after a second: by whole seconds, so one more may be in time.
    const lost = node.log.filter((line) => line.includes(`event=stream.lost call=${callId} `));
    expect(lost.length).toBeGreaterThanOrEqual(2);
    phone.close();
  });

  it('takes calls of the proxy alone, for its numbers, with a codec that it knows, and answers pings', async () => {
    expect(await refusal({ from: stranger })).toBe(403);
    expect(await refusal({ number: '+4930' })).toBe(404);
    const g729 = (local: Endpoint) =>
      pcmuSdp(local).replace('AVP 0 ', 'AVP 18 ').replace('0 PCMU', '18 G729');
    expect(await refusal({ sdp: g729 })).toBe(488);
    const end = await SipEndpoint.open(proxy, () => {});
    const ping = new SipMessage(`OPTIONS sip:${at.address}:${at.port} SIP/2.0`, [
      end.via(),
      ['From', `<sip:proxy@${proxy}>;tag=${token()}`],
      ['To', `<sip:${at.address}>`],
      ['Call-ID', token()],
      ['CSeq', '1 OPTIONS'],
      ['Contact', end.contact],
      ['Max-Forwards', '70'],
    ]);
    expect((await end.request(ping, at)).status).toBe(200);
    end.close();
  });
});
