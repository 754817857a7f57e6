import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeMulaw } from '../../../src/audio/g711.ts';
import { encodePcm16 } from '../../../src/audio/pcm.ts';
import type { GrantedCall } from '../../../src/console/access.ts';
import { ConsoleCall, type LineSettings } from '../../../src/console/call.ts';
import type { Explanation } from '../../../src/console/model/explain.ts';
import type { ServerMessage } from '../../../src/dialects/native-messages.ts';

/** What a browser gives a page in place of a connection. */
class SocketDouble {
  static readonly OPEN = 1;
  static made: SocketDouble[] = [];
  readonly url: URL;
  readyState = 0;
  bufferedAmount = 0;
  binaryType = 'blob';
  readonly sent: (string | Uint8Array)[] = [];
  onopen = () => {};
  onmessage = (_event: { data: string | ArrayBuffer }) => {};
  onclose = (_event: { code: number }) => {};

  readonly protocols: string[];

  constructor(url: URL, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
    SocketDouble.made.push(this);
  }

  send(data: string | Uint8Array): void {
    this.sent.push(data);
  }

  close(): void {
    this.readyState = 2;
  }

  // The far end.
  open(): void {
    this.readyState = 1;
    this.onopen();
  }

  tell(message: ServerMessage): void {
    this.onmessage({ data: JSON.stringify(message) });
  }

  drop(code: number): void {
    this.readyState = 3;
    this.onclose({ code });
  }

  get messages(): Record<string, unknown>[] {
    return this.sent.flatMap((data) =>
      typeof data === 'string' ? [JSON.parse(data) as Record<string, unknown>] : [],
    );
  }
}

const newest = () => SocketDouble.made.at(-1)!;
const l16: LineSettings = { encoding: 'l16', sampleRate: 16000 };
let health: () => Promise<Response>;

