import { env, exports } from 'cloudflare:workers';
import { createClient } from '@supabase/supabase-js';
import { vi } from 'vitest';
import { encodeMulaw } from '../../src/audio/g711.ts';
import type { ClientMessage, ServerMessage } from '../../src/dialects/native-messages.ts';
import type { Env } from '../../src/env.ts';

export const bindings = env as unknown as Env & {
  SUPABASE_URL: string;
  SUPABASE_DIRECT_URL: string;
  SUPABASE_SERVICE_ROLE_KEY: string;
  FAULT_CONTROL_URL: string;
};

/** The database, also while the service cannot reach it. */
export const database = () => createClient(bindings.SUPABASE_DIRECT_URL, bindings.SUPABASE_SERVICE_ROLE_KEY);

/** Sends a request to the Worker. */
export function fetchWorker(path: string, init?: RequestInit): Promise<Response> {
  return (exports as unknown as { default: Fetcher }).default.fetch(`http://localhost${path}`, init);
}

/**
 * The vendor of the tests: stands at `OPENAI_BASE_URL` within this isolate. Requests to anywhere else (the
 * database) go on to the network.
 */
export function scriptVendor(
  script: {
    transcripts?: string[];
    answer?: string;
    /** What the first turns of the caller's are answered with, in place of words: the name of a tool, and its arguments. */
    toolCalls?: [name: string, args: object][];
    /** Functions of the database that do not answer, as when it is down. */
    down?: readonly string[];
  } = {},
) {
  const transcripts = [...(script.transcripts ?? [])];
  const toolCalls = [...(script.toolCalls ?? [])];
  const seen = {
    transcriptions: 0,
    chats: [] as { role: string; content: string }[][],
    spoken: [] as string[],
  };
  const real = globalThis.fetch;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    if (script.down?.some((name) => url.pathname.endsWith(`/rpc/${name}`))) {
      throw new TypeError('the database is down');
    }
    if (url.host !== '127.0.0.1:1') return real(request);
    if (url.pathname.endsWith('/audio/transcriptions')) {
      seen.transcriptions++;
      return Response.json({ text: transcripts.shift() ?? '' });
    }
    if (url.pathname.endsWith('/chat/completions')) {
      const body = await request.json<{ messages: { role: string; content: string }[] }>();
      seen.chats.push(body.messages);
      const chunk = (delta: object, finish: string | null) =>
        `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
      const asked = body.messages.at(-1)?.role === 'user' ? toolCalls.shift() : undefined;
      const usage = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [], usage: { prompt_tokens: 20, completion_tokens: 7, total_tokens: 27 } })}\n\n`;
      const stream = (chunks: string) =>
        new Response(`${chunks}${usage}data: [DONE]\n\n`, {
          headers: { 'Content-Type': 'text/event-stream' },
        });
      if (asked !== undefined) {
        const [name, args] = asked;
        const call = { index: 0, id: `call-${name}`, type: 'function' };
        const wanted = { ...call, function: { name, arguments: JSON.stringify(args) } };
        return stream(chunk({ tool_calls: [wanted] }, null) + chunk({}, 'tool_calls'));
      }
      const text = script.answer ?? 'We are open until six.';
      return stream(chunk({ content: text }, null) + chunk({}, 'stop'));
    }
    const body = await request.json<{ input: string }>();
    seen.spoken.push(body.input);
    // 300 ms of a 500 Hz tone at 24 kHz.
    const tone = Int16Array.from({ length: 7200 }, (_, i) => Math.round(8000 * Math.sin((i * Math.PI) / 24)));
    return new Response(tone.buffer, { headers: { 'Content-Type': 'audio/pcm' } });
  });
  return seen;
}

/** A client of the native dialect inside the test's isolate. */
export class TestClient {
  readonly messages: ServerMessage[] = [];
  closed: { code: number; reason: string } | null = null;
  readonly #socket: WebSocket;
  #changed: (() => void)[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.accept();
    socket.addEventListener('message', ({ data }) => {
      if (typeof data === 'string') this.messages.push(JSON.parse(data) as ServerMessage);
      this.#wake();
    });
    socket.addEventListener('close', ({ code, reason }) => {
      this.closed = { code, reason };
      this.#wake();
    });
  }

  static async connect(path = '/ws/call-session', headers: Record<string, string> = {}): Promise<TestClient> {
    const response = await fetchWorker(path, { headers: { Upgrade: 'websocket', ...headers } });
    if (response.webSocket === null)
      throw new Error(`no WebSocket: ${response.status} ${await response.text()}`);
    return new TestClient(response.webSocket);
  }

  /** On a socket that an object has answered with. */
  static on(socket: WebSocket): TestClient {
    return new TestClient(socket);
  }

  send(message: ClientMessage | string | Uint8Array): void {
    this.#socket.send(
      typeof message === 'object' && !(message instanceof Uint8Array) ? JSON.stringify(message) : message,
    );
  }

  /** Sends `ms` of μ-law, as fast as the socket takes it: the recording queues it in order. */
  audio(ms: number, voice: boolean): void {
    for (let at = 0; at < ms; at += 20) {
      const frame = encodeMulaw(voice ? buzz(at) : new Int16Array(160));
      this.send({
        type: 'audio',
        data: btoa(String.fromCharCode(...frame)),
        format: 'mulaw',
        sampleRate: 8000,
      });
    }
  }

  /** Waits until `test` holds of what has arrived. */
  async until(test: (client: TestClient) => boolean, what: string): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!test(this)) {
      if (Date.now() > deadline)
        throw new Error(
          `${what} did not come; got ${JSON.stringify(this.messages.slice(-8)).slice(0, 1500)}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#changed.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  untilStatus(message: string): Promise<void> {
    return this.until((c) => c.messages.some((m) => m.type === 'status' && m.message === message), message);
  }

  ofType<T extends ServerMessage['type']>(type: T) {
    return this.messages.filter((m): m is Extract<ServerMessage, { type: T }> => m.type === type);
  }

  close(code = 1000): void {
    this.#socket.close(code, 'bye');
  }

  #wake(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const wake of waiting) wake();
  }
}

/** A vowel-like sound that the WebRTC detector takes for voice: harmonics of 140 Hz around a formant. */
function buzz(atMs: number): Int16Array {
  return Int16Array.from({ length: 160 }, (_, n) => {
    const t = atMs / 1000 + n / 8000;
    let value = 0;
    for (let h = 1; h < 20; h++)
      value += Math.sin(2 * Math.PI * 140 * h * t) / (1 + Math.abs(h * 140 - 700) / 400);
    return Math.round(Math.max(-1, Math.min(1, value / 6)) * 12_000);
  });
}
