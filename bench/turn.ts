import { parseArgs } from 'node:util';
import { type Measurement, measure, peer, type System, service, startVendors } from './conversations.ts';
import { bundlePeer, PEER } from './peer.ts';
import { atOnce } from './provider-timings.ts';
import { median, ofRounds, printTable, quantile, rounded, roundsOf } from './statistics.ts';
import { buildWorker, type Storage, storages } from './workerd.ts';

const CALLS = 100;
const ROUNDS = 3;
/** A question, the wait for its end, an answer of a second, and time to spare: the answer is to be over before the next question. */
const TURN = { speechMs: 600, cycleMs: 4_000, warmUpTurns: 1, warmUpCalls: 0, coded: true };
const ANSWER_MS = 1_000;
/** The answer has no words of the question, or it would come back as the agent's echo when it is late. */
const QUESTION = 'Is the {code} wheel ready?';
const REPLY = 'Yes, we finished {code} this morning.';
/** The goal of the issue: at most this part of the peer's. */
const GOAL = 0.5;

interface Load {
  name: string;
  calls: number;
  apartMs: number;
  turns: number;
  storage: Storage;
}

const [storage = 'disk'] = storages;
const spread = { name: `${CALLS} calls`, calls: CALLS, apartMs: TURN.cycleMs / CALLS, turns: 3, storage };
const loads = {
  oneCall: { name: 'one call', calls: 1, apartMs: 0, turns: 6, storage },
  spread,
  together: { ...spread, name: `${CALLS} turns at one moment`, apartMs: 0 },
  onDisk: { ...spread, name: `${CALLS} calls, storage on disk`, storage: 'disk' },
} satisfies Record<string, Load>;
type LoadName = keyof typeof loads;

export const help = `npm run bench -- turn [--rounds N]

From the moment at which a transcript is returned to the first audio at the client's socket, with vendors that answer at once: what
the service itself takes of a turn, against ${PEER.name} with the same vendors. One call; ${CALLS} calls whose turns are spread over
${TURN.cycleMs / 1000} s; ${CALLS} calls whose turns end within 20 ms. The objects' storage is in memory: what is sent waits until what was written is
safe, and this machine's disk is not Cloudflare's; a last row has it on disk. Medians of the rounds (default ${ROUNDS}; some three minutes
each), with the least and the most.`;

/** One round's shares, in milliseconds. */
interface Round {
  system: string;
  load: LoadName;
  /** Infinity: there was no answer before the caller's next question. */
  own: number[];
  /** Medians: until the model was asked, from its answer until speech was asked for, from the first speech to the client. */
  toModel: number;
  toSpeech: number;
  toClient: number;
  lost: number;
  measurement: Measurement;
}

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({ args, options: { rounds: { type: 'string' } } });
  const count = roundsOf(values.rounds ?? ROUNDS);
  const ours = buildWorker();
  const theirs = bundlePeer('peer.mjs');
  const systems: Systems = {
    // Transcribing ahead, the transcript is there before the caller's turn is over: the wait for that would be counted.
    service: service(ours, { STT_RUN_AHEAD: 'false' }),
    // As its own client sends it, and with a transcriber that costs it nothing.
    ...(theirs === null ? {} : { peer: peer(theirs, 100, 'energy') }),
  };
  const rounds: Round[] = [];
  for (let round = 0; round < count; round++) {
    for (const load of Object.keys(loads) as LoadName[]) {
      for (const system of Object.values(systems)) {
        console.error(`Round ${round + 1} of ${count}: ${loads[load].name}, ${system.name}`);
        rounds.push(await measured(system, load));
      }
    }
  }
  print(rounds);
  return summary(rounds, systems, count);
}

async function measured(system: System, load: LoadName): Promise<Round> {
  const vendors = await startVendors({
    timings: atOnce,
    question: QUESTION,
    questionMs: 0,
    reply: REPLY,
    speechMs: ANSWER_MS,
  });
  try {
    const { calls, apartMs, turns, storage } = loads[load];
    const measurement = await measure(system, vendors, { ...TURN, calls, apartMs, turns }, storage);
    const answered = measurement.turns.flatMap(({ code, firstAudioAt }) => {
      const marks = measurement.marks[code ?? ''];
      return marks === undefined || firstAudioAt === null ? [] : [{ marks, firstAudioAt }];
    });
    const lost = measurement.turns.length - answered.length;
    return {
      system: system.name,
      load,
      own: [
        ...answered.map(({ marks, firstAudioAt }) => firstAudioAt - marks.transcript),
        ...Array<number>(lost).fill(Number.POSITIVE_INFINITY),
      ],
      toModel: median(answered.map(({ marks }) => (marks.modelAsked ?? Number.NaN) - marks.transcript)),
      toSpeech: median(
        answered.map(({ marks }) => (marks.speechAsked ?? Number.NaN) - (marks.modelAnswered ?? Number.NaN)),
      ),
      toClient: median(
        answered.map(({ marks, firstAudioAt }) => firstAudioAt - (marks.speechAnswered ?? Number.NaN)),
      ),
      lost,
      measurement,
    };
  } finally {
    vendors.stop();
  }
}

