import { type PlatformItem, platformPrices } from '../../src/cost/platform-prices.ts';
import { costOf } from '../../src/cost/price.ts';
import { prices } from '../../src/cost/prices.ts';
import type { Usage } from '../../src/providers/ports.ts';
import type { CostArguments } from './arguments.ts';
import { measured } from './measured.ts';

/** A month of 30 days, as the documents count. */
const DAYS = 30;
const SECONDS = 86_400;

/** How much is talked, derived from the command line. */
export interface Load {
  /** Calls at once in the busy hours, and seconds a month for which that holds. */
  concurrent: number;
  busySeconds: number;
  /** A month. */
  calls: number;
  minutes: number;
  turns: number;
}

export type Group = 'Cloudflare' | 'vendors' | 'database' | 'servers';

export interface Line {
  group: Group;
  item: string;
  /** Billed units, after what is included. */
  quantity: number;
  unit: string;
  usd: number;
  source: string;
  standing: string;
  note?: string;
}

export interface Bill {
  load: Load;
  lines: Line[];
  total: number;
}

export function loadOf({ calls, hours, monthly, minutes, turns }: CostArguments): Load {
  const month = DAYS * SECONDS;
  const busySeconds = monthly === undefined ? hours * 3_600 * DAYS : month;
  const concurrent = monthly === undefined ? calls : (monthly * minutes * 60) / month;
  const callMinutes = (concurrent * busySeconds) / 60;
  return {
    concurrent,
    busySeconds,
    calls: callMinutes / minutes,
    minutes: callMinutes,
    turns: callMinutes * (turns ?? measured.turnsAMinute),
  };
}

/** The month's bill. */
export function billOf(options: CostArguments): Bill {
  const load = loadOf(options);
  const lines = [
    ...vendors(options, load),
    ...objects(options, load),
    ...recordings(options, load),
    ...around(load),
  ];
  return { load, lines, total: lines.reduce((sum, { usd }) => sum + usd, 0) };
}

export function groupTotal({ lines }: Bill, group: Group): number {
  return lines.filter((line) => line.group === group).reduce((sum, { usd }) => sum + usd, 0);
}

function platform(
  item: string,
  name: PlatformItem,
  units: number,
  group: Group = 'Cloudflare',
  why?: string,
): Line {
  const price = platformPrices[name];
  const quantity = Math.max(0, units - price.included);
  const note = [why, 'note' in price ? price.note : undefined].filter(Boolean).join(' ');
  return {
    group,
    item,
    quantity,
    unit: price.unit,
    usd: quantity * price.usd,
    source: price.source,
    standing: price.standing,
    ...(note === '' ? {} : { note }),
  };
}

const million = 1_000_000;

function vendors(options: CostArguments, { turns }: Load): Line[] {
  const { stt, llm, tts, prompt } = options;
  // Files are transcribed ahead at each pause; what is streamed is sent once.
  const files = isOfFiles(stt);
  const seconds = files
    ? measured.transcribedSecondsATurn + measured.transcribedInVainSecondsATurn
    : measured.callerSpeechSecondsATurn + measured.pauseSecondsATurn;
  return [
    vendor(
      'speech to text',
      stt,
      turns,
      { audioSeconds: seconds },
      files ? 'Transcribed ahead at each pause as well.' : undefined,
    ),
    vendor('language model', llm, turns, {
      inputTokens: measured.inputTokensATurn + prompt,
      outputTokens: measured.outputTokensATurn,
    }),
    vendor('text to speech', tts, turns, { characters: measured.charactersATurn }),
  ];
}

export function isOfFiles(stt: string): boolean {
  return ['openai/gpt-transcribe', 'openai/whisper-1'].includes(stt) || stt.startsWith('workers-ai/');
}

/** Priced as in a call, by the million turns, so that no rounding of a turn is multiplied. */
function vendor(
  item: string,
  provider: string,
  turns: number,
  aTurn: Omit<Usage, 'provider'>,
  why?: string,
): Line {
  const price = prices[provider]!;
  const aMillion = Object.fromEntries(
    Object.entries(aTurn).map(([unit, amount]) => [unit, Number(amount) * million]),
  );
  const cost = costOf({ provider, ...aMillion }, price.perMillion);
  if (cost === null) throw new RangeError(`${provider} is no ${item}: it has no price for that`);
  const note = [why, price.note].filter(Boolean).join(' ');
  return {
    group: 'vendors',
    item: `${item}: ${provider}`,
    quantity: turns / million,
    unit: 'million turns',
    usd: (cost / million) * (turns / million),
    source: price.source,
    standing: price.standing,
    ...(note === '' ? {} : { note }),
  };
}

