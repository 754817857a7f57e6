import { Resampler } from '../../audio/resample.ts';
import type { StartedCallFacts } from '../../call/events.ts';
import type { AudioChunk } from '../../call/journal.ts';
import { type RecordingChannels, recordingRate } from './format.ts';

/** Where a call's audio was spooled, chunk by chunk. */
export interface Spool {
  /** Number of chunks, and samples from the first to the end of the last one. */
  audioExtent(chunkSamples: number): { chunks: number; samples: number };
  /** One chunk; null where a crash left none. */
  audioChunk(index: number): AudioChunk | null;
}

/** The longest block that is handed out: one second. What it takes to encode one is what other calls may have to wait. */
export const blockSamples = recordingRate;

/** Samples of the whole recording, of each channel. */
export function recordingSamples(spool: Spool, call: Pick<StartedCallFacts, 'chunkSamples' | 'sampleRate'>) {
  return Math.round((spool.audioExtent(call.chunkSamples).samples * recordingRate) / call.sampleRate);
}

/**
 * The call's audio from its spool, by sample position: at the recording's rate, in blocks of at most a second, channels
 * interleaved. No more of it is in memory than one chunk and one block. A chunk, or a side of it, that is not there is
 * silence, so both sides stay aligned. In all {@link recordingSamples} samples of each channel.
 *
 * A block is valid until the next one is asked for.
 */
export function* spooledAudio(
  spool: Spool,
  call: Pick<StartedCallFacts, 'chunkSamples' | 'sampleRate'>,
  channels: RecordingChannels,
): Generator<Int16Array> {
  const { chunkSamples, sampleRate } = call;
  const extent = spool.audioExtent(chunkSamples);
  const longest = (blockSamples * sampleRate) / recordingRate;
  const silence = new Int16Array(longest);
  const tracks = Array.from({ length: channels }, () => new Resampler(sampleRate, recordingRate));
  const convert = (sides: readonly Int16Array[]) =>
    joined(sides.map((side, channel) => tracks[channel]!.push(side)));

  for (let index = 0; index < extent.chunks; index++) {
    const chunk = spool.audioChunk(index);
    const length = Math.min(chunkSamples, extent.samples - index * chunkSamples);
    for (let from = 0; from < length; from += longest) {
      const samples = Math.min(longest, length - from);
      const caller = part(chunk?.caller ?? null, from, samples, silence);
      const agent = part(chunk?.agent ?? null, from, samples, silence);
      yield channels === 2 ? convert([caller, agent]) : convert([mixSides(caller, agent)]);
    }
  }
  yield joined(tracks.map((track) => track.flush()));
}

/** `samples` of a side; what it does not have is silence. */
function part(side: Int16Array | null, from: number, samples: number, silence: Int16Array): Int16Array {
  const there = side?.subarray(from, from + samples) ?? null;
  if (there === null) return silence.subarray(0, samples);
  if (there.length === samples) return there;
  const padded = new Int16Array(samples);
  padded.set(there);
  return padded;
}

/** Both sides in one channel: their sum, saturating. They are of one length. */
export function mixSides(caller: Int16Array, agent: Int16Array): Int16Array {
  const mix = new Int16Array(caller.length);
  for (let i = 0; i < mix.length; i++) {
    mix[i] = Math.max(-32768, Math.min(32767, caller[i]! + agent[i]!));
  }
  return mix;
}

/** Channels of one length, interleaved. */
function joined(channels: readonly Int16Array[]): Int16Array {
  const [left, right] = channels;
  if (right === undefined) return left!;
  const both = new Int16Array(left!.length * 2);
  for (let i = 0; i < left!.length; i++) {
    both[2 * i] = left![i]!;
    both[2 * i + 1] = right[i]!;
  }
  return both;
}