function print(rounds: readonly Round[]): void {
  const rows = [
    ['load, system', 'turns', 'lost', 'p50 ms', 'p95 ms', '→ model', '→ speech', '→ client', 'CPU of a core'],
  ];
  const health = [
    [
      'load, system',
      'client CPU',
      'its loop late p99 ms',
      'its frames late p99 ms',
      'vendors CPU',
      'their loop',
    ],
  ];
  for (const group of groups(rounds)) {
    const of = (value: (round: Round) => number) => group.map(value);
    const name = `${loads[group[0]!.load].name}, ${group[0]!.system}`;
    rows.push([
      name,
      String(group.reduce((sum, { measurement }) => sum + measurement.turns.length, 0)),
      String(group.reduce((sum, { lost }) => sum + lost, 0)),
      ofRounds(
        of(({ own }) => quantile(own, 0.5)),
        1,
      ),
      ofRounds(
        of(({ own }) => quantile(own, 0.95)),
        1,
      ),
      median(of(({ toModel }) => toModel).filter(Number.isFinite)).toFixed(1),
      median(of(({ toSpeech }) => toSpeech).filter(Number.isFinite)).toFixed(1),
      median(of(({ toClient }) => toClient).filter(Number.isFinite)).toFixed(1),
      `${(100 * median(of(({ measurement }) => measurement.cpuShare))).toFixed(0)} %`,
    ]);
    health.push([
      name,
      `${(100 * median(of(({ measurement }) => measurement.client.cpuShare))).toFixed(0)} %`,
      median(of(({ measurement }) => measurement.client.loopDelayP99Ms)).toFixed(1),
      median(of(({ measurement }) => measurement.client.sendDelayP99Ms)).toFixed(1),
      `${(100 * median(of(({ measurement }) => measurement.vendors.cpuShare))).toFixed(0)} %`,
      median(of(({ measurement }) => measurement.vendors.loopDelayP99Ms)).toFixed(1),
    ]);
  }
  printTable(rows);
  console.log('\nWhether client and vendors were fast enough for what they measured:');
  printTable(health);
}

function groups(rounds: readonly Round[]): Round[][] {
  const byKey = Map.groupBy(rounds, ({ load, system }) => `${load} ${system}`);
  return [...byKey.values()];
}

interface Systems {
  service: System;
  peer?: System;
}

function summary(rounds: readonly Round[], systems: Systems, count: number): object {
  const of = (system: System | undefined, load: LoadName, q: number) =>
    median(
      rounds
        .filter((round) => round.system === system?.name && round.load === load)
        .map(({ own }) => quantile(own, q)),
    );
  const lost = (system: System | undefined) =>
    rounds.reduce((sum, round) => sum + (round.system === system?.name ? round.lost : 0), 0);
  const keys = (load: LoadName) => ({
    ownShareP50Ms: rounded(of(systems.service, load, 0.5), 1),
    ownShareP95Ms: rounded(of(systems.service, load, 0.95), 1),
    peerOwnShareP50Ms: rounded(of(systems.peer, load, 0.5), 1),
    peerOwnShareP95Ms: rounded(of(systems.peer, load, 0.95), 1),
    ratioToPeer: rounded(of(systems.service, load, 0.95) / of(systems.peer, load, 0.95), 2),
  });
  const headline = keys('spread');
  return {
    bench: 'turn',
    calls: CALLS,
    rounds: count,
    storage,
    peer: systems.peer === undefined ? null : PEER.name,
    ...headline,
    goal: GOAL,
    goalReached:
      systems.peer === undefined ? null : headline.ratioToPeer !== null && headline.ratioToPeer <= GOAL,
    oneCall: keys('oneCall'),
    together: keys('together'),
    onDisk: keys('onDisk'),
    lostTurns: lost(systems.service),
    peerLostTurns: systems.peer === undefined ? null : lost(systems.peer),
    clientLoopDelayP99Ms: rounded(
      Math.max(...rounds.map(({ measurement }) => measurement.client.loopDelayP99Ms)),
      1,
    ),
    clientCpuShare: rounded(Math.max(...rounds.map(({ measurement }) => measurement.client.cpuShare)), 2),
  };
}
