import { unlessAborted } from './attempts.ts';

/** The pieces of a response's body; lets go of it when the iteration ends, or when the signal fires. */
export async function* bytesOf(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await unlessAborted(reader.read(), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // Never waited for: a vendor that hangs would hold the call.
    reader.cancel().catch(() => {});
  }
}

/** A body as text, cut after `most` characters. What was read so far, where it breaks or the signal fires. */
export async function startOfText(response: Response, most: number, signal: AbortSignal): Promise<string> {
  if (response.body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const piece of bytesOf(response.body as ReadableStream<Uint8Array>, signal)) {
      text += decoder.decode(piece, { stream: true });
      if (text.length > most) break;
    }
  } catch {
    // The status tells enough.
  }
  return text.slice(0, most);
}
