import { EncodedAudioPacketSource, EncodedPacket, NullTarget, OggOutputFormat, Output } from 'mediabunny';
import type { Opus } from './opus.ts';

/** Opus' own clock, in which Ogg counts whatever the input's rate (RFC 7845 §4). */
const opusRate = 48_000;
/** Longest packet that libopus makes at once: the fewest bytes of headers. */
const packetMs = 60;
/** RFC 7845 §6: pages of about a second at most, so that a player can seek. */
const pageSeconds = 1;
/** Bits a second of one channel: telephone speech (opus-codec.org recommends 10 to 12 kb/s for narrow-band, 8 kHz). */
const bitrate = 16_000;
/**
 * Of 0 to 10. A minute of two channels of speech took 310 ms at 3, 390 at 5 and 660 at 10 on one core; the bitrate is
 * spent in any case.
 */
const complexity = 3;

export interface OggOpusOptions {
  sampleRate: 8000 | 16_000;
  channels: 1 | 2;
}

/** One Ogg Opus stream (RFC 7845), made page by page. */
export interface OggOpusWriter {
  /** Takes samples, channels interleaved, of which no reference is kept; returns the pages that are complete with them. */
  write(samples: Int16Array): Promise<Uint8Array[]>;
  /** The rest. The stream is then exactly as long as what was written. */
  end(): Promise<Uint8Array[]>;
  /** Frees the encoder. Idempotent. */
  close(): void;
}

/** Opus by `opus`, paged by mediabunny. */
export function createOggOpusWriter(opus: Opus, { sampleRate, channels }: OggOpusOptions): OggOpusWriter {
  const frameSamples = (sampleRate * packetMs) / 1000;
  const encoder = opus.createEncoder({
    sampleRate,
    channels,
    bitrate: bitrate * channels,
    complexity,
    frameSamples,
  });
  const preSkip = (encoder.lookahead * opusRate) / sampleRate;
  let pages: Uint8Array[] = [];
  const source = new EncodedAudioPacketSource('opus');
  const output = new Output({
    format: new OggOutputFormat({
      maximumPageDuration: pageSeconds,
      onPage: (page) => pages.push(page.slice()),
    }),
    target: new NullTarget(),
  });
  output.addAudioTrack(source);
  let started = false;
  const frame = new Int16Array(frameSamples * channels);
  let filled = 0;
  let written = 0;
  let packets = 0;

  /** Encodes the frame as it is. `lastSamples` of it belong to the stream. */
  async function encode(lastSamples = frameSamples): Promise<void> {
    if (!started) await output.start();
    const at = (packets * packetMs) / 1000;
    const packet = new EncodedPacket(encoder.encode(frame), 'key', at, lastSamples / sampleRate);
    await source.add(
      packet,
      started
        ? undefined
        : {
            decoderConfig: {
              codec: 'opus',
              sampleRate: opusRate,
              numberOfChannels: channels,
              description: identificationHeader(channels, preSkip, sampleRate),
            },
          },
    );
    started = true;
    packets++;
    filled = 0;
  }

  function takePages(): Uint8Array[] {
    const taken = pages;
    pages = [];
    return taken;
  }

  return {
    async write(samples) {
      for (let from = 0; from < samples.length; ) {
        const fitting = Math.min(samples.length - from, frame.length - filled);
        frame.set(samples.subarray(from, from + fitting), filled);
        filled += fitting;
        from += fitting;
        if (filled === frame.length) await encode();
      }
      written += samples.length / channels;
      return takePages();
    },
    async end() {
      // What is in the encoder comes out with the silence that is put in after it.
      const total = written + encoder.lookahead;
      while (packets * frameSamples < total || packets === 0) {
        frame.fill(0, filled);
        await encode(Math.min(frameSamples, Math.max(total - packets * frameSamples, 0)));
      }
      await output.finalize();
      return takePages();
    },
    close: () => encoder.close(),
  };
}

/** `OpusHead` (RFC 7845 §5.1), of one stream of one or two channels. `preSkip` in samples at 48 kHz. */
function identificationHeader(
  channels: number,
  preSkip: number,
  sampleRate: number,
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(19);
  const view = new DataView(header.buffer);
  header.set(new TextEncoder().encode('OpusHead'));
  header[8] = 1;
  header[9] = channels;
  view.setUint16(10, preSkip, true);
  view.setUint32(12, sampleRate, true);
  return header;
}
