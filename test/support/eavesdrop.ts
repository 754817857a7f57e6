import type { Dial } from '../../src/providers/vendor-socket.ts';
import { dialFromNode } from './socket-double.ts';

/** Waits until something is so that only the event loop can bring about. */
export async function until(condition: () => boolean, what = 'condition'): Promise<void> {
  const end = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Dials from Node and tells what has reached the client, so that a test knows when time may go on. */
export function eavesdrop(): { dial: Dial; heard: string[] } {
  const heard: string[] = [];
  const dial: Dial = async (request, signal) => {
    const raw = await dialFromNode(request, signal).catch((error: unknown) => {
      heard.push('(refused)');
      throw error;
    });
    return {
      send: (sent) => raw.send(sent),
      close: (code, reason) => raw.close(code, reason),
      addEventListener(type: string, listener: (event: never) => void) {
        raw.addEventListener(type as 'message', (event: { data: unknown }) => {
          listener(event as never);
          if (type === 'close') heard.push('(closed)');
          if (type === 'message') heard.push(/"type":"([^"]*)"/.exec(String(event.data))?.[1] ?? '(other)');
        });
      },
    };
  };
  return { dial, heard };
}
