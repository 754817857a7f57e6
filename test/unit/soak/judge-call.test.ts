import { expect, it } from 'vitest';
import { wavHeader } from '../../../src/audio/wav.ts';
import type { EndedCall, Recording, Row, Told, Turn } from '../../soak/facts.ts';
import { expectedOf, judgeCall } from '../../soak/judge-call.ts';
import type { CallPlan } from '../../soak/plan.ts';
import { readRecording } from '../../soak/recording.ts';

/** A call of a kind that the judgement knows; with nothing wrong, unless a test damages it. */
const LENGTH_MS = 12_000;

const caller = {
  index: 3,
  wire: { transport: 'json', encoding: 'mulaw', sampleRate: 8000 },
  namesCall: true,
  user: 'soak-1',
  restMs: 0,
} as const;
const talker: CallPlan = { ...caller, kind: 'talker', questions: [1], pausesMs: [300] };
const silent: CallPlan = { ...caller, kind: 'silent', asks: null };
const lost: CallPlan = { ...caller, kind: 'dropper', returns: false, questions: [1, 2], afterMs: 0 };
const thief: CallPlan = { ...caller, kind: 'abuser', abuse: 'stolen id', seed: 1 };
const halfOpen: CallPlan = { ...caller, kind: 'abuser', abuse: 'half-open', seed: 1 };

const greeting = 'Harbour Cycles, hello.';
const question = 'Where can I park my car?';
const answer = 'There is a car park behind the shop.';

const turn = (position: number, role: Turn['role'], text: string, startMs: number, endMs: number): Turn => ({
  position,
  role,
  text,
  startMs,
  endMs,
  interrupted: false,
});

/** Silence, with sound from one moment to another. */
function sound(...spans: [fromMs: number, toMs: number][]): Int16Array {
  const samples = new Int16Array(LENGTH_MS * 8);
  for (const [from, to] of spans) samples.fill(2_000, from * 8, to * 8);
  return samples;
}

function ended(plan: CallPlan = talker): EndedCall & {
  records: { rows: [Row]; recording: Recording };
  told: { said: [Told['said'][number]] };
} {
  const told: Told = {
    callId: 'soak-7-3',
    begun: true,
    failure: null,
    errors: [],
    close: 1000,
    durationMs: LENGTH_MS - 100,
    sentMs: LENGTH_MS - 100,
    said: [
      {
        text: question,
        answer: /car park/,
        waited: true,
        startMs: 4_000,
        endMs: 5_500,
        loudMs: 1_400,
        reply: { startMs: 6_500, endMs: 9_000, sentences: [answer], latencyMs: 900 },
      },
    ],
    greeting: { startMs: 200, endMs: 3_000, sentences: [greeting], latencyMs: null },
    resumes: 0,
    lateMs: 3,
    skippedMs: 0,
    beganAt: 0,
    endedAt: LENGTH_MS,
    knocks: [],
  };
  const row: Row = {
    callId: told.callId,
    status: 'ended',
    reason: 'hangup',
    durationMs: LENGTH_MS,
    recording: 'recordings/2026/11/21/soak-7-3.wav',
    transcript: [
      turn(0, 'agent', greeting, 200, 3_000),
      turn(1, 'caller', 'Where can I park my car?', 4_000, 5_500),
      turn(2, 'agent', answer, 6_500, 9_000),
    ],
  };
  const recording = {
    sampleRate: 8000,
    caller: sound([4_050, 5_500]),
    agent: sound([250, 3_000], [6_500, 9_000]),
  };
  return { plan, told, records: { rows: [row], turns: 3, recording } } as ReturnType<typeof ended>;
}

function problemsOf(damage: (call: ReturnType<typeof ended>) => void, plan?: CallPlan): string {
  const call = ended(plan);
  damage(call);
  return judgeCall(call)
    .map(({ what }) => what)
    .join('\n');
}

it('finds nothing wrong with a call that is whole', () => {
  expect(judgeCall(ended())).toEqual([]);
});

it('names the call and the kind of its caller', () => {
  const call = ended(thief);
  call.records.rows[0].status = 'active';
  expect(judgeCall(call)[0]).toMatchObject({ callId: 'soak-7-3', kind: 'abuser: stolen id' });
});

