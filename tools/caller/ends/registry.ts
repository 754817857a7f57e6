import type { SampleRate } from '../../../src/dialects/native-messages.ts';
import {
  AudioForkEnd,
  FreeSwitchEnd,
  ModAudioForkEnd,
  ModAudioStreamEnd,
  VonageEnd,
} from './binary-streams.ts';
import type { FarEnd, FarEndContext } from './far-end.ts';
import { ExotelEnd, ModTwilioStreamEnd, PlivoEnd, TelnyxEnd, TwilioEnd } from './media-streams.ts';

interface FarEndEntry {
  create(context: FarEndContext): FarEnd;
  subprotocols: readonly string[];
  sampleRates: readonly SampleRate[];
}

const both: readonly SampleRate[] = [8000, 16000];

/** Whom a caller may be, by the dialect's path beneath `/ws/`. */
export const farEnds = {
  freeswitch: { create: (context) => new FreeSwitchEnd(context), subprotocols: [], sampleRates: both },
  mod_audio_stream: {
    create: (context) => new ModAudioStreamEnd(context),
    subprotocols: [],
    sampleRates: both,
  },
  mod_audio_fork: {
    create: (context) => new ModAudioForkEnd(context),
    subprotocols: ['audio.drachtio.org'],
    sampleRates: both,
  },
  jambonz: {
    create: (context) => new AudioForkEnd(context),
    subprotocols: ['audio.jambonz.org'],
    sampleRates: both,
  },
  twilio: { create: (context) => new TwilioEnd(context), subprotocols: [], sampleRates: [8000] },
  mod_twilio_stream: {
    create: (context) => new ModTwilioStreamEnd(context),
    subprotocols: ['audio.somleng.org'],
    sampleRates: [8000],
  },
  exotel: { create: (context) => new ExotelEnd(context), subprotocols: [], sampleRates: both },
  telnyx: { create: (context) => new TelnyxEnd(context), subprotocols: [], sampleRates: both },
  plivo: { create: (context) => new PlivoEnd(context), subprotocols: [], sampleRates: both },
  vonage: { create: (context) => new VonageEnd(context), subprotocols: [], sampleRates: both },
} satisfies Record<string, FarEndEntry>;

export type FarEndName = keyof typeof farEnds;
export const farEndNames = Object.keys(farEnds) as FarEndName[];

export function farEndOf(name: FarEndName): FarEndEntry {
  return farEnds[name];
}
