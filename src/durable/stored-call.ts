import type { Clock } from '../call/clock.ts';
import type { StartedCallFacts } from '../call/events.ts';
import type { Config } from '../config.ts';
import type { RedactionKind } from '../privacy/kinds.ts';
import { maskNumber } from '../privacy/mask.ts';
import { hashNumber } from '../privacy/number-hash.ts';
import { countriesOf, nationalDigits } from '../privacy/phones.ts';
import { type RedactionOptions, redact } from '../privacy/redaction.ts';
import type { RecordedFailure, RecordedTurn } from '../records/call-records.ts';
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

/** A call as the database gets it: its number by `STORED_PHONE_NUMBERS`. */
export async function storedCall(call: StartedCallFacts, config: Config): Promise<StartedCallFacts> {
  const { STORED_PHONE_NUMBERS: how, PERSONAL_DATA_KEY: key } = config;
  const { phoneNumber, metadata } = call;
  if (how === 'plain' || phoneNumber === null || phoneNumber === '') return call;
  // Without its key nothing can be hashed, and the plain number is what must not be stored.
  const stored =
    how === 'hashed' && key !== undefined ? await hashNumber(key, phoneNumber) : maskNumber(phoneNumber);
  return { ...call, phoneNumber: stored, metadata: { ...metadata, phoneNumber: stored } };
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
