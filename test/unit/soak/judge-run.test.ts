import { expect, it } from 'vitest';
import {
  bounds,
  type CallFigures,
  judgeRun,
  memoryOf,
  type RunFacts,
  type Sample,
} from '../../soak/judge-run.ts';
import { seeded } from '../../support/random.ts';

/** An hour with a call every four seconds. */
const CALLS = 900;
const MINUTES = 60;
const HEAP = 20e6;

const call: CallFigures = {
  beganAt: 0,
  endedAt: 30_000,
  kind: 'talker',
  words: { errors: 1, words: 12 },
  answers: [{ latencyMs: 900, at: 10_000 }],
  asked: 1,
  right: 1,
  wrong: [],
  interrupted: null,
};
const rest: Sample = {
  atMs: 0,
  residentBytes: 400e6,
  sockets: 12,
  objects: 0,
  otherFiles: 60,
  cpuMs: 0,
  openCalls: 0,
  endedCalls: 0,
};

/** Memory that swings by ±15 MB, as V8's does, and a leak. */
function samplesWith(leakPerCall: number): { samples: Sample[]; after: Sample } {
  const random = seeded(5);
  const at = (minutes: number): Sample => {
    const endedCalls = Math.round((CALLS * minutes) / MINUTES);
    const residentBytes = 400e6 + endedCalls * leakPerCall + (random.fraction() - 0.5) * 30e6;
    return {
      ...rest,
      atMs: minutes * 60_000,
      residentBytes,
      endedCalls,
      openCalls: 10,
      objects: 10,
      cpuMs: minutes * 60_000,
    };
  };
  const samples = Array.from({ length: MINUTES * 6 }, (_, i) => at(i / 6));
  return { samples, after: { ...at(MINUTES), objects: 0 } };
}

function facts(more: Partial<RunFacts> = {}): RunFacts {
  return {
    calls: [
      call,
      { ...call, kind: 'interrupter', interrupted: true },
      { ...call, kind: 'abuser: flood', answers: [] },
    ],
    begun: ['a', 'b'],
    rows: [
      { callId: 'a', status: 'ended' },
      { callId: 'b', status: 'ended' },
    ],
    counters: { started: 2, ended: 2, active: 0, unaccounted: 0, outboxWaiting: 0 },
    ...samplesWith(0),
    before: rest,
    objects: 2,
    leftovers: [],
    heap: { before: HEAP, during: [24e6], after: HEAP + 1e6 },
    ...more,
  };
}

it('finds nothing wrong with a run that is whole', () => {
  expect(judgeRun(facts())).toEqual([]);
});

it.each<[string, RegExp, Partial<RunFacts>]>([
  [
    'a row that is stuck',
    /b is active/,
    {
      rows: [
        { callId: 'a', status: 'ended' },
        { callId: 'b', status: 'active' },
      ],
    },
  ],
  ['a row of nobody’s', /c is nobody's/, { rows: [{ callId: 'c', status: 'ended' }] }],
  ['a call that counts as active', /1 calls are active/, { counters: { ...facts().counters, active: 1 } }],
  [
    'a call that is unaccounted for',
    /1 calls are unacc/,
    { counters: { ...facts().counters, unaccounted: 1 } },
  ],
  ['a delivery that waits', /1 deliveries wait/, { counters: { ...facts().counters, outboxWaiting: 1 } }],
  [
    'a start that was not counted',
    /1 calls were counted/,
    { counters: { ...facts().counters, started: 1, ended: 1 } },
  ],
  ['an end that was not counted', /1 of 2 calls/, { counters: { ...facts().counters, ended: 1 } }],
  [
    'words that are not understood',
    /of the words are wrong/,
    { calls: [{ ...call, words: { errors: 5, words: 12 } }] },
  ],
  ['answers to something else', /of the answers are right/, { calls: [{ ...call, right: 0 }] }],
  ['an agent that speaks on', /let speak/, { calls: [{ ...call, interrupted: false }] }],
  [
    'answers that are late',
    /of all 95 of 100/,
    { calls: [{ ...call, answers: [{ latencyMs: 3_500, at: 1_000 }] }] },
  ],
  ['sockets that stay open', /23 sockets/, { after: { ...rest, sockets: 23 } }],
  ['files that stay open', /71 files/, { after: { ...rest, otherFiles: 71 } }],
  ['an object that stays open', /1 files of calls' objects/, { after: { ...rest, objects: 1 } }],
  [
    'a heap that holds what nobody needs',
    /heap holds 8.2 MB more/,
    { heap: { before: 20e6, during: [], after: 28.2e6 } },
  ],
  [
    'a heap that nobody could look at',
    /could not be looked at/,
    { heap: { before: HEAP, during: [], after: null } },
  ],
  ['that no call has begun', /no call has begun/, { begun: [], rows: [] }],
  ['that no process was seen', /no process of the service/, { before: { ...rest, residentBytes: 0 } }],
  ["that no call's object was seen", /ever seen open/, { samples: [rest, { ...rest, atMs: 10_000 }] }],
  ["that no call's object has a file", /has a file/, { objects: 0 }],
  ['storage that is not deleted', /left in an object: 3 rows/, { leftovers: ['3 rows in facts'] }],
])('sees %s', (_, what, damage) => {
  expect(
    judgeRun(facts(damage))
      .map((violation) => violation.what)
      .join('\n'),
  ).toMatch(what);
});

it('sees the answers that come late beside abusers only', () => {
  const many = Array.from({ length: 99 }, (_, i) => ({ latencyMs: 900, at: 100_000 + i }));
  const calls = [
    { ...call, answers: [...many, { latencyMs: 4_000, at: 10_000 }] },
    { ...call, kind: 'abuser: flood', answers: [] },
  ];
  expect(judgeRun(facts({ calls }))).toMatchObject([
    { what: /* of those beside abusers */ expect.stringMatching(/beside abusers/) },
  ]);
});

it('sees a leak of 100 KB a call in an hour, and none where memory only swings', () => {
  expect(judgeRun(facts(samplesWith(100e3))).map(({ kind }) => kind)).toContain('leak');
  expect(judgeRun(facts(samplesWith(20e3)))).toEqual([]);
});

it('sees memory that is kept after the end though it did not grow in the second half', () => {
  const { samples, after } = samplesWith(0);
  const kept = { ...after, residentBytes: after.residentBytes + bounds.growthBytes + 30e6 };
  expect(judgeRun(facts({ samples, after: kept }))).toMatchObject([
    { what: expect.stringMatching(/above what it was/) },
  ]);
});

it('sees a leak of 100 KB a call in the heap of a run of some minutes', () => {
  const before = HEAP;
  const begun = Array.from({ length: 110 }, (_, i) => `call-${i}`);
  const rows = begun.map((callId) => ({ callId, status: 'ended' }));
  const counters = { ...facts().counters, started: 110, ended: 110 };
  const after = before + 110 * 100e3;
  expect(judgeRun(facts({ begun, rows, counters, heap: { before, during: [], after } }))).toMatchObject([
    { kind: 'leak', what: expect.stringMatching(/the heap holds 11.0 MB more than before 110 calls/) },
  ]);
});

it('says of a run with few calls that its memory cannot be judged', () => {
  const { samples, after } = samplesWith(100e3);
  const short = samples.slice(0, 30);
  expect(memoryOf({ samples: short, after })).toMatchObject({ judged: false });
  expect(memoryOf({ samples, after })).toMatchObject({ judged: true });
});
