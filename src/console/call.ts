import { decodeMulaw, encodeMulaw } from '../audio/g711.ts';
import { decodePcm16, encodePcm16 } from '../audio/pcm.ts';
import type { ClientMessage, NativeFeature } from '../dialects/native-messages.ts';
import type { GrantedCall } from './access.ts';
import type { LineFrame } from './audio/line-audio.ts';
import { type Explanation, explainClose, explainRefusal, isFinal } from './model/explain.ts';
import { parseServerMessage, type ReceivedMessage } from './model/server-message.ts';

/** How the line sounds. */
export interface LineSettings {
  encoding: 'mulaw' | 'l16';
  sampleRate: 8000 | 16000;
}

export interface CallListener {
  /** The call stands. */
  started(callId: string): void;
  received(message: ReceivedMessage): void;
  sent(message: ClientMessage): void;
  /** The connection broke; it is tried again. */
  lost(): void;
  /** It stands again, and the call goes on. */
  returned(): void;
  /** Audio of the agent's. */
  audio(samples: Int16Array<ArrayBuffer>): void;
  /** Once, and nothing after it. */
  ended(why: Explanation): void;
}

const features: NativeFeature[] = ['clear', 'mark', 'transcript', 'latency', 'transfer', 'dtmf'];

/** Longest wait for the connection and for the service's word that the call has started. */
const SET_UP_MS = 15_000;
/** Longest wait for the service to close after `end_call`. */
const CLOSE_MS = 3_000;
const HEALTH_MS = 5_000;
/** A lost connection is tried again so long: the service waits for 30 s (`RESUME_GRACE`). */
const RETURN_MS = 25_000;
const RETRY_MS = [250, 1_000, 2_000, 4_000];
/** Unsent bytes above which nobody reads any more: 16 s of 16-bit audio at 16 kHz. */
const BACKLOG_BYTES = 512 * 1024;
/** A key pressed by hand. */
const DIGIT_MS = 160;

/** One call over `/ws/call-session`: the native dialect with binary frames. A broken connection is made anew. */
export class ConsoleCall {
  readonly #line: LineSettings;
  readonly #phoneNumber: string;
  readonly #listener: CallListener;
  readonly #callId: string;
  /** The right to this call; null: the service asks for none. */
  readonly #granted: GrantedCall | null;
  #socket: WebSocket;
  #state: 'connecting' | 'connected' | 'starting' | 'active' | 'over' = 'connecting';
  /** By it the service knows who comes back. */
  #resumeToken: string | null = null;
  /** When the connection of a call that stood was lost. */
  #lostAt: number | null = null;
  #tries = 0;
  #lastError: { code: string; message: string } | null = null;
  #timer: ReturnType<typeof setTimeout>;

  constructor(line: LineSettings, phoneNumber: string, granted: GrantedCall | null, listener: CallListener) {
    this.#callId = granted?.callId ?? `console-${crypto.randomUUID()}`;
    this.#granted = granted;
    this.#line = line;
    this.#phoneNumber = phoneNumber;
    this.#listener = listener;
    this.#socket = this.#connect();
    this.#timer = setTimeout(() => this.#giveUp(), SET_UP_MS);
  }