beforeEach(() => {
  SocketDouble.made = [];
  health = async () => Response.json({ status: 'ok' });
  vi.useFakeTimers();
  vi.stubGlobal('WebSocket', SocketDouble);
  vi.stubGlobal('location', new URL('https://calls.example/console'));
  vi.stubGlobal('fetch', () => health());
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function place(line = l16, phoneNumber = '', granted: GrantedCall | null = null) {
  const did: string[] = [];
  const heard: Int16Array[] = [];
  const ends: Explanation[] = [];
  const call = new ConsoleCall(line, phoneNumber, granted, {
    started: () => did.push('started'),
    received: () => {},
    sent: () => {},
    lost: () => did.push('lost'),
    returned: () => did.push('returned'),
    audio: (samples) => heard.push(samples),
    ended: (why) => ends.push(why),
  });
  return { call, did, heard, ends };
}

/** A call that stands. */
function stand(line = l16) {
  const placed = place(line);
  const socket = newest();
  socket.open();
  socket.tell({ type: 'status', status: 'ready', message: 'Connected', callId: 'x', resumeToken: 'token' });
  socket.tell({ type: 'status', status: 'ready', message: 'The call has started', callId: 'x' });
  return { ...placed, socket };
}

const frame = { sent: new Int16Array(320).fill(1_000), heard: new Int16Array(320) };

describe('a call of the console’s', () => {
  it('goes to the page’s own service, under an id of its own', () => {
    place(l16, '+15550100');
    newest().open();
    newest().tell({ type: 'status', status: 'ready', message: 'Connected', callId: 'x', resumeToken: 't' });
    const [start] = newest().messages;
    expect(newest().url.href).toBe(`wss://calls.example/ws/call-session?callId=${String(start?.callId)}`);
    expect(start).toMatchObject({
      type: 'start_call',
      audio: { transport: 'binary', encoding: 'l16', sampleRate: 16000 },
      metadata: { source: 'console', phoneNumber: '+15550100' },
      features: expect.arrayContaining(['clear', 'mark', 'transcript', 'latency']),
    });
    expect(start).not.toHaveProperty('resumeToken');
  });

  it('that was granted brings its token where no log keeps it, also when it comes back', async () => {
    place(l16, '', { callId: 'granted', userId: 'acme', token: 't' });
    for (const attempt of [1, 2]) {
      const socket = newest();
      expect(SocketDouble.made).toHaveLength(attempt);
      expect(socket.url.href).toBe('wss://calls.example/ws/call-session?callId=granted');
      expect(socket.protocols).toEqual(['call', 'call-token.t']);
      socket.open();
      const ready = { type: 'status', status: 'ready', message: '', callId: 'granted' } as const;
      socket.tell({ ...ready, resumeToken: 'token' });
      expect(socket.messages).toMatchObject([{ callId: 'granted', userId: 'acme' }]);
      socket.tell(ready);
      socket.drop(1006);
      await vi.advanceTimersByTimeAsync(250);
    }
  });

  it('sends no audio before start_call, and then as it was asked for', () => {
    const { call } = place({ encoding: 'mulaw', sampleRate: 8000 });
    const socket = newest();
    call.sendAudio(frame);
    socket.open();
    call.sendAudio(frame);
    expect(socket.sent).toEqual([]);
    socket.tell({ type: 'status', status: 'ready', message: 'Connected', callId: 'x', resumeToken: 't' });
    call.sendAudio(frame);
    expect(socket.sent.at(-1)).toEqual(encodeMulaw(frame.sent));
  });

  it('hears the agent', () => {
    const { heard, socket } = stand();
    socket.onmessage({ data: encodePcm16(Int16Array.of(1, -2, 3)).buffer });
    expect(heard).toEqual([Int16Array.of(1, -2, 3)]);
  });

  it('presses keys, interrupts, tells of marks and hangs up', () => {
    const { call, socket, ends } = stand();
    call.press('5');
    call.interrupt();
    call.markPlayed('m');
    call.hangUp();
    expect(socket.messages.slice(1)).toEqual([
      { type: 'dtmf', digit: '5', durationMs: 160 },
      { type: 'interrupt' },
      { type: 'mark', name: 'm' },
      { type: 'end_call' },
    ]);
    expect(ends).toEqual([]);
    socket.drop(1000);
    expect(ends).toMatchObject([{ kind: 'plain' }]);
  });

  it('is over 3 s after hanging up, though the service says nothing', async () => {
    const { call, ends } = stand();
    call.hangUp();
    await vi.advanceTimersByTimeAsync(2_900);
    expect(ends).toEqual([]);
    await vi.advanceTimersByTimeAsync(200);
    expect(ends).toMatchObject([{ kind: 'plain' }]);
  });

  it('is given up if the service does not answer', async () => {
    const { ends } = place();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(ends).toMatchObject([{ title: 'The service does not answer' }]);
  });

  it('ends where nobody reads any more, instead of filling the memory', () => {
    const { call, socket, ends } = stand();
    socket.bufferedAmount = 600 * 1024;
    call.sendAudio(frame);
    expect(ends).toHaveLength(1);
  });

  it('says once why it ended', () => {
    const { socket, ends } = stand();
    socket.tell({ type: 'error', code: 'TIMEOUT', message: 'The longest time of a call is over' });
    socket.drop(4408);
    socket.drop(1006);
    expect(ends).toMatchObject([{ kind: 'problem', text: expect.stringContaining('TIMEOUT') }]);
  });

  it('that was refused asks the service how it is', async () => {
    health = async () => Response.json({ missingSettings: ['SUPABASE_URL'] });
    const { ends } = place();
    newest().drop(1006);
    await vi.advanceTimersByTimeAsync(0);
    expect(ends).toMatchObject([{ title: 'The service is not set up' }]);
  });

  it('that reaches nobody says so', async () => {
    health = () => Promise.reject(new TypeError('no network'));
    const { ends } = place();
    newest().drop(1006);
    await vi.advanceTimersByTimeAsync(0);
    expect(ends).toMatchObject([{ title: 'The service cannot be reached' }]);
  });
});

describe('a connection that breaks under a call', () => {
  it('is made anew, with the token, and the call goes on', async () => {
    const { did, ends, socket, call } = stand();
    socket.drop(1006);
    expect(did).toEqual(['started', 'lost']);
    await vi.advanceTimersByTimeAsync(250);
    const second = newest();
    expect(second).not.toBe(socket);
    expect(second.url.href).toBe(socket.url.href);
    second.open();
    second.tell({ type: 'status', status: 'ready', message: 'Connected', callId: 'x' });
    expect(second.messages).toMatchObject([{ type: 'start_call', resumeToken: 'token' }]);
    second.tell({ type: 'status', status: 'ready', message: 'The call goes on', callId: 'x' });
    expect(did).toEqual(['started', 'lost', 'returned']);
    call.press('1');
    expect(second.messages.at(-1)).toMatchObject({ type: 'dtmf' });
    expect(ends).toEqual([]);
  });

  it('is tried again for 25 s, then the call is over', async () => {
    const { did, ends, socket } = stand();
    socket.drop(1006);
    for (let second = 0; second < 40 && ends.length === 0; second++) {
      await vi.advanceTimersByTimeAsync(1_000);
      if (newest().readyState === 0) newest().drop(1006);
    }
    expect(SocketDouble.made.length).toBeGreaterThan(5);
    expect(SocketDouble.made.length).toBeLessThan(12);
    expect(ends).toMatchObject([{ title: 'The connection broke' }]);
    expect(did).toEqual(['started', 'lost']);
  });

  it('is not made anew where the service has ended the call', async () => {
    const { ends, socket } = stand();
    socket.drop(1011);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(SocketDouble.made).toHaveLength(1);
    expect(ends).toMatchObject([{ title: 'The service failed' }]);
  });

  it('is not made anew after hanging up', async () => {
    const { call, ends, socket } = stand();
    socket.drop(1006);
    call.hangUp();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(SocketDouble.made).toHaveLength(1);
    expect(ends).toHaveLength(1);
  });
});