it.each<[string, RegExp, (call: ReturnType<typeof ended>) => void]>([
  ['a call that is stuck', /still active/, (call) => (call.records.rows[0].status = 'active')],
  ['a call that failed', /status failed/, (call) => (call.records.rows[0].status = 'failed')],
  ['another end', /ended for idle/, (call) => (call.records.rows[0].reason = 'idle')],
  ['no end', /no end/, (call) => (call.records.rows[0].durationMs = null)],
  ['no row', /0 rows/, (call) => call.records.rows.pop()],
  ['two rows', /2 rows/, (call) => call.records.rows.push(call.records.rows[0])],
  ['another length', /15000 ms are logged/, (call) => (call.records.rows[0].durationMs = 15_000)],
  ['a turn that is missing', /is in no turn/, (call) => call.records.rows[0].transcript.splice(1, 1)],
  ['a turn without words', /is in no turn/, (call) => (call.records.rows[0].transcript[1]!.text = ' ')],
  [
    'words at another time',
    /is in no turn/,
    (call) => Object.assign(call.records.rows[0].transcript[1]!, { startMs: 200, endMs: 900 }),
  ],
  [
    'an answer that is not logged',
    /is not in the transcript/,
    (call) => (call.records.rows[0].transcript[2]!.text = 'I do not know.'),
  ],
  [
    'a greeting that is not logged',
    /greeting is not in the transcript/,
    (call) => (call.records.rows[0].transcript[0]!.text = 'Hello.'),
  ],
  ['a greeting that was not heard', /no greeting was heard/, (call) => (call.told.greeting = null)],
  ['an answer that did not come', /no answer to/, (call) => (call.told.said[0].reply = null)],
  ['turns out of order', /turns begin at/, (call) => (call.records.rows[0].transcript[2]!.startMs = 3_900)],
  [
    'a turn that is numbered twice',
    /numbered 0 1 1/,
    (call) => (call.records.rows[0].transcript[2]!.position = 1),
  ],
  ['turns that are not in their table', /2 rows in call_turns/, (call) => (call.records.turns = 2)],
  ['no recording', /recording is missing/, (call) => Object.assign(call.records, { recording: null })],
  ['a recording that is not named', /names no recording/, (call) => (call.records.rows[0].recording = null)],
  [
    'a broken recording',
    /cannot be played: no header/,
    (call) => Object.assign(call.records, { recording: 'no header' }),
  ],
  [
    'a recording that is too short',
    /has 11000 ms, the call 12000/,
    ({ records: { recording } }) => {
      recording.caller = recording.caller.slice(8_000);
      recording.agent = recording.agent.slice(8_000);
    },
  ],
  [
    'a recording that is too long',
    /has 13000 ms, the call 12000/,
    ({ records: { recording } }) => {
      recording.caller = new Int16Array([...recording.caller, ...new Int16Array(8_000)]);
    },
  ],
  [
    'a caller who is not recorded',
    /of 1400 ms of Where/,
    ({ records: { recording } }) => (recording.caller = sound()),
  ],
  [
    'a caller half of whom is recorded',
    /of 1400 ms of Where/,
    ({ records: { recording } }) => (recording.caller = sound([4_000, 4_700])),
  ],
  [
    'sides that are swapped',
    /of 1400 ms of Where/,
    ({ records: { recording } }) =>
      ([recording.caller, recording.agent] = [recording.agent, recording.caller]),
  ],
  [
    'an answer that is not recorded',
    /answer to .* is not recorded/,
    ({ records: { recording } }) => (recording.agent = sound([250, 3_000])),
  ],
  [
    'a greeting that is not recorded',
    /greeting is not recorded/,
    ({ records: { recording } }) => (recording.agent = sound([6_500, 9_000])),
  ],
  ['an error', /the error INTERNAL_ERROR came/, (call) => call.told.errors.push('INTERNAL_ERROR')],
  ['another close code', /closed with 1011/, (call) => (call.told.close = 1011)],
  ['a script that failed', /the caller: no reply/, (call) => (call.told.failure = 'no reply')],
])('sees %s', (_, what, damage) => {
  expect(problemsOf(damage)).toMatch(what);
});

