import type { Clock } from '../call/clock.ts';
import type { StartedCallFacts } from '../call/events.ts';
import type { Config } from '../config.ts';
import type { RedactionKind } from '../privacy/kinds.ts';
import { maskNumber } from '../privacy/mask.ts';
import { hashNumber } from '../privacy/number-hash.ts';
import { countriesOf, nationalDigits } from '../privacy/phones.ts';
import { type RedactionOptions, redact } from '../privacy/redaction.ts';
import type { RecordedFailure, RecordedTransfer, RecordedTurn } from '../records/call-records.ts';
import { waited } from './recordings/gate.ts';

/**
 * Text that is looked through at once, in characters: some 20 minutes of talk. No other call of the isolate has its turn meanwhile, for as
 * long as `npm run bench -- redaction` prints, so longer transcripts are taken in parts.
 */
const AT_ONCE = 20_000;
/** Turns before the new ones that are looked at again: a number may have been asked for there. */
const LOOK_BACK = 20;

/** What is used of a call that was read back from its journal. */
interface JournaledTranscript {
  call: StartedCallFacts;
  turns: RecordedTurn[];
  failures: RecordedFailure[];
  /** The language that the caller was last heard to speak. */
  language: string | null;
}

/** What carriers, and the operator's parameters, call the other party's number by. */
const NUMBER_FIELDS = ['phoneNumber', 'from'];

/**
 * A call as the database gets it: its number by `STORED_PHONE_NUMBERS`, and likewise in the metadata, where carriers have it once more
 * (`dialects/identity.ts`): under the names that it has, and in whatever else holds its digits. The metadata has the call's trace
 * besides, as `traceId`.
 */
export async function storedCall<Call extends StoredFields>(call: Call, config: Config): Promise<Call> {
  const stored = await withStoredNumber(call, config);
  if (call.trace === undefined) return stored;
  return { ...stored, metadata: { ...stored.metadata, traceId: call.trace.traceId } };
}

/** What of a call is stored otherwise than it was said. */
type StoredFields = Pick<StartedCallFacts, 'phoneNumber' | 'metadata' | 'trace'>;

async function withStoredNumber<Call extends StoredFields>(call: Call, config: Config): Promise<Call> {
  const { phoneNumber } = call;
  if (config.STORED_PHONE_NUMBERS === 'plain') return call;
  const store = (number: string) => storedNumber(number, config);
  const stored = phoneNumber === null || phoneNumber === '' ? phoneNumber : await store(phoneNumber);
  const digits = phoneNumber === null ? null : nationalDigits(phoneNumber);
  const metadata = withoutNumber(call.metadata, digits, stored ?? '') as Record<string, unknown>;
  for (const field of NUMBER_FIELDS) {
    const number = metadata[field];
    if (typeof number !== 'string' || number === '') continue;
    if (call.metadata[field] === phoneNumber) metadata[field] = stored;
    else if (number !== stored) metadata[field] = await store(number);
  }
  return { ...call, phoneNumber: stored, metadata };
}

async function storedNumber(number: string, config: Config): Promise<string> {
  const { STORED_PHONE_NUMBERS: how, PERSONAL_DATA_KEY: key } = config;
  if (how === 'plain') return number;
  // Without its key nothing can be hashed, and the plain number is what must not be stored.
  return how === 'hashed' && key !== undefined ? await hashNumber(key, number) : maskNumber(number);
}

/** A SIP address whose user is a number, as trunks and telephone systems have them. */
const SIP_NUMBER = /^(sips?:)(\+?\d{5,})(@.+)$/;

/** Where callers were connected to, by `STORED_PHONE_NUMBERS` as well: a number that the model has chosen is somebody's. */
export async function storedTransfers(
  transfers: readonly RecordedTransfer[],
  config: Config,
): Promise<RecordedTransfer[]> {
  const stored = async (to: string) => {
    const [, scheme, number, host] = SIP_NUMBER.exec(to) ?? [];
    if (number !== undefined) return `${scheme}${await storedNumber(number, config)}${host}`;
    return to.startsWith('+') ? await storedNumber(to, config) : to;
  };
  return await Promise.all(transfers.map(async (each) => ({ ...each, to: await stored(each.to) })));
}

/** A copy in which `stored` stands for every text and number that holds these digits. Its depth is bounded where it comes in. */
function withoutNumber(value: unknown, digits: string | null, stored: string): unknown {
  if (typeof value === 'string' || typeof value === 'number') {
    return digits !== null && String(value).replace(/\D/g, '').includes(digits) ? stored : value;
  }
  if (Array.isArray(value)) return value.map((each) => withoutNumber(each, digits, stored));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, withoutNumber(each, digits, stored)]),
  );
}

/**
 * Turns from `from` on that a call in progress may store: without what its agent wants taken out, and none in which a number is still
 * being dictated.
 */
export function turnsToStore(journaled: JournaledTranscript, from: number, config: Config): RecordedTurn[] {
  const { turns, call } = journaled;
  if (kindsOf(call).length === 0) return turns.slice(from);
  const first = Math.max(0, from - LOOK_BACK);
  const looked = turns.slice(first);
  const { turns: texts, settled } = redact(looked, [], optionsOf(journaled, config));
  return looked
    .slice(0, settled)
    .flatMap((turn, i) => (first + i < from ? [] : [{ ...turn, text: texts[i]! }]));
}

/** The whole transcript and the failures' messages, without what the agent wants taken out. */
export async function transcriptToStore(
  journaled: JournaledTranscript,
  config: Config,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ turns: RecordedTurn[]; failures: RecordedFailure[] }> {
  const { turns, failures, call } = journaled;
  if (kindsOf(call).length === 0) return { turns, failures };
  const options = optionsOf(journaled, config);
  const found = new Map<string, RedactionKind>();
  const stored: RecordedTurn[] = [];
  while (stored.length < turns.length) {
    const part = partFrom(turns, stored.length);
    const last = stored.length + part.length === turns.length;
    const { turns: texts, settled } = redact(part, [], options, found);
    // What is settled in no turn of so much text is a number without an end.
    const taken = last || settled === 0 ? part.length : settled;
    stored.push(...part.slice(0, taken).map((turn, i) => ({ ...turn, text: texts[i]! })));
    if (!last) await waited(clock, 0, signal);
  }
  const { notes } = redact(
    [],
    failures.map(({ message }) => message),
    options,
    found,
  );
  return { turns: stored, failures: failures.map((failure, i) => ({ ...failure, message: notes[i]! })) };
}

function partFrom(turns: readonly RecordedTurn[], from: number): RecordedTurn[] {
  let to = from;
  for (let characters = 0; to < turns.length && characters < AT_ONCE; to++)
    characters += turns[to]!.text.length;
  return turns.slice(from, to);
}

/** A call that began under an older version has none. */
function kindsOf({ redaction }: StartedCallFacts): readonly RedactionKind[] {
  return redaction ?? [];
}

function optionsOf({ call, language }: JournaledTranscript, config: Config): RedactionOptions {
  const number = call.phoneNumber === null ? null : nationalDigits(call.phoneNumber);
  return {
    kinds: kindsOf(call),
    countries: countriesOf(call.phoneNumber, [language, config.AGENT_LANGUAGE ?? null]),
    known: number === null ? [] : [number],
  };
}