  /** One frame of the microphone's, at the line's rate. Goes nowhere before the call has started. */
  sendAudio({ sent }: LineFrame): void {
    if (this.#state !== 'active' && this.#state !== 'starting') return;
    this.#put(this.#line.encoding === 'mulaw' ? new Uint8Array(encodeMulaw(sent)) : encodePcm16(sent));
  }

  /** Everything up to the service's mark was played. */
  markPlayed(name: string): void {
    this.#send({ type: 'mark', name });
  }

  /** @param digit one of `0-9 * # A-D`. */
  press(digit: string): void {
    this.#send({ type: 'dtmf', digit, durationMs: DIGIT_MS });
  }

  /** How a transfer goes that the agent has asked for. */
  transfer(report: Extract<ClientMessage, { type: 'transfer' }>): void {
    this.#send(report);
  }

  /** Silences the agent. */
  interrupt(): void {
    this.#send({ type: 'interrupt' });
  }

  hangUp(): void {
    if (this.#state === 'over') return;
    this.#send({ type: 'end_call' });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#socket.close();
      this.#over({ title: 'The call has ended', text: '', kind: 'plain' });
    }, CLOSE_MS);
    // Without a call there is nothing that the service would end.
    if (this.#state !== 'active') this.#socket.close(1000);
  }

  #connect(): WebSocket {
    const url = new URL('/ws/call-session', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.searchParams.set('callId', this.#callId);
    // The one header that a page can set.
    const protocols = this.#granted === null ? [] : ['call', `call-token.${this.#granted.token}`];
    const socket = new WebSocket(url, protocols);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      if (this.#state === 'connecting') this.#state = 'connected';
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => this.#receive(data);
    socket.onclose = ({ code }) => void this.#closed(code);
    return socket;
  }

  #receive(data: string | ArrayBuffer): void {
    if (this.#state === 'over') return;
    if (typeof data !== 'string') {
      const bytes = new Uint8Array(data);
      const samples = this.#line.encoding === 'mulaw' ? decodeMulaw(bytes) : decodePcm16(bytes);
      // A copy that may be handed over to the audio thread.
      this.#listener.audio(new Int16Array(samples));
      return;
    }
    const message = parseServerMessage(data);
    if (message === null) return;
    if (message.type === 'error') this.#lastError = message;
    this.#listener.received(message);
    if (message.type !== 'status' || message.status !== 'ready' || message.callId === undefined) return;
    this.#resumeToken ??= message.resumeToken ?? null;
    // The service says so twice: when the socket stands, and when the call does.
    if (this.#state === 'connected') this.#start();
    else if (this.#state === 'starting') this.#stands();
  }

  #start(): void {
    const returns = this.#lostAt !== null && this.#resumeToken !== null;
    this.#state = 'starting';
    this.#send({
      type: 'start_call',
      callId: this.#callId,
      userId: this.#granted?.userId ?? 'console',
      metadata: {
        source: 'console',
        ...(this.#phoneNumber === '' ? {} : { phoneNumber: this.#phoneNumber }),
      },
      audio: { transport: 'binary', ...this.#line },
      features,
      ...(returns ? { resumeToken: this.#resumeToken! } : {}),
    });
  }

  #stands(): void {
    this.#state = 'active';
    clearTimeout(this.#timer);
    this.#tries = 0;
    if (this.#lostAt === null) this.#listener.started(this.#callId);
    else this.#listener.returned();
    this.#lostAt = null;
  }

  #send(message: ClientMessage): void {
    if (this.#socket.readyState !== WebSocket.OPEN || this.#state === 'over') return;
    this.#put(JSON.stringify(message));
    this.#listener.sent(message);
  }

  #put(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > BACKLOG_BYTES) {
      this.#socket.close();
      this.#over(explainClose(1006, null));
      return;
    }
    this.#socket.send(data);
  }

  #giveUp(): void {
    this.#socket.close();
    this.#over({
      title: 'The service does not answer',
      text: 'The call could not be set up in time.',
      kind: 'problem',
    });
  }

  async #closed(code: number): Promise<void> {
    if (this.#state === 'over') return;
    const stood = this.#state === 'active' || this.#lostAt !== null;
    if (stood && this.#resumeToken !== null && !isFinal(code) && this.#return()) return;
    // A browser tells nothing of a connection that was refused.
    const refused = this.#state === 'connecting' && !stood;
    this.#over(refused ? explainRefusal(await askHealth()) : explainClose(code, this.#lastError));
  }

  /** Tries again to reach the call, which waits for a while. False: it has waited long enough. */
  #return(): boolean {
    const now = performance.now();
    if (this.#lostAt === null) this.#listener.lost();
    this.#lostAt ??= now;
    if (now - this.#lostAt > RETURN_MS) return false;
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)]!;
    this.#state = 'connecting';
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#socket = this.#connect();
      this.#timer = setTimeout(() => this.#giveUp(), SET_UP_MS);
    }, wait);
    return true;
  }

  #over(why: Explanation): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    clearTimeout(this.#timer);
    this.#listener.ended(why);
  }
}

async function askHealth(): Promise<{ status: number; body: unknown } | null> {
  try {
    const response = await fetch('/health', { signal: AbortSignal.timeout(HEALTH_MS) });
    return { status: response.status, body: await response.json().catch(() => null) };
  } catch {
    return null;
  }
}
