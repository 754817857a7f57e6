import type { CountryCode } from 'libphonenumber-js/max';
import { cardsIn } from './cards.ts';
import { type DigitRun, digitRuns, digitsOf, partOf, partsThat } from './digit-runs.ts';
import { emailsIn } from './emails.ts';
import { identitiesIn } from './identities.ts';
import { type RedactionKind, redactionKinds } from './kinds.ts';
import { phonesIn } from './phones.ts';
import { type WrittenDigits, writeDigits } from './spoken-digits.ts';

export interface RedactionOptions {
  kinds: readonly RedactionKind[];
  /** Countries whose telephone numbers are known without their code. */
  countries: readonly CountryCode[];
  /** National digits of the call's own numbers. */
  known: readonly string[];
}

interface SaidText {
  role: 'caller' | 'agent';
  text: string;
}

export interface Redacted {
  /** The texts of the turns, in their order. */
  turns: string[];
  /** The other texts. */
  notes: string[];
  /** Turns from the first on in which nothing changes any more, whatever follows: no number is being dictated in them. */
  settled: number;
}

/** What one side says, as one text: a number may be dictated over several turns, with the other's "go on" between. */
interface Stream {
  source: string;
  written: WrittenDigits;
  runs: DigitRun[];
  /** The turns in it, and where each begins. */
  parts: { turn: number; start: number }[];
  /** Of each character of the source: the kind that covers it, from 1; 0: none. */
  covered: Uint8Array;
}

/** An agent that repeats a number repeats groups of it; three digits are a price. */
const FEWEST_REPEATED = 4;
/** The longest card's number with the date and the code after it. */
const LONGEST_REPEATED = 30;
/** Numbers that are looked for again; a call has a few. */
const MOST_FOUND = 100;

/**
 * Takes personal data out of a transcript, and of other texts of the same call: `[card]`, `[email]`, `[phone]`, `[identity]` stand in
 * its place. What is found once is found wherever it or a part of it is said again.
 *
 * @param found numbers that were found before, by their digits; those that are found now are added.
 */
export function redact(
  turns: readonly SaidText[],
  notes: readonly string[],
  options: RedactionOptions,
  found = new Map<string, RedactionKind>(),
): Redacted {
  if (options.kinds.length === 0)
    return { turns: turns.map(({ text }) => text), notes: [...notes], settled: turns.length };
  const sides = (['caller', 'agent'] as const).map((role) =>
    streamOf(turns.flatMap((turn, index) => (turn.role === role ? [{ turn: index, text: turn.text }] : []))),
  );
  const others = notes.map((text, index) => streamOf([{ turn: index, text }]));
  const streams = [...sides, ...others];
  for (const stream of streams) coverFound(stream, turns, options, found);
  const repeated = groupsOf(found);
  if (repeated.size > 0) for (const stream of streams) coverRepeated(stream, repeated);
  const texts = turns.map(({ text }) => text);
  for (const side of sides) for (const [turn, text] of shownOf(side)) texts[turn] = text;
  return {
    turns: texts,
    notes: others.map((stream) => shownOf(stream)[0]![1]),
    settled: Math.min(turns.length, ...sides.map(settledOf)),
  };
}

function streamOf(turns: readonly { turn: number; text: string }[]): Stream {
  let source = '';
  const parts = turns.map(({ turn, text }) => {
    const start = source.length;
    source += `${text}\n`;
    return { turn, start };
  });
  const written = writeDigits(source);
  return { source, written, runs: digitRuns(written.text), parts, covered: new Uint8Array(source.length) };
}

function coverFound(
  stream: Stream,
  turns: readonly SaidText[],
  { kinds, countries, known }: RedactionOptions,
  found: Map<string, RedactionKind>,
): void {
  const { written, runs } = stream;
  const remember = (run: DigitRun, kind: RedactionKind) => {
    if (found.size < MOST_FOUND) found.set(digitsOf(run), kind);
    cover(stream, run, kind);
  };
  const named = (at: number) => namedBefore(stream, turns, at);
  const finders: Record<RedactionKind, () => void> = {
    card: () => {
      for (const run of runs) for (const card of cardsIn(run)) remember(card, 'card');
    },
    identity: () => {
      for (const span of identitiesIn(written.text, runs, (at) => named(at) === 'identity')) {
        const digits = written.text.slice(span.start, span.end).replace(/\D/g, '');
        if (digits.length >= FEWEST_REPEATED && found.size < MOST_FOUND) found.set(digits, 'identity');
        cover(stream, span, 'identity');
      }
    },
    email: () => {
      for (const span of emailsIn(written.text)) cover(stream, span, 'email');
    },
    phone: () => {
      const namedAt = (at: number) => {
        const name = named(at);
        return name === 'phone' || name === null ? name : 'other';
      };
      for (const run of runs) {
        for (const phone of phonesIn(run, { countries, known, namedAt })) remember(phone, 'phone');
      }
    },
  };
  for (const kind of redactionKinds) if (kinds.includes(kind)) finders[kind]();
}

