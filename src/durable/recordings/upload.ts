import { describeError, log } from '../../log.ts';
import type { RecordingFile } from './recording-file.ts';

/** R2 wants all parts of an upload but the last to be of one size, of 5 MiB at least. */
export const partBytes = 5 * 1024 * 1024;

/** Attempts at one part, and the wait after the first that fails; it doubles. */
const partAttempts = 4;
const partRetryMs = 250;

export interface UploadOptions {
  bucket: R2Bucket;
  key: string;
  /** Content type, and the object's metadata. */
  object: R2PutOptions & R2MultipartOptions;
  file: RecordingFile;
  /** The multipart upload that is open; kept in the object's storage, so that one that was cut off can be aborted. */
  open: { read(): string | null; write(upload: string | null): void };
  /** Lets other calls of the isolate have their turn. */
  rest: () => Promise<void>;
  /** Waits; rejects where the signal fires first. */
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
}

/**
 * Stores a file under `key`, replacing what is there: as one stream where it is known to fit into a part, else in equal
 * parts, of which one at a time is in memory. What an earlier attempt left open is aborted first, and so is this one if it
 * fails. Rejects with R2's error, or with the signal's reason.
 */
export async function uploadRecording(options: UploadOptions): Promise<void> {
  await abortLeftover(options);
  options.signal.throwIfAborted();
  const { bytes } = options.file;
  if (bytes !== null && bytes <= partBytes) await putStream(options, bytes);
  else await putParts(options);
}

async function abortLeftover({ bucket, key, open }: UploadOptions): Promise<void> {
  const upload = open.read();
  if (upload === null) return;
  try {
    await bucket.resumeMultipartUpload(key, upload).abort();
  } catch (error) {
    // It may have been completed or be gone; R2 itself aborts what is open for a week.
    log('warn', 'an upload that was cut off could not be aborted', { error: describeError(error) });
  }
  open.write(null);
}

async function putStream(options: UploadOptions, bytes: number): Promise<void> {
  const { bucket, key, object, file, rest, signal } = options;
  const { readable, writable } = new FixedLengthStream(bytes);
  await Promise.all([bucket.put(key, readable, object), pour()]);

  async function pour(): Promise<void> {
    const writer = writable.getWriter();
    const stop = () => void writer.abort(signal.reason).catch(() => {});
    signal.addEventListener('abort', stop, { once: true });
    try {
      for await (const piece of file.pieces(rest)) {
        signal.throwIfAborted();
        await writer.write(piece);
      }
      await writer.close();
    } catch (error) {
      // The bucket waits for the rest of the stream: it must not wait for ever.
      await writer.abort(error).catch(() => {});
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}

async function putParts(options: UploadOptions): Promise<void> {
  const { bucket, key, object, file, open, rest, signal } = options;
  const part = new Part();
  const parts: R2UploadedPart[] = [];
  let upload: R2MultipartUpload | null = null;
  const send = async () => {
    signal.throwIfAborted();
    if (upload === null) {
      upload = await bucket.createMultipartUpload(key, object);
      // Begun too late: the next attempt has one of its own by now.
      signal.throwIfAborted();
      open.write(upload.uploadId);
    }
    parts.push(await uploadPart(options, upload, parts.length + 1, part.bytes));
    part.clear();
  };
  try {
    for await (let piece of file.pieces(rest)) {
      signal.throwIfAborted();
      // A full part is sent when there is more: a file of just one part needs no multipart upload.
      while (piece.length > 0) {
        if (part.full) await send();
        piece = part.take(piece);
      }
    }
    signal.throwIfAborted();
    if (upload === null) {
      await bucket.put(key, part.bytes, object);
      return;
    }
    await send();
    await (upload as R2MultipartUpload).complete(parts);
    close(upload);
  } catch (error) {
    // What cannot be aborted now is at the next attempt.
    const begun = upload as R2MultipartUpload | null;
    if (begun !== null) {
      await begun.abort().then(
        () => close(begun),
        () => {},
      );
    }
    throw error;
  }

  /** An attempt that was given up, since R2 did not answer, may end while the next one has an upload open. */
  function close({ uploadId }: R2MultipartUpload): void {
    if (open.read() === uploadId) open.write(null);
  }
}

async function uploadPart(
  { wait, signal }: UploadOptions,
  upload: R2MultipartUpload,
  number: number,
  bytes: Uint8Array,
): Promise<R2UploadedPart> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await upload.uploadPart(number, bytes);
    } catch (error) {
      signal.throwIfAborted();
      if (attempt === partAttempts) throw error;
      log('warn', 'a part of a recording is sent again', { number, attempt, error: describeError(error) });
      await wait(partRetryMs * 2 ** (attempt - 1), signal);
    }
  }
}

/** Gathers pieces to a part. One buffer for all parts; it grows, since most files are far smaller than a part. */
class Part {
  #buffer = new Uint8Array(256 * 1024);
  #length = 0;

  get full(): boolean {
    return this.#length === partBytes;
  }

  /** A view, until the next `take` or `clear`. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Takes what fits of a piece; returns the rest. */
  take(piece: Uint8Array): Uint8Array {
    const fitting = piece.subarray(0, partBytes - this.#length);
    const needed = this.#length + fitting.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(partBytes, Math.max(needed, this.#buffer.length * 2)));
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    this.#buffer.set(fitting, this.#length);
    this.#length = needed;
    return piece.subarray(fitting.length);
  }

  clear(): void {
    this.#length = 0;
  }
}