function objects({ frame, minutes, spool }: CostArguments, load: Load): Line[] {
  const { calls, concurrent, busySeconds } = load;
  const lifeSeconds = concurrent * busySeconds + calls * measured.lingerSecondsACall;
  // The objects that count, and hand out permits: by default 4 and 16, in memory for as long as anybody calls.
  const shards = 20 * busySeconds;
  const messages = (load.minutes * 60 * 1_000) / frame;
  const others = calls * (measured.objectRequestsACall + minutes * measured.objectRequestsAMinute);
  const rows =
    calls * measured.rowsACall +
    load.turns * measured.rowsATurn +
    load.minutes * (measured.rowsAMinute + (measured.spoolRowsAMinute * 2) / spool);
  // Both sides, two bytes a sample, on average for half of the call's length.
  const spooledGb = (concurrent * (busySeconds / (DAYS * SECONDS)) * minutes * 60 * 32_000) / 2 / 1e9;
  return [
    platform('plan', 'workersPlan', 1),
    platform('Worker: requests', 'workerRequests', (calls * measured.workerRequestsACall) / million),
    platform(
      'Worker: CPU',
      'workerCpu',
      (calls * measured.workerRequestsACall * measured.workerCpuMs) / million,
      'Cloudflare',
      'Assumed: 5 ms a request; an object’s CPU is not billed.',
    ),
    platform('objects: duration', 'objectDuration', ((lifeSeconds + shards) * 0.128) / million),
    platform(`objects: messages of ${frame} ms`, 'objectRequests', messages / 20 / million),
    // What is included is taken off the line before.
    platform(
      'objects: other requests and alarms',
      'objectRequests',
      others / million + platformPrices.objectRequests.included,
    ),
    platform('objects: rows written', 'rowsWritten', rows / million),
    platform('objects: recordings in the making', 'objectStorage', spooledGb),
  ];
}

/** Bytes a second of one channel at 8 kHz; Ogg Opus as `npm test -- hour` has it. */
const bytesASecond = { wav: 16_000, 'mulaw-wav': 8_000, 'ogg-opus': measured.opusBytesASecond, none: 0 };
const partBytes = 5 * 1024 * 1024;

function recordings({ recording, minutes, infrequent, retention }: CostArguments, load: Load): Line[] {
  if (recording === 'none') return [];
  const bytes = minutes * 60 * bytesASecond[recording];
  // One request, or the beginning, the parts and the end of an upload.
  const writes = bytes <= partBytes ? 1 : 2 + Math.ceil(bytes / partBytes);
  const gbADay = (load.calls * bytes) / DAYS / 1e9;
  const standardDays = Math.min(
    infrequent === 0 ? retention : infrequent,
    retention || Number.POSITIVE_INFINITY,
  );
  const days = retention === 0 ? 365 : retention;
  const kept = (daysKept: number) => gbADay * Math.max(0, daysKept);
  const moves = standardDays < days;
  return [
    platform('recordings: writes', 'r2Writes', (load.calls * writes) / million),
    platform(
      `recordings: ${standardDays} days`,
      'r2Storage',
      kept(Math.min(standardDays, days)),
      'Cloudflare',
      'Once the first ones are that old.',
    ),
    ...(moves
      ? [
          platform('recordings: moved', 'r2InfrequentWrites', load.calls / million),
          platform(`recordings: ${days - standardDays} days more`, 'r2Infrequent', kept(days - standardDays)),
        ]
      : []),
  ];
}

/** Which server takes so many of the log's requests a second: a guess, since nobody has measured the hosted ones. */
function serverFor(requestsASecond: number): PlatformItem {
  if (requestsASecond <= 20) return 'supabaseMicro';
  if (requestsASecond <= 200) return 'supabaseLarge';
  return requestsASecond <= 1_000 ? 'supabase2Xl' : 'supabase16Xl';
}

function around(load: Load): Line[] {
  const { calls, concurrent, busySeconds, turns } = load;
  const nodes = Math.ceil(concurrent / measured.callsANode);
  const events = calls * (measured.logEventsACall + (load.minutes / calls) * measured.objectRequestsAMinute);
  const diskGb = (calls * measured.databaseBytesACall + turns * measured.databaseBytesATurn) / 1e9;
  const requests = calls * 3 + load.minutes * 2;
  return [
    platform(
      'KV: ready audio',
      'kvReads',
      calls / million,
      'Cloudflare',
      'At most one look-up a call: an isolate keeps what it has read.',
    ),
    platform(
      'Analytics Engine',
      'analyticsPoints',
      (2 * turns + 3 * calls) / million,
      'Cloudflare',
      'A point for what the caller says and for its answer, three a call (docs/metrics.md).',
    ),
    platform('logs', 'logEvents', events / million, 'Cloudflare', 'Each invocation is an event.'),
    platform('Supabase: plan', 'supabasePlan', 1, 'database'),
    platform(
      'Supabase: compute',
      serverFor(requests / busySeconds),
      1,
      'database',
      `${Math.ceil(requests / busySeconds).toLocaleString('en')} requests a second in the busy hours; which size takes them is assumed.`,
    ),
    platform(
      'Supabase: disk, first month',
      'supabaseDisk',
      diskGb,
      'database',
      'Each further month adds as much, unless rows are deleted.',
    ),
    platform(
      'FreeSWITCH nodes',
      'node',
      nodes,
      'servers',
      `${measured.callsANode.toLocaleString('en')} calls would fill eight cores: 100 were measured, on half of one.`,
    ),
  ];
}
