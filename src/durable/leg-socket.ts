import type { Closing } from '../call/leg.ts';
import { closeCodes, type ErrorCode, type ServerMessage } from '../dialects/native-messages.ts';

/** The close code that each end of a call has on the wire. */
const codeOf: Record<Closing, number> = {
  hangup: closeCodes.ended,
  disconnected: closeCodes.ended,
  'time limit': closeCodes.timeout,
  'funds used up': closeCodes.fundsUsedUp,
  idle: closeCodes.timeout,
  'caller silent': closeCodes.ended,
  'agent hangup': closeCodes.ended,
  transferred: closeCodes.ended,
  'answering machine': closeCodes.ended,
  protocol: closeCodes.badMessages,
  error: closeCodes.internal,
  refused: closeCodes.refused,
  'id in use': closeCodes.callIdInUse,
  'too fast': closeCodes.tooFast,
  replaced: closeCodes.replaced,
};

/** What happens on a leg's socket. */
export interface LegSocketHandler {
  message(data: string | ArrayBuffer): void;
  /** The socket is closed or broken; once. `inOrder`: its peer said that it was done (RFC 6455's 1000, or no code at all). */
  closed(inOrder: boolean): void;
  /** Handling a message threw. */
  failed(error: unknown): void;
}

/**
 * The server's end of a leg's WebSocket. Plain `accept()`: a call with live audio never hibernates, and a frame
 * costs half of what it costs through the hibernation API.
 */
export class LegSocket {
  readonly #socket: WebSocket;
  #open = true;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    // From compatibility date 2026-03-17 on binary messages would come as Blob, which can be read asynchronously only.
    socket.binaryType = 'arraybuffer';
    socket.accept();
  }

  listen(handler: LegSocketHandler): void {
    this.#socket.addEventListener('message', ({ data }) => {
      try {
        handler.message(data as string | ArrayBuffer);
      } catch (error) {
        handler.failed(error);
      }
    });
    let over = false;
    const closed = (inOrder: boolean) => {
      this.close('disconnected');
      if (over) return;
      over = true;
      handler.closed(inOrder);
    };
    this.#socket.addEventListener('close', ({ code }) => closed(code === 1000 || code === 1005));
    this.#socket.addEventListener('error', () => closed(false));
  }

  /** A socket that is closed swallows the message: its `closed` event is on its way. */
  send(message: string | Uint8Array): void {
    if (!this.#open) return;
    try {
      this.#socket.send(message);
    } catch {
      this.#open = false;
    }
  }

  close(closing: Closing): void {
    this.#closeWith(codeOf[closing], closing);
  }

  /** Turns a client away before there is a call. */
  refuse(code: ErrorCode, message: string, closeCode: number): void {
    const error: ServerMessage = { type: 'error', code, message };
    this.send(JSON.stringify(error));
    this.#closeWith(closeCode, code);
  }

  #closeWith(code: number, reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    try {
      this.#socket.close(code, reason);
    } catch {
      // Broken already: the peer cannot be told.
    }
  }
}
