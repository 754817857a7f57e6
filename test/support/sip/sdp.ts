import type { Endpoint } from './message.ts';

/** What one end of a call says of its audio: where it takes RTP, and what the payload types mean there. */
export interface AudioDescription extends Endpoint {
  /** Encoding names (`PCMU`, `telephone-event`) by payload type, in the order of preference. */
  types: ReadonlyMap<number, string>;
}

/** RFC 3551 §6: types that need no rtpmap. */
const known: Readonly<Record<number, string>> = { 0: 'PCMU', 8: 'PCMA' };

/** Null: there is no audio in it. RFC 8866. */
export function parseSdp(text: string): AudioDescription | null {
  const lines = text.split(/\r?\n/);
  const audio = /^m=audio (\d+) RTP\/AVP ([\d ]+)/.exec(lines.find((line) => line.startsWith('m=')) ?? '');
  const address = /^c=IN IP4 (\S+)/.exec(lines.find((line) => line.startsWith('c=')) ?? '')?.[1];
  if (audio === null || address === undefined) return null;
  const maps = new Map(
    lines.flatMap((line) => {
      const map = /^a=rtpmap:(\d+) ([^/]+)\//.exec(line);
      return map === null ? [] : [[Number(map[1]), map[2] ?? ''] as const];
    }),
  );
  const types = (audio[2] ?? '').trim().split(' ').map(Number);
  return {
    address,
    port: Number(audio[1]),
    types: new Map(types.map((type) => [type, (maps.get(type) ?? known[type] ?? '').toUpperCase()])),
  };
}

/** The payload type of an encoding; null: the description has none. */
export function typeOf(audio: AudioDescription, encoding: string): number | null {
  const wanted = encoding.toUpperCase();
  return [...audio.types].find(([, name]) => name === wanted)?.[0] ?? null;
}

/** μ-law at 8 kHz in packets of 20 ms, and telephone events (RFC 4733). */
export function pcmuSdp({ address, port }: Endpoint, eventType = 101): string {
  const lines = [
    'v=0',
    `o=- ${port} 1 IN IP4 ${address}`,
    's=-',
    `c=IN IP4 ${address}`,
    't=0 0',
    `m=audio ${port} RTP/AVP 0 ${eventType}`,
    'a=rtpmap:0 PCMU/8000',
    `a=rtpmap:${eventType} telephone-event/8000`,
    `a=fmtp:${eventType} 0-15`,
    'a=ptime:20',
    'a=sendrecv',
  ];
  return `${lines.join('\r\n')}\r\n`;
}
