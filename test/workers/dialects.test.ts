import { reset } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { freeSwitch, jambonz, plivo, twilio } from '../support/dialect-samples.ts';
import { bearer, guardedService } from './auth-support.ts';
import { database, fetchWorker, scriptVendor } from './support.ts';

/** Carriers and switches at the Worker's own door: the upgrade, the object behind it, the row that is left. */
beforeAll(() => reset());
afterEach(() => vi.restoreAllMocks());

interface Leg {
  socket: WebSocket;
  protocol: string | null;
  texts: Record<string, unknown>[];
  audioBytes(): number;
  closed(): Promise<{ code: number; reason: string }>;
}

async function open(path: string, headers: Record<string, string> = {}): Promise<Leg> {
  return legOn(await fetchWorker(path, { headers: { Upgrade: 'websocket', ...headers } }));
}

async function legOn(response: Response): Promise<Leg> {
  const socket = response.webSocket;
  if (socket === null) throw new Error(`no WebSocket: ${response.status} ${await response.text()}`);
  socket.binaryType = 'arraybuffer';
  const texts: Record<string, unknown>[] = [];
  let bytes = 0;
  socket.addEventListener('message', ({ data }) => {
    if (typeof data === 'string') texts.push(JSON.parse(data) as Record<string, unknown>);
    else bytes += (data as ArrayBuffer).byteLength;
  });
  const closing = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }));
  });
  socket.accept();
  const protocol = response.headers.get('Sec-WebSocket-Protocol');
  return { socket, protocol, texts, audioBytes: () => bytes, closed: () => closing };
}

const send = ({ socket }: Leg, ...messages: (object | Uint8Array)[]) => {
  for (const message of messages) {
    socket.send(message instanceof Uint8Array ? message : JSON.stringify(message));
  }
};

const until = (test: () => boolean) =>
  vi.waitFor(() => expect(test()).toBe(true), { timeout: 10_000, interval: 20 });

async function endedRowOf(callId: string) {
  return await vi.waitFor(
    async () => {
      const { data } = await database().from('call_logs').select('*').eq('call_id', callId).maybeSingle();
      expect(data?.end_reason).toBeTruthy();
      return data as Record<string, unknown>;
    },
    { timeout: 15_000, interval: 100 },
  );
}

