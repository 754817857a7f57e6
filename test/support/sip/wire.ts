import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** The line on loopback between a node and the service. A call's WebSockets can be cut, and come to nothing until the line is mended. */
export class Wire {
  readonly port: number;
  readonly #close: () => void;
  readonly #sockets: Map<Socket, string | undefined>;
  readonly #cut: Set<string>;

  private constructor(
    port: number,
    sockets: Map<Socket, string | undefined>,
    cut: Set<string>,
    close: () => void,
  ) {
    this.port = port;
    this.#sockets = sockets;
    this.#cut = cut;
    this.#close = close;
  }

  /** @param to the port that it leads to. */
  static async lead(to: number): Promise<Wire> {
    const sockets = new Map<Socket, string | undefined>();
    const cut = new Set<string>();
    const server = createServer((near) => {
      near.setNoDelay(true);
      near.on('error', () => {});
      near.once('data', (request: Buffer) => {
        const callId = /[?&]callId=([^&\s]+)/.exec(request.toString('latin1'))?.[1];
        if (callId !== undefined && cut.has(callId)) {
          near.resetAndDestroy();
          return;
        }
        const far = connect(to, '127.0.0.1');
        far.setNoDelay(true);
        far.write(request);
        for (const [one, other] of [
          [near, far],
          [far, near],
        ] as const) {
          sockets.set(one, callId);
          one.pipe(other);
          one.on('error', () => other.destroy());
          one.on('close', () => {
            sockets.delete(one);
            other.destroy();
          });
        }
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Wire((server.address() as AddressInfo).port, sockets, cut, () => server.close());
  }

  /** Breaks what a call has open, and what it opens from now on. */
  cut(callId: string): void {
    this.#cut.add(callId);
    for (const [socket, id] of this.#sockets) {
      if (id === callId) socket.resetAndDestroy();
    }
  }

  mend(callId: string): void {
    this.#cut.delete(callId);
  }

  close(): void {
    for (const socket of this.#sockets.keys()) socket.destroy();
    this.#close();
  }
}