/** Groups of a number that was found, said once more. */
function coverRepeated(stream: Stream, repeated: ReadonlyMap<string, RedactionKind>): void {
  for (const run of stream.runs) {
    for (const { from, to } of partsThat(run, LONGEST_REPEATED, (digits) => repeated.has(digits))) {
      const part = partOf(run, from, to);
      cover(stream, part, repeated.get(digitsOf(part))!);
    }
  }
}

/** All groups that the numbers may be repeated in. */
function groupsOf(found: ReadonlyMap<string, RedactionKind>): Map<string, RedactionKind> {
  const groups = new Map<string, RedactionKind>();
  for (const [number, kind] of found) {
    const digits = number.slice(0, LONGEST_REPEATED);
    for (let from = 0; from < digits.length; from++) {
      for (let to = from + FEWEST_REPEATED; to <= digits.length; to++) {
        const group = digits.slice(from, to);
        if (!groups.has(group)) groups.set(group, kind);
      }
    }
  }
  return groups;
}

function cover(
  { written, covered }: Stream,
  { start, end }: { start: number; end: number },
  kind: RedactionKind,
) {
  const value = redactionKinds.indexOf(kind) + 1;
  const [from, to] = [written.starts[start]!, written.ends[end - 1]!];
  for (let i = from; i < to; i++) if (covered[i] === 0) covered[i] = value;
}

/** Each turn of the stream, with the kind's name in place of what is covered. */
function shownOf({ source, parts, covered }: Stream): [number, string][] {
  return parts.map(({ turn, start }, index) => {
    const end = (parts[index + 1]?.start ?? source.length) - 1;
    let text = '';
    let i = start;
    while (i < end) {
      const value = covered[i]!;
      const from = i;
      while (i < end && covered[i] === value) i++;
      text += value === 0 ? source.slice(from, i) : `[${redactionKinds[value - 1]}]`;
    }
    return [turn, text];
  });
}

/** Where the last run reaches the end, more of it may come: its turns wait. */
function settledOf({ written, runs, parts }: Stream): number {
  const last = runs.at(-1);
  if (last === undefined || /[\p{L}]{2}/u.test(written.text.slice(last.end))) return Number.POSITIVE_INFINITY;
  return turnAt(parts, written.starts[last.start]!).turn;
}

function turnAt(parts: Stream['parts'], at: number): { turn: number; start: number } {
  let [low, high] = [0, parts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (parts[middle]!.start <= at) low = middle;
    else high = middle - 1;
  }
  return parts[low]!;
}

// --- what a number is called before it is said ---

const NAMES = [
  ['identity', /\b(?:social security|ssn|national insurance|ni number|tax id|identity|identification)\b/gi],
  [
    'phone',
    /\b(?:phone|telephone|mobile|cell|cellphone|landline|whatsapp|(?:call|ring|reach|text|phone) (?:me|you|us|him|her|them|back)|telefon\w*|handy\w*|teléfono|móvil|téléphone|portable)\b/gi,
  ],
  [
    'other',
    /\b(?:order|reference|ref|account|invoice|booking|ticket|tracking|policy|customer|serial|confirmation|case|model|article|part|isbn|bestell\w*|rechnung\w*|kunden\w*)\b/gi,
  ],
] as const;
type Name = (typeof NAMES)[number][0];

/** How far back a name counts, in characters of the same turn, and of the one before it. */
const NAME_REACH = 80;
const ANSWER_REACH = 40;

/** What the nearest words before a place call the number there: in its own turn, or in the one that it answers. */
function namedBefore(stream: Stream, turns: readonly SaidText[], at: number): Name | null {
  const { written, parts } = stream;
  const source = written.starts[at]!;
  const { turn, start } = turnAt(parts, source);
  // In the source: a name has no digit in it, and a turn's text may have become shorter.
  const own = nearestName(stream.source.slice(Math.max(start, source - NAME_REACH), source));
  if (own !== null || source - start > ANSWER_REACH) return own;
  return nearestName(turns[turn - 1]?.text.slice(-2 * NAME_REACH) ?? '');
}

function nearestName(text: string): Name | null {
  let nearest: { name: Name; end: number } | null = null;
  for (const [name, pattern] of NAMES) {
    for (const { 0: match, index } of text.matchAll(pattern)) {
      const end = index + match.length;
      if (nearest === null || end > nearest.end) nearest = { name, end };
    }
  }
  return nearest?.name ?? null;
}
