import WebSocket from 'ws';
import { type Dial, DialRefused, type RawSocket } from '../../src/providers/vendor-socket.ts';

/** Characters of a refusal's body that are kept. */
const longestRefusal = 300;
/** As in `VendorSocket`: longer messages come from a broken vendor. */
const longestMessageBytes = 4 * 1024 * 1024;

/** Opens a vendor's socket from Node, whose `fetch` opens none and whose own `WebSocket` sends no headers. */
export const dialFromNode: Dial = ({ url, headers, protocols }, signal) =>
  new Promise<RawSocket>((resolve, reject) => {
    const socket = new WebSocket(url, protocols === undefined ? [] : [...protocols], {
      headers,
      maxPayload: longestMessageBytes,
    });
    socket.binaryType = 'arraybuffer';
    // What comes with the vendor's 101 must wait for its reader.
    const early: { data: unknown }[] = [];
    const remember = (event: { data: unknown }) => early.push(event);
    socket.addEventListener('message', remember);
    socket.once('open', () =>
      resolve({
        send: (message) => socket.send(message),
        close: (code, reason) => socket.close(code, reason),
        addEventListener(type: string, listener: (event: never) => void) {
          if (type === 'message') {
            socket.removeEventListener('message', remember);
            for (const event of early) listener(event as never);
          }
          socket.addEventListener(type as 'close', listener as never);
        },
      }),
    );
    socket.once('unexpected-response', (_request, response) => {
      let body = '';
      const refuse = () => {
        const { statusCode = 0, headers: answered } = response;
        reject(new DialRefused(statusCode, body.slice(0, longestRefusal), answered['retry-after'] ?? null));
      };
      response.on('data', (part: Buffer) => {
        body += String(part);
        // A page without an end would hold the line open.
        if (body.length >= longestRefusal) response.destroy();
      });
      response.once('close', refuse);
    });
    socket.on('error', reject);
    if (signal.aborted) socket.terminate();
    else signal.addEventListener('abort', () => socket.terminate(), { once: true });
  });
