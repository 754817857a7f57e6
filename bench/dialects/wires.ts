import { encodeBase64 } from '../../src/audio/base64.ts';
import { encodeAlaw, encodeMulaw } from '../../src/audio/g711.ts';
import { encodePcm16 } from '../../src/audio/pcm.ts';
import type { AudioEncoding } from '../../src/dialects/native-messages.ts';
import * as samples from '../../test/support/dialect-samples.ts';
import { quiet, voice } from '../caller-voice.ts';

/** One of the ways in which a leg may speak: a dialect, and the kind of audio that it commonly has there. */
export interface Wire {
  name: string;
  /** Beneath `/ws/`. */
  path: string;
  /** What the URL says beside the call's id. */
  query: Record<string, string>;
  encoding: AudioEncoding;
  /** Hz, of what the far end sends. */
  rate: number;
  /** Length of the far end's messages, in milliseconds. */
  frameMs: number;
  /** What it sends before its audio. */
  start(callId: string): string[];
  /** Its `chunk`-th message of audio, from 1 on. */
  audio(bytes: Uint8Array, chunk: number): string | Uint8Array;
}

/** The one that others are compared to. */
export const BASELINE = 'native, binary μ-law 8';

type Shape = Pick<Wire, 'path' | 'start' | 'audio'> & Partial<Pick<Wire, 'query' | 'frameMs'>>;

const text = (message: object) => JSON.stringify(message);
const binary = (bytes: Uint8Array) => bytes;

function native(transport: 'json' | 'binary', encoding: AudioEncoding, rate: number): Shape {
  const audio = { transport, encoding, sampleRate: rate };
  return {
    path: 'call-session',
    start: (callId) => [text({ type: 'start_call', callId, userId: 'bench', audio })],
    audio: (bytes) =>
      transport === 'binary'
        ? bytes
        : text({ type: 'audio', data: encodeBase64(bytes), format: encoding, sampleRate: rate }),
  };
}

const twilio: Shape = {
  path: 'twilio',
  start: () => [text(samples.twilio.connected), text(samples.twilio.start)],
  audio: (bytes, chunk) => text(samples.twilio.media(chunk, encodeBase64(bytes))),
};

const exotel = (rate: number): Shape => {
  const { start } = samples.exotel.start;
  const media_format = { ...start.media_format, sample_rate: String(rate) };
  return {
    path: 'exotel',
    frameMs: 100,
    start: () => [
      text(samples.exotel.connected),
      text({ ...samples.exotel.start, start: { ...start, media_format } }),
    ],
    audio: (bytes, chunk) => text(samples.exotel.media(chunk, encodeBase64(bytes))),
  };
};

const telnyx = (encoding: string, rate: number): Shape => {
  const { start } = samples.telnyx.start;
  const media_format = { encoding, sample_rate: rate, channels: 1 };
  return {
    path: 'telnyx',
    start: () => [
      text(samples.telnyx.connected),
      text({ ...samples.telnyx.start, start: { ...start, media_format } }),
    ],
    audio: (bytes, chunk) => text(samples.telnyx.media(chunk, encodeBase64(bytes))),
  };
};

const plivo = (encoding: string, rate: number): Shape => {
  const { start } = samples.plivo.start;
  const mediaFormat = { encoding: `audio/x-${encoding}`, sampleRate: rate };
  return {
    path: 'plivo',
    start: () => [text({ ...samples.plivo.start, start: { ...start, mediaFormat } })],
    audio: (bytes, chunk) => text(samples.plivo.media(chunk, encodeBase64(bytes))),
  };
};

const vonage = (rate: number): Shape => ({
  path: 'vonage',
  start: () => [text({ ...samples.vonage.connected, 'content-type': `audio/l16;rate=${rate}` })],
  audio: binary,
});

const jambonz = (rate: number): Shape => ({
  path: 'jambonz',
  start: () => [text({ ...samples.jambonz.attributes, sampleRate: rate })],
  audio: binary,
});

/** A module of FreeSWITCH. */
const module = (path: string, rate: number, query: Record<string, string> = {}): Shape => ({
  path,
  query,
  start: (callId) => [text({ ...samples.freeSwitch.start, call_id: callId, sampleRate: rate })],
  audio: binary,
});

/** somleng-switch writes its messages by hand; the payload stands where its sample has silence. */
const modTwilioStream: Shape = {
  path: 'mod_twilio_stream',
  start: () => [samples.modTwilioStream.start],
  audio: (bytes, chunk) =>
    samples.modTwilioStream
      .media(chunk)
      .replace(/"payload": "[^"]*"/, () => `"payload": "${encodeBase64(bytes)}"`),
};

