import WebSocket from 'ws';
import { decodePcm16, encodePcm16 } from '../../../src/audio/pcm.ts';

/** How `mod_openai_audio_stream` is told of the session that it is started on. */
export interface StreamTarget {
  url: string;
  /** Of `STREAM_EXTRA_HEADERS`, JSON. */
  extraHeaders: string | null;
  heartBeatSeconds: number;
}

/** An event of the module's, by the last part of its subclass, and its body. */
export type ModuleEvent = (name: 'connect' | 'disconnect' | 'error' | 'json', body: string) => void;

/**
 * `mod_openai_audio_stream` on one channel, in raw mode (`uuid_raw_audio_stream`), https://github.com/VoiSmart/mod_openai_realtime:
 * `openai_audio_streamer_glue.cpp` at dda0418. With `STREAM_NO_RECONNECT`, without compression, as our dialplan sets it.
 */
export class StreamingModule {
  readonly #onEvent: ModuleEvent;
  #socket: WebSocket | null = null;
  #heartBeat: NodeJS.Timeout | null = null;
  /** Messages that wait (`m_audio_queue`), and what of them is being played (`playback_buffer`). */
  #queue: Int16Array[] = [];
  #playing: Int16Array[] = [];
  #clearRequested = false;

  constructor(onEvent: ModuleEvent) {
    this.#onEvent = onEvent;
  }

  /** What the API command answers: it says only that it tries. A socket that was lost has to be stopped first. */
  start({ url, extraHeaders, heartBeatSeconds }: StreamTarget): boolean {
    if (this.#socket !== null) return false;
    const { host } = new URL(url);
    const headers = extraHeaders === null ? {} : (JSON.parse(extraHeaders) as Record<string, string>);
    const socket = new WebSocket(url, {
      perMessageDeflate: false,
      origin: `ws://${host}`,
      headers: { 'User-Agent': 'ixwebsocket/11.4.3', ...headers },
    });
    socket.binaryType = 'nodebuffer';
    this.#socket = socket;
    this.#queue = [];
    this.#playing = [];
    this.#clearRequested = false;
    let opened = false;
    let failed = false;
    const fail = (error: string, status: number) => {
      if (failed || opened) return;
      failed = true;
      // The module closes its media bug by itself after a failure.
      if (this.#socket === socket) this.#socket = null;
      const message = { retries: 1, error, wait_time: 0, http_status: status };
      this.#onEvent('error', JSON.stringify({ status: 'error', message }));
    };
    socket.on('open', () => {
      opened = true;
      this.#heartBeat = setInterval(() => socket.ping(), heartBeatSeconds * 1_000);
      this.#onEvent('connect', '{"status":"connected"}');
    });
    socket.on('unexpected-response', (_request, response) => {
      fail(
        `Expecting status 101 (Switching Protocol), got ${response.statusCode} status`,
        response.statusCode ?? 0,
      );
      response.destroy();
    });
    socket.on('error', (error) => fail(error.message, 0));
    socket.on('close', (code, reason) => {
      this.#stopHeartBeat();
      if (!opened) fail('closed', 0);
      else
        this.#onEvent(
          'disconnect',
          JSON.stringify({ status: 'disconnected', message: { code, reason: reason.toString() } }),
        );
    });
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#takeAudio(data);
      else this.#takeText(data.toString());
    });
    return true;
  }

  /** Closes the socket, 1000; false: the module is not on the channel. */
  stop(): boolean {
    const socket = this.#socket;
    if (socket === null) return false;
    this.#socket = null;
    if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    else socket.close(1000, 'Normal closure');
    return true;
  }

  sendJson(base64: string): boolean {
    if (this.#socket === null) return false;
    // cJSON's own spelling, which has no blanks.
    const json: unknown = JSON.parse(Buffer.from(base64, 'base64').toString());
    if (this.#connected) this.#socket.send(JSON.stringify(json));
    return true;
  }

  /** A frame of the caller's: nothing of it is kept for a socket that is not open. */
  sendAudio(samples: Int16Array): void {
    if (this.#connected) this.#socket?.send(encodePcm16(samples));
  }

  /**
   * What the caller hears in the next frame (`write_frame`): at most `most` samples, and fewer at the end of what is there. Null: nothing of the
   * module's. Of the messages that wait it takes one a frame, and only where less than two frames are left to play.
   */
  takeFrame(most: number): Int16Array | null {
    if (!this.#connected) return null;
    if (this.#clearRequested) this.#playing = [];
    const inUse = this.#playing.reduce((sum, { length }) => sum + length, 0);
    const next = inUse < 2 * most ? this.#queue.shift() : undefined;
    if (next !== undefined) this.#playing.push(next);
    // What was just taken is played from the next frame on.
    if (inUse === 0) return null;
    const frame = new Int16Array(Math.min(inUse, most));
    for (let filled = 0; filled < frame.length; ) {
      const piece = this.#playing[0] ?? new Int16Array();
      const part = piece.subarray(0, frame.length - filled);
      frame.set(part, filled);
      filled += part.length;
      if (part.length === piece.length) this.#playing.shift();
      else this.#playing[0] = piece.subarray(part.length);
    }
    return frame;
  }

  get #connected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #takeAudio(data: Buffer): void {
    if (data.length < 2) return;
    this.#clearRequested = false;
    this.#queue.push(decodePcm16(data.subarray(0, data.length - (data.length % 2))));
  }

  #takeText(text: string): void {
    // Which is for OpenAI "the user has begun to speak", and for our service "clear".
    if ((JSON.parse(text) as { type?: unknown }).type === 'input_audio_buffer.speech_started') {
      this.#queue = [];
      this.#clearRequested = true;
    }
    this.#onEvent('json', text);
  }

  #stopHeartBeat(): void {
    if (this.#heartBeat !== null) clearInterval(this.#heartBeat);
    this.#heartBeat = null;
  }
}
