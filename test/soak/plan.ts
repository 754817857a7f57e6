import type { AudioEncoding, SampleRate } from '../../src/dialects/native-messages.ts';
import type { FarEndName } from '../../tools/caller/ends/registry.ts';
import { seeded } from '../support/random.ts';
import { interruptions, longAnswers, questions } from './questions.ts';

export const callerKinds = ['talker', 'interrupter', 'silent', 'dropper', 'abuser'] as const;
export type CallerKind = (typeof callerKinds)[number];

export const abuses = [
  /** Thirty malformed messages; the call goes on. */
  'malformed',
  /** More malformed messages than a call may have. */
  'babble',
  'too large',
  'too fast',
  'flood',
  /** Audio, keys and garbage before `start_call`. */
  'wrong order',
  /** A socket on which `start_call` never comes. */
  'half-open',
  'second start',
  /** Somebody else's call, without its token. */
  'stolen id',
  /** Another id than the URL's. */
  'other id',
] as const;
export type Abuse = (typeof abuses)[number];

/** How a caller's end of the wire speaks. */
export interface Wire {
  /** Absent: the native dialect. */
  as?: FarEndName;
  transport: 'json' | 'binary';
  encoding: AudioEncoding;
  sampleRate: SampleRate;
}

interface Caller {
  /** In the order in which calls are begun. */
  index: number;
  wire: Wire;
  /** Whether the client names the call, in the URL; otherwise the service does, or its carrier. */
  namesCall: boolean;
  user: string;
  /** Between the end of this caller's call and the next one on the same line, in milliseconds. */
  restMs: number;
}

/** Everything that is decided about a call before it begins. `questions` are indices of `questions.ts`. */
export type CallPlan = Caller &
  (
    | { kind: 'talker'; questions: number[]; pausesMs: number[] }
    | { kind: 'interrupter'; question: number; afterMs: number; interruption: number }
    | { kind: 'silent'; asks: number | null }
    | { kind: 'dropper'; returns: boolean; questions: [number, number]; afterMs: number }
    | { kind: 'abuser'; abuse: Abuse; seed: number }
  );

/** Out of a hundred calls. */
const shares: readonly [CallerKind, number][] = [
  ['talker', 42],
  ['interrupter', 15],
  ['silent', 8],
  ['dropper', 15],
  ['abuser', 20],
];

const native: readonly Wire[] = [
  { transport: 'json', encoding: 'mulaw', sampleRate: 8000 },
  { transport: 'binary', encoding: 'mulaw', sampleRate: 8000 },
  { transport: 'json', encoding: 'alaw', sampleRate: 8000 },
  { transport: 'binary', encoding: 'l16', sampleRate: 16000 },
];
const carriers: readonly Wire[] = (['twilio', 'freeswitch', 'telnyx', 'exotel'] as const).map((as) => ({
  as,
  transport: 'binary',
  encoding: 'mulaw',
  sampleRate: 8000,
}));

const USERS = 7;
const MOST_REST_MS = 1_500;

/** The caller number `index` of a run: the same for the same seed, whatever became of the calls before. */
export function planCall(seed: number, index: number): CallPlan {
  const random = seeded(seed * 1_000_003 + index);
  // The first numbers of neighbouring seeds are alike.
  for (let i = 0; i < 4; i++) random.fraction();
  const between = (from: number, to: number) => from + random.whole(to - from);
  const kind = kindOf(random.whole(100));
  // Only the native dialect comes back, and only its errors are told.
  const carrier = (kind === 'talker' || kind === 'silent') && random.whole(5) < 2;
  const wire = random.of(carrier ? carriers : native);
  const caller: Caller = {
    index,
    wire,
    namesCall: carrier ? random.whole(2) === 0 : true,
    user: `soak-${random.whole(USERS)}`,
    restMs: random.whole(MOST_REST_MS),
  };
  const question = () => random.whole(questions.length);
  switch (kind) {
    case 'talker': {
      const asked = distinct(1 + random.whole(4), question);
      return { ...caller, kind, questions: asked, pausesMs: asked.map(() => between(200, 2_000)) };
    }
    case 'interrupter': {
      const interruption = random.whole(interruptions.length);
      return {
        ...caller,
        kind,
        question: random.of(longAnswers),
        afterMs: between(1_000, 2_500),
        interruption,
      };
    }
    case 'silent':
      return { ...caller, kind, asks: random.whole(2) === 0 ? question() : null };
    case 'dropper': {
      const [first, second] = distinct(2, question) as [number, number];
      return {
        ...caller,
        kind,
        returns: random.whole(3) < 2,
        questions: [first, second],
        afterMs: between(0, 3_000),
      };
    }
    case 'abuser':
      return { ...caller, kind, abuse: random.of(abuses), seed: random.whole(2 ** 31) };
  }
}

function kindOf(percent: number): CallerKind {
  let sum = 0;
  for (const [kind, share] of shares) {
    sum += share;
    if (percent < sum) return kind;
  }
  throw new RangeError(`${percent} of 100`);
}

function distinct(count: number, draw: () => number): number[] {
  const drawn = new Set<number>();
  while (drawn.size < count) drawn.add(draw());
  return [...drawn];
}