describe('a leg of another dialect', () => {
  it('calls under the carrier’s id, and hangs up with the carrier’s word', async () => {
    scriptVendor();
    const leg = await open('/ws/twilio');
    send(leg, twilio.connected, twilio.start, twilio.media(1), twilio.media(2));
    await until(() => leg.texts.some(({ event }) => event === 'media'));
    send(leg, twilio.stop);
    expect(await leg.closed()).toEqual({ code: 1000, reason: 'hangup' });
    expect(await endedRowOf(twilio.start.start.callSid)).toMatchObject({
      user_id: 'user-1',
      campaign_id: 'spring',
      phone_number: '+15550100',
      end_reason: 'hangup',
      metadata: { carrier: { dialect: 'twilio', streamSid: twilio.start.streamSid } },
    });
  });

  it('hangs up by closing its socket, where it has no word for it', async () => {
    scriptVendor();
    const leg = await open('/ws/plivo');
    send(leg, plivo.start);
    await until(() => leg.texts.some(({ event }) => event === 'playAudio'));
    leg.socket.close(1000);
    expect(await endedRowOf(plivo.start.start.callId)).toMatchObject({ end_reason: 'hangup' });
  });

  it('is answered with its subprotocol', async () => {
    scriptVendor();
    const offered = { 'Sec-WebSocket-Protocol': 'audio.jambonz.org' };
    const leg = await open('/ws/auto', offered);
    expect(leg.protocol).toBe('audio.jambonz.org');
    send(leg, jambonz.attributes, new Uint8Array(640));
    await until(() => leg.audioBytes() > 0);
    leg.socket.close(1000);
    await endedRowOf(jambonz.attributes.callSid);
    const own = await open('/ws/mod_audio_fork', { 'Sec-WebSocket-Protocol': 'my.own' });
    expect(own.protocol).toBe('my.own');
    own.socket.close(1000);
    const none = await open('/ws/twilio');
    expect(none.protocol).toBeNull();
    none.socket.close(1000);
  });

  it('is turned away in its own way where nobody is named for whom it calls', async () => {
    const leg = await open('/ws/freeswitch');
    send(leg, { type: 'start_call', from: '+15550100' });
    expect(await leg.closed()).toEqual({ code: 4403, reason: 'refused' });
    expect(leg.texts.map(({ type }) => type)).toEqual(['accepted', 'error', 'hangup']);
    expect(leg.texts[1]).toMatchObject({ code: 'UNAUTHORIZED' });
  });

  it('comes back to its call with the token that it was told, audio first', async () => {
    scriptVendor();
    const callId = crypto.randomUUID();
    const first = await open(`/ws/freeswitch?callId=${callId}&userId=user-1`);
    send(first, new Uint8Array(320));
    await until(() => first.audioBytes() > 0);
    const { resumeToken } = first.texts.find(({ type }) => type === 'accepted') as { resumeToken: string };
    // As a broken line ends.
    first.socket.close(4000);
    const second = await open(`/ws/freeswitch?callId=${callId}`);
    // The hook's text tells of the token here, after the first frames.
    send(second, new Uint8Array(320), new Uint8Array(320), {
      ...freeSwitch.start,
      call_id: callId,
      resumeToken,
    });
    await until(() => second.texts.some(({ type }) => type === 'resumed'));
    expect(second.texts.filter(({ type }) => type === 'error')).toEqual([]);
    send(second, { type: 'hangup' });
    expect(await second.closed()).toEqual({ code: 1000, reason: 'hangup' });
    expect(await endedRowOf(callId)).toMatchObject({ end_reason: 'hangup' });
  });

  it('of another user does not come back to it', async () => {
    scriptVendor();
    const callId = crypto.randomUUID();
    const first = await open(`/ws/freeswitch?callId=${callId}&userId=user-1`);
    send(first, new Uint8Array(320));
    await until(() => first.audioBytes() > 0);
    const second = await open(`/ws/freeswitch?callId=${callId}&userId=user-1`);
    send(second, freeSwitch.start);
    expect((await second.closed()).code).toBe(4409);
    first.socket.close(1000);
    await endedRowOf(callId);
  });

  it.each(['/ws/other', '/ws/', '/ws/twilio/more'])('is not found at %s', async (path) => {
    const response = await fetchWorker(path, { headers: { Upgrade: 'websocket' } });
    expect(response.status).toBe(404);
  });

  it('wants an upgrade', async () => {
    expect((await fetchWorker('/ws/twilio')).status).toBe(426);
  });
});

describe('where everybody has to prove who they are', () => {
  const { customParameters: _, ...start } = twilio.start.start;
  const nameless = { ...twilio.start, start };

  it('a carrier that sets no header has a single-call token in its path, which names whose call it is', async () => {
    const service = await guardedService();
    scriptVendor();
    const minted = await service.ask('/api/v1/calls', {
      method: 'POST',
      headers: bearer(service.tokens.service),
      body: JSON.stringify({ userId: 'user-9', campaignId: 'autumn' }),
    });
    const { callId, token } = await minted.json<{ callId: string; token: string }>();
    const leg = await legOn(await service.upgrade(`/ws/twilio/${token}`));
    send(leg, twilio.connected, nameless);
    await until(() => leg.texts.some(({ event }) => event === 'media'));
    send(leg, twilio.stop);
    expect(await endedRowOf(callId)).toMatchObject({ user_id: 'user-9', campaign_id: 'autumn' });
    expect((await service.upgrade(`/ws/twilio/${token}`)).status).toBe(401);
  });

  it('a node’s token, as HTTP Basic sends it, opens a socket, and calls for the node’s users alone', async () => {
    const service = await guardedService();
    const headers = { Authorization: `Basic ${btoa(`fs-1:${service.tokens.node}`)}` };
    const leg = await legOn(await service.upgrade('/ws/twilio', headers));
    const customParameters = { userId: 'user-2' };
    send(leg, { ...nameless, start: { ...start, customParameters } });
    expect(await leg.closed()).toEqual({ code: 4403, reason: 'refused' });
  });

  it.each(['/ws/twilio', '/ws/auto', '/ws/freeswitch?userId=user-1', '/ws/twilio/ach_call_made.up'])(
    'nothing opens %s without a token',
    async (path) => {
      const service = await guardedService();
      const warnings = vi.spyOn(console, 'warn').mockImplementation(() => {});
      expect((await service.upgrade(path)).status).toBe(401);
      for (const [line] of warnings.mock.calls) expect(String(line)).not.toContain('made.up');
    },
  );
});