export const wires: readonly Wire[] = [
  wire(BASELINE, native('binary', 'mulaw', 8_000), 'mulaw', 8_000),
  wire('native, binary A-law 8', native('binary', 'alaw', 8_000), 'alaw', 8_000),
  wire('native, binary L16 8', native('binary', 'l16', 8_000), 'l16', 8_000),
  wire('native, binary L16 16', native('binary', 'l16', 16_000), 'l16', 16_000),
  wire('native, JSON μ-law 8', native('json', 'mulaw', 8_000), 'mulaw', 8_000),
  wire('native, JSON A-law 8', native('json', 'alaw', 8_000), 'alaw', 8_000),
  wire('native, JSON L16 16', native('json', 'l16', 16_000), 'l16', 16_000),
  wire('twilio, μ-law 8', twilio, 'mulaw', 8_000),
  wire('auto (twilio, μ-law 8)', { ...twilio, path: 'auto' }, 'mulaw', 8_000),
  wire('mod_twilio_stream, μ-law 8', modTwilioStream, 'mulaw', 8_000),
  wire('telnyx, PCMU 8', telnyx('PCMU', 8_000), 'mulaw', 8_000),
  wire('telnyx, PCMA 8', telnyx('PCMA', 8_000), 'alaw', 8_000),
  wire('telnyx, L16 16', telnyx('L16', 16_000), 'l16', 16_000),
  wire('plivo, μ-law 8', plivo('mulaw', 8_000), 'mulaw', 8_000),
  wire('plivo, L16 8', plivo('l16', 8_000), 'l16', 8_000),
  wire('plivo, L16 16', plivo('l16', 16_000), 'l16', 16_000),
  wire('exotel, L16 8', exotel(8_000), 'l16', 8_000),
  wire('exotel, L16 16', exotel(16_000), 'l16', 16_000),
  wire('exotel, L16 24', exotel(24_000), 'l16', 24_000),
  wire('vonage, L16 8', vonage(8_000), 'l16', 8_000),
  wire('vonage, L16 16', vonage(16_000), 'l16', 16_000),
  wire('vonage, L16 24', vonage(24_000), 'l16', 24_000),
  wire('jambonz, L16 8', jambonz(8_000), 'l16', 8_000),
  wire('jambonz, L16 16', jambonz(16_000), 'l16', 16_000),
  wire('freeswitch, L16 8', module('freeswitch', 8_000), 'l16', 8_000),
  wire('freeswitch, L16 16', module('freeswitch', 16_000), 'l16', 16_000),
  wire('freeswitch, L16 24', module('freeswitch', 24_000), 'l16', 24_000),
  wire('mod_audio_fork, L16 8', module('mod_audio_fork', 8_000), 'l16', 8_000),
  wire('mod_audio_fork, L16 16', module('mod_audio_fork', 16_000), 'l16', 16_000),
  wire('mod_audio_stream, files, L16 8', module('mod_audio_stream', 8_000), 'l16', 8_000),
  wire('mod_audio_stream, binary, L16 8', streamed(8_000), 'l16', 8_000),
  wire('mod_audio_stream, binary, L16 16', streamed(16_000), 'l16', 16_000),
];

/** Those that are also measured with sockets: each dialect, and where audio is converted. */
export const onSockets: readonly string[] = [
  BASELINE,
  'native, binary L16 16',
  'native, JSON μ-law 8',
  'twilio, μ-law 8',
  'auto (twilio, μ-law 8)',
  'mod_twilio_stream, μ-law 8',
  'telnyx, L16 16',
  'plivo, μ-law 8',
  'exotel, L16 8',
  'vonage, L16 16',
  'vonage, L16 24',
  'jambonz, L16 8',
  'freeswitch, L16 8',
  'freeswitch, L16 16',
  'mod_audio_fork, L16 8',
  'mod_audio_stream, files, L16 8',
];

function streamed(rate: number): Shape {
  return module('mod_audio_stream', rate, { playback: 'binary' });
}

function wire(name: string, shape: Shape, encoding: AudioEncoding, rate: number): Wire {
  return { name, query: {}, frameMs: 20, encoding, rate, ...shape };
}

/** So many of the far end's messages of a line on which somebody speaks, or nobody. */
export function messagesOf(wire: Wire, line: 'voice' | 'quiet', messages: number): (string | Uint8Array)[] {
  const { rate, frameMs, encoding } = wire;
  const frame = (rate / 1_000) * frameMs;
  // A second is whole periods of the voice, and whole frames.
  const second = { voice, quiet }[line](rate, 1_000);
  const frames = Array.from({ length: 1_000 / frameMs }, (_, i) =>
    bytesOf(second.slice(i * frame, (i + 1) * frame), encoding),
  );
  return Array.from({ length: messages }, (_, i) => wire.audio(frames[i % frames.length]!, i + 1));
}

function bytesOf(audio: Int16Array, encoding: AudioEncoding): Uint8Array {
  return { mulaw: encodeMulaw, alaw: encodeAlaw, l16: encodePcm16 }[encoding](audio);
}