it('wants of a sentence that the end of the call has cut off its beginning, and of any other the whole', () => {
  const endingAt = (callMs: number, text: string) => (call: ReturnType<typeof ended>) => {
    const [row] = call.records.rows;
    Object.assign(row, { durationMs: callMs, transcript: [turn(0, 'agent', text, 200, 2_000)] });
    Object.assign(call.told, { said: [], durationMs: callMs });
  };
  const cut = /greeting is not in the transcript/;
  expect(problemsOf(endingAt(4_000, 'Harbour Cycles,'))).not.toMatch(cut);
  expect(problemsOf(endingAt(4_000, 'Harbour'))).toMatch(cut);
  expect(problemsOf(endingAt(6_000, 'Harbour Cycles,'))).toMatch(cut);
});

it('sees that the service asked a silent caller nothing, and that there is sound on his side', () => {
  const quiet = (call: ReturnType<typeof ended>) => {
    Object.assign(call.told, { said: [] });
    call.records.rows[0].reason = 'caller silent';
    call.records.rows[0].transcript = [
      turn(0, 'agent', greeting, 200, 3_000),
      turn(1, 'agent', 'Are you still there?', 6_000, 7_000),
      turn(2, 'agent', 'Goodbye.', 8_000, 9_000),
    ];
    call.records.recording.caller = sound();
  };
  expect(problemsOf(quiet, silent)).toBe('');
  const unasked = (call: ReturnType<typeof ended>) => {
    quiet(call);
    call.records.rows[0].transcript.splice(1, 1);
    call.records.rows[0].transcript[1]!.position = 1;
    call.records.turns = 2;
  };
  expect(problemsOf(unasked, silent)).toMatch(/asked and said goodbye in 1 turns/);
  const loud = (call: ReturnType<typeof ended>) => {
    quiet(call);
    call.records.recording.caller = sound([250, 3_000]);
  };
  expect(problemsOf(loud, silent)).toMatch(/on the side of a silent caller/);
});

it('sees who came back to a call, and who should have', () => {
  const gone = (call: ReturnType<typeof ended>) => {
    call.told.close = 1006;
    call.records.rows[0].reason = 'disconnected';
  };
  expect(problemsOf(gone, lost)).toBe('');
  expect(problemsOf(gone, { ...lost, returns: true } as CallPlan)).toMatch(/came back 0 times/);
});

it('sees an abuse that the service let pass', () => {
  const stolen = {
    expected: { error: 'CALL_ID_IN_USE', close: 4409 },
    errors: ['CALL_ID_IN_USE'],
    close: 4409,
  };
  expect(problemsOf((call) => call.told.knocks.push(stolen), thief)).toBe('');
  const let_in = { ...stolen, errors: [], close: 1000 };
  expect(problemsOf((call) => call.told.knocks.push(let_in), thief)).toMatch(
    /closed with 1000, not 4409\n.*told nothing/,
  );
  const open: EndedCall = {
    plan: halfOpen,
    told: { ...ended().told, begun: false, close: 4408, errors: ['TIMEOUT'], said: [], greeting: null },
    records: { rows: [], turns: 0, recording: null },
  };
  expect(judgeCall(open)).toEqual([]);
  expect(judgeCall({ ...open, told: { ...open.told, close: null, errors: [] } })).toHaveLength(2);
  expect(judgeCall({ ...open, records: ended().records })).toMatchObject([{ what: '1 rows in call_logs' }]);
});

it('expects an end of every plan', () => {
  expect(expectedOf(talker)).toMatchObject({ logged: true, reason: 'hangup', close: 1000 });
  expect(expectedOf({ ...thief, abuse: 'flood' } as CallPlan)).toMatchObject({
    reason: 'protocol',
    close: 4429,
  });
});

it('reads both sides of a WAV file, and says of others what is wrong', () => {
  const header = wavHeader({ sampleRate: 8000, channels: 2, bitsPerSample: 16, dataBytes: 8 });
  const file = new Uint8Array([...header, 1, 0, 2, 0, 3, 0, 4, 0]);
  expect(readRecording(file)).toEqual({
    sampleRate: 8000,
    caller: Int16Array.of(1, 3),
    agent: Int16Array.of(2, 4),
  });
  expect(readRecording(file.subarray(0, 50))).toMatch(/truncated/);
  const mono = wavHeader({ sampleRate: 8000, channels: 1, bitsPerSample: 16, dataBytes: 0 });
  expect(readRecording(mono)).toMatch(/1 channels/);
});
