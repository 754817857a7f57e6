import { jambonz, modAudioFork } from './audio-fork.ts';
import { AutoDialect } from './auto.ts';
import type { DialectEntry } from './carrier.ts';
import { exotel } from './exotel.ts';
import { freeSwitch } from './freeswitch.ts';
import { modAudioStream } from './mod-audio-stream.ts';
import { createNativeDialect } from './native.ts';
import { plivo } from './plivo.ts';
import { telnyx } from './telnyx.ts';
import { modTwilioStream, twilio } from './twilio.ts';
import { vonage } from './vonage.ts';

/** Those that a leg may turn out to speak, in the order in which they are tried. */
const recognised: readonly DialectEntry[] = [
  twilio,
  exotel,
  telnyx,
  plivo,
  vonage,
  jambonz,
  freeSwitch,
  modAudioStream,
];

/** The dialect of `/ws/call-session`. Its clients wait for `ready` before they say anything. */
const native: DialectEntry = {
  path: 'call-session',
  subprotocols: [],
  beginsWith: () => false,
  create: ({ send }) => createNativeDialect(send),
};

const auto: DialectEntry = {
  path: 'auto',
  subprotocols: [],
  beginsWith: () => false,
  create: (context) => new AutoDialect(context, recognised, freeSwitch),
};

/** Every dialect, by its path beneath `/ws/`. */
export const dialects: readonly DialectEntry[] = [native, ...recognised, modTwilioStream, modAudioFork, auto];

/**
 * The dialect of a path; at `/ws/auto` the one of the subprotocol, where there is one that tells.
 *
 * @param offered the request's `Sec-WebSocket-Protocol`.
 */
export function dialectAt(path: string, offered: string | null): DialectEntry | null {
  const entry = dialects.find((known) => known.path === path);
  if (entry !== auto) return entry ?? null;
  const names = subprotocolsOf(offered);
  return dialects.find(({ subprotocols }) => subprotocols.some((name) => names.includes(name))) ?? auto;
}

function subprotocolsOf(offered: string | null): string[] {
  return (offered ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
