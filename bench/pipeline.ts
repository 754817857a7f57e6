import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  END_MS,
  type Measurement,
  measure,
  peer,
  type System,
  serial,
  service,
  startVendors,
} from './conversations.ts';
import { bundlePeer, PEER } from './peer.ts';
import { describeTimings, type Timings, TYPICAL, timingsNamed } from './provider-timings.ts';
import { median, ofRounds, printTable, quantile, rounded, roundsOf } from './statistics.ts';
import { buildWorker, bundleWorker } from './workerd.ts';

const ROUNDS = 3;
const CALLS = 12;
/** The first calls of a new process are slower. */
const WARM_UP_CALLS = 2;
const SPEECH_MS = 4_000;
/** Between the callers' first words: the machine is to have time for each of them. */
const APART_MS = 500;
/** Silence after which the service asks for a transcript: what the peer is given too, in one of its rows. */
const AHEAD_MS = 240;
/** The goal of the issue: at most this part of the serial baseline. */
const GOAL = 0.6;

/** Ten words. */
const QUESTION = 'Could you tell me when the {code} opens on Saturday?';
/**
 * Sixty tokens, twelve in the first sentence: words and punctuation. No two calls have the same first sentence: the service keeps the
 * speech of sentences that it has said before.
 */
const REPLY =
  'The {code} opens at nine on Saturday and closes at four. ' +
  'We have a mechanic here all day for smaller repairs too. ' +
  'Larger jobs are best booked by phone a few days ahead. ' +
  'You can leave your bicycle with us on Friday evening already. ' +
  'Would you like me to book a place for you now?';

export const help = `npm run bench -- pipeline [--providers NAME] [--rounds N]

From the caller's last voiced sample to the first audio at the client's socket, the wait for the end of the turn (${END_MS} ms) included:
the service, the same steps strictly one after another, and ${PEER.name}, with vendors that take their time. The caller speaks
for ${SPEECH_MS / 1000} s, the reply has 60 tokens, its first sentence 12. Medians of the rounds (default ${ROUNDS}), with the least and the most.

Providers, by what was published for them:
${describeTimings()}`;

interface Round {
  system: string;
  /** Milliseconds, one a call. */
  waits: number[];
  lost: number;
  measurement: Measurement;
}

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: { rounds: { type: 'string' }, providers: { type: 'string' } },
  });
  const count = roundsOf(values.rounds ?? ROUNDS);
  const providers = values.providers ?? TYPICAL;
  const timings = timingsNamed(providers);
  const ours = buildWorker();
  const theirs = bundlePeer('peer.mjs');
  const baseline = bundleWorker(join(import.meta.dirname, 'workers', 'serial.mjs'));
  const systems = {
    service: service(ours),
    serial: serial(baseline),
    ...(theirs === null
      ? {}
      : {
          peer: peer(theirs, 20, 'webrtc'),
          peerAhead: peer(theirs, 20, 'webrtc', AHEAD_MS),
        }),
  };
  const rounds: Round[] = [];
  for (let round = 0; round < count; round++) {
    for (const system of Object.values(systems)) {
      console.error(`Round ${round + 1} of ${count}: ${system.name}`);
      rounds.push(await measured(system, timings));
    }
  }
  const of = (system: System | undefined, q: number) =>
    median(rounds.filter((round) => round.system === system?.name).map(({ waits }) => quantile(waits, q)));
  print(rounds, of(systems.serial, 0.5));
  const whole = of(systems.service, 0.5);
  const ratioToSerial = rounded(whole / of(systems.serial, 0.5), 2);
  return {
    bench: 'pipeline',
    providers: { name: providers, ...timings },
    endpointWaitMs: END_MS,
    rounds: count,
    peer: theirs === null ? null : PEER.name,
    wholeTurnP50Ms: rounded(whole, 0),
    wholeTurnP95Ms: rounded(of(systems.service, 0.95), 0),
    serialP50Ms: rounded(of(systems.serial, 0.5), 0),
    peerP50Ms: rounded(of(systems.peer, 0.5), 0),
    peerAheadP50Ms: rounded(of(systems.peerAhead, 0.5), 0),
    ratioToSerial,
    ratioToPeer: rounded(whole / of(systems.peer, 0.5), 2),
    ratioToPeerAhead: rounded(whole / of(systems.peerAhead, 0.5), 2),
    goal: GOAL,
    goalReached: ratioToSerial === null ? null : ratioToSerial <= GOAL,
    lostTurns: rounds.reduce((sum, { lost }) => sum + lost, 0),
    clientLoopDelayP99Ms: rounded(
      Math.max(...rounds.map(({ measurement }) => measurement.client.loopDelayP99Ms)),
      1,
    ),
    clientCpuShare: rounded(Math.max(...rounds.map(({ measurement }) => measurement.client.cpuShare)), 2),
  };
}

async function measured(system: System, timings: Timings): Promise<Round> {
  const vendors = await startVendors({
    timings,
    question: QUESTION,
    questionMs: SPEECH_MS,
    reply: REPLY,
    speechMs: null,
  });
  try {
    const measurement = await measure(system, vendors, {
      calls: CALLS,
      apartMs: APART_MS,
      turns: 1,
      speechMs: SPEECH_MS,
      cycleMs: SPEECH_MS + longestWaitMs(timings),
      warmUpTurns: 0,
      warmUpCalls: WARM_UP_CALLS,
      coded: false,
    });
    const waits = measurement.turns.flatMap(({ lastVoicedAt, firstAudioAt }) =>
      firstAudioAt === null ? [] : [firstAudioAt - lastVoicedAt],
    );
    return { system: system.name, waits, lost: measurement.turns.length - waits.length, measurement };
  } finally {
    vendors.stop();
  }
}

/** How long the slowest system may take, with time to spare; whole tenths of a second. */
function longestWaitMs(timings: Timings): number {
  const { speechToTextMs, firstTokenMs, tokensPerSecond, firstAudioMs, timesRealTime } = timings;
  const written = firstTokenMs + (60 * 1000) / tokensPerSecond;
  const spoken = firstAudioMs + (REPLY.length * 1000) / 15 / timesRealTime;
  return Math.ceil((END_MS + speechToTextMs + written + spoken + 1_500) / 100) * 100;
}

function print(rounds: readonly Round[], serialMs: number): void {
  const rows = [
    [
      'system',
      'turns',
      'lost',
      'p50 ms',
      'p95 ms',
      'to serial',
      'client CPU',
      'its loop late p99 ms',
      'vendors late p99 ms',
    ],
  ];
  for (const [system, group] of Map.groupBy(rounds, (round) => round.system)) {
    const of = (value: (round: Round) => number) => group.map(value);
    const p50 = of(({ waits }) => quantile(waits, 0.5));
    rows.push([
      system,
      String(group.reduce((sum, { waits }) => sum + waits.length, 0)),
      String(group.reduce((sum, { lost }) => sum + lost, 0)),
      ofRounds(p50, 0),
      ofRounds(
        of(({ waits }) => quantile(waits, 0.95)),
        0,
      ),
      (median(p50) / serialMs).toFixed(2),
      `${(100 * median(of(({ measurement }) => measurement.client.cpuShare))).toFixed(0)} %`,
      median(of(({ measurement }) => measurement.client.loopDelayP99Ms)).toFixed(1),
      median(of(({ measurement }) => measurement.vendors.loopDelayP99Ms)).toFixed(1),
    ]);
  }
  printTable(rows);
}
