import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type WebSocket from 'ws';
import { WebSocketServer } from 'ws';
import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import {
  clientMessageSchema,
  type ServerMessage,
  type StartCall,
} from '../../../src/dialects/native-messages.ts';

/** One leg of the double. Audio is μ-law at 8 kHz, as JSON or binary. */
export interface DoubleLeg {
  readonly start: StartCall;
  /** Frames received, with the time of arrival. */
  readonly frames: { samples: Int16Array; at: number }[];
  readonly messages: unknown[];
  send(message: ServerMessage): void;
  sendRaw(data: string | Uint8Array): void;
  /** A sentence of `ms` of a constant tone, in pieces of 100 ms, all at once. */
  say(text: string, ms: number, value?: number): void;
  close(code: number, reason: string): void;
  /** As a network that breaks. */
  terminate(): void;
}

export interface DoubleScript {
  /** HTTP status in place of the upgrade. */
  refuse?: number;
  /** Before `start_call`; default: the first `ready`. */
  onOpen?(send: (message: ServerMessage) => void, close: (code: number, reason: string) => void): void;
  /** `start_call` has come; default: `ready`. */
  onStart?(leg: DoubleLeg): void;
  onFrame?(leg: DoubleLeg, samples: Int16Array, index: number): void;
  onMessage?(leg: DoubleLeg, message: { type: string } & Record<string, unknown>): void;
}

/** A service that speaks the native dialect and does what a test tells it, on loopback. */
export class AgentDouble {
  readonly legs: DoubleLeg[] = [];
  readonly requests: IncomingMessage[] = [];
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  script: DoubleScript = {};

  private constructor(http: Server) {
    this.#http = http;
    http.on('upgrade', (request, socket, head) => {
      this.requests.push(request);
      if (this.script.refuse !== undefined) {
        socket.end(
          `HTTP/1.1 ${this.script.refuse} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
        );
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (accepted) => this.#serve(accepted));
    });
  }

  static async start(): Promise<AgentDouble> {
    const http = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return new AgentDouble(http);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}/ws/call-session`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    await new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
      this.#http.closeAllConnections();
    });
  }

  #serve(socket: WebSocket): void {
    const send = (message: ServerMessage) => socket.send(JSON.stringify(message));
    const close = (code: number, reason: string) => socket.close(code, reason);
    let leg: DoubleLeg | null = null;
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => {
      const bytes = new Uint8Array(data as Buffer);
      if (isBinary) {
        if (leg !== null) this.#frame(leg, bytes);
        return;
      }
      const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
      const parsed = clientMessageSchema.safeParse(json);
      const message = json as { type: string } & Record<string, unknown>;
      if (parsed.success && parsed.data.type === 'start_call') {
        leg = this.#leg(socket, message as unknown as StartCall);
        this.legs.push(leg);
        if (this.script.onStart === undefined) send({ type: 'status', status: 'ready', message: 'started' });
        else this.script.onStart(leg);
      } else if (leg !== null && message.type === 'audio') {
        this.#frame(leg, new Uint8Array(Buffer.from(String(message.data), 'base64')));
      } else if (leg !== null) {
        leg.messages.push(json);
        this.script.onMessage?.(leg, message);
        if (message.type === 'end_call' && this.script.onMessage === undefined) close(1000, 'hangup');
      }
    });
    if (this.script.onOpen !== undefined) this.script.onOpen(send, close);
    else send({ type: 'status', status: 'ready', message: 'hello', callId: 'minted', resumeToken: 'token' });
  }

  #frame(leg: DoubleLeg, bytes: Uint8Array): void {
    const samples = decodeMulaw(bytes);
    leg.frames.push({ samples, at: performance.now() });
    this.script.onFrame?.(leg, samples, leg.frames.length - 1);
  }

  #leg(socket: WebSocket, start: StartCall): DoubleLeg {
    const send = (message: ServerMessage) => socket.send(JSON.stringify(message));
    return {
      start,
      frames: [],
      messages: [],
      send,
      sendRaw: (data) => socket.send(data),
      say(text, ms, value = 4000) {
        const binary = start.audio?.transport === 'binary';
        if (binary) send({ type: 'speech', text });
        for (let at = 0; at < ms; at += 100) {
          const bytes = encodeMulaw(new Int16Array(Math.min(100, ms - at) * 8).fill(value));
          if (binary) socket.send(bytes);
          else {
            const audio = Buffer.from(bytes).toString('base64');
            send({ type: 'audio_response', audio, text: at === 0 ? text : '' });
          }
        }
      },
      close: (code, reason) => socket.close(code, reason),
      terminate: () => socket.terminate(),
    };
  }
}
