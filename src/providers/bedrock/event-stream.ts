import { EventStreamCodec } from '@smithy/eventstream-codec';
import { bytesOf } from '../bodies.ts';
import { brokenOff, malformed } from '../streamed-request.ts';

/** One message of an event stream. */
export interface EventStreamMessage {
  /** Those whose value is text, e.g. `:event-type`. */
  headers: ReadonlyMap<string, string>;
  body: Uint8Array;
}

/** A message tells its own length first. Claude's have less than a kilobyte each. */
const longestMessageBytes = 1024 * 1024;

/** Two lengths and three checksums: no message is shorter. */
const shortestMessageBytes = 16;

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes)),
  (text) => new TextEncoder().encode(text),
);

/**
 * The messages of a body of type `application/vnd.amazon.eventstream` ("Amazon event stream specification", Smithy), both checksums
 * of each verified. Throws `ProviderError`: `malformed` for a body that is none, `unavailable` for one that ends in the middle
 * of a message. Lets go of the body when the iteration ends, and
 * throws the signal's reason when it fires.
 */
export async function* eventStream(
  provider: string,
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<EventStreamMessage, void, void> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const piece of bytesOf(body, signal)) {
    rest = rest.length === 0 ? piece : joined(rest, piece);
    while (rest.length >= 4) {
      const length = new DataView(rest.buffer, rest.byteOffset).getUint32(0);
      if (length < shortestMessageBytes || length > longestMessageBytes) {
        throw malformed(provider, `sent a message of ${length} bytes`);
      }
      if (rest.length < length) break;
      yield decode(provider, rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  }
  if (rest.length > 0) throw brokenOff(provider);
}

function decode(provider: string, bytes: Uint8Array): EventStreamMessage {
  let message: ReturnType<typeof codec.decode>;
  try {
    message = codec.decode(bytes);
  } catch (error) {
    throw malformed(provider, error instanceof Error ? error.message.slice(0, 200) : 'sent a broken message');
  }
  const headers = Object.entries(message.headers).flatMap(([name, { value }]) =>
    typeof value === 'string' ? [[name, value] as const] : [],
  );
  return { headers: new Map(headers), body: message.body };
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
