import { encodePcm16 } from '../audio/pcm.ts';
import { Resampler } from '../audio/resample.ts';
import { wavHeader } from '../audio/wav.ts';
import type { StartedCallFacts } from '../call/events.ts';
import type { SqliteJournal } from './sqlite-journal.ts';

/** Rate of a recording, by the contract: 8 kHz, 16-bit, mono. */
const RECORDING_RATE = 8000;

/** Object key of a call's recording: the day is that of the call's start, in UTC. `callId` is path-safe by its schema. */
export function recordingKey(call: Pick<StartedCallFacts, 'callId' | 'startTime'>): string {
  const [year, month, day] = new Date(call.startTime).toISOString().slice(0, 10).split('-');
  return `recordings/${year}/${month}/${day}/${call.callId}.wav`;
}

/**
 * Assembles the recording from the spool and stores it, chunk by chunk: the call is never in memory as a whole.
 * A chunk that a crash left out is silence. Idempotent.
 */
export async function storeRecording(
  bucket: R2Bucket,
  journal: SqliteJournal,
  call: StartedCallFacts,
  signal: AbortSignal,
): Promise<void> {
  const { chunkSamples } = call;
  const extent = journal.audioExtent(chunkSamples);
  const samples = Math.round((extent.samples * RECORDING_RATE) / call.sampleRate);
  const header = wavHeader({
    sampleRate: RECORDING_RATE,
    channels: 1,
    bitsPerSample: 16,
    dataBytes: samples * 2,
  });
  const { readable, writable } = new FixedLengthStream(header.length + samples * 2);
  const writing = write(
    writable,
    header,
    mixed(journal, extent, chunkSamples, call.sampleRate),
    samples,
    signal,
  );
  const putting = bucket.put(recordingKey(call), readable, {
    httpMetadata: { contentType: 'audio/wav' },
    customMetadata: { callId: call.callId, userId: call.userId },
  });
  await Promise.all([writing, putting]);
}

async function write(
  writable: WritableStream<Uint8Array>,
  header: Uint8Array,
  audio: Iterable<Int16Array>,
  samples: number,
  signal: AbortSignal,
): Promise<void> {
  const writer = writable.getWriter();
  const abort = () => void writer.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await writer.write(header);
    let written = 0;
    for (const part of audio) {
      const fitting = part.subarray(0, samples - written);
      await writer.write(encodePcm16(fitting));
      written += fitting.length;
    }
    // The resampler may round the last sample away.
    if (written < samples) await writer.write(new Uint8Array((samples - written) * 2));
    await writer.close();
  } catch (error) {
    // The bucket waits for the rest of the stream: it must not wait for ever.
    await writer.abort(error).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Both sides of the call in one channel at the recording's rate. */
function* mixed(
  journal: SqliteJournal,
  extent: { chunks: number; samples: number },
  chunkSamples: number,
  sampleRate: number,
): Generator<Int16Array> {
  const resampler = sampleRate === RECORDING_RATE ? null : new Resampler(sampleRate, RECORDING_RATE);
  for (let index = 0; index < extent.chunks; index++) {
    const chunk = journal.audioChunk(index);
    const length = Math.min(chunkSamples, extent.samples - index * chunkSamples);
    const mix = mixSides(chunk?.caller ?? null, chunk?.agent ?? null, length);
    yield resampler === null ? mix : resampler.push(mix);
  }
  if (resampler !== null) yield resampler.flush();
}

/** Sums two sides, saturating; a side that is null is silent. */
export function mixSides(caller: Int16Array | null, agent: Int16Array | null, length: number): Int16Array {
  const mix = new Int16Array(length);
  if (caller !== null) mix.set(caller.subarray(0, length));
  if (agent !== null) {
    const common = Math.min(length, agent.length);
    for (let i = 0; i < common; i++) {
      mix[i] = Math.max(-32768, Math.min(32767, mix[i]! + agent[i]!));
    }
  }
  return mix;
}
