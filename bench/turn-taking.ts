import { parseArgs } from 'node:util';
import { type LineDetectorOptions, lineDetector } from '../src/audio/line-detector.ts';
import type { VoiceActivityDetector, VoiceActivityFactory } from '../src/audio/voice-activity.ts';
import { defaultEndpointing, type EndpointingOptions } from '../src/call/agent-config.ts';
import { FRAME_MS } from '../src/call/endpointing.ts';
import { voiceActivityForNode } from '../test/support/voice-activity.ts';
import { ensureDebianPackages, thisMachine } from '../tools/debian-packages.ts';
import { timingsNamed } from './provider-timings.ts';
import { printTable, rounded } from './statistics.ts';
import { lineRate } from './turn-taking/clips.ts';
import { corpusOf } from './turn-taking/corpus.ts';
import {
  type OverlapOutcome,
  playOverlap,
  playTurn,
  type Settings,
  type TurnOutcome,
  timings,
} from './turn-taking/play.ts';
import { Recogniser } from './turn-taking/recogniser.ts';
import { type Outcomes, printOverlaps, printTradeOff, printTurns } from './turn-taking/report.ts';
import { type Scene, turnKinds } from './turn-taking/scenes.ts';
import { scoreOverlaps, scoreTurns } from './turn-taking/score.ts';
import { sileroDetector } from './turn-taking/silero.ts';
import { speakers, speechPackages } from './turn-taking/speakers.ts';
import { syntheticSpeakers } from './turn-taking/synthetic.ts';

/** Calls that are played at once: the recogniser has that many threads of its own. */
const AT_ONCE = 3;
/** By which the cost of the detectors is measured: some minutes. */
const COST_LINES = 30;

/** One way to set what is measured; what is absent is as by default. */
interface Variation {
  name: string;
  endpointing?: Partial<EndpointingOptions>;
  detector?: LineDetectorOptions;
  /** By name: see provider-timings.ts. */
  vendors?: string;
  /** Silero's detector in place of the line's, at this threshold. */
  silero?: number;
}

/** The margin over the background at which nothing is background. */
const ANY_LEVEL = Number.NEGATIVE_INFINITY;
/** Vendors that take no time but for the model's tokens. */
const VENDORS_AT_ONCE = '0+0+0';
const DEFAULTS: Variation = { name: 'the defaults' };

/** Each is tried on the tuning speakers. */
const variations: readonly Variation[] = [
  DEFAULTS,
  { name: 'endMs 500', endpointing: { endMs: 500 } },
  { name: 'endMs 600', endpointing: { endMs: 600 } },
  { name: 'endMs 800', endpointing: { endMs: 800 } },
  { name: 'endMs 2500', endpointing: { endMs: 2_500 } },
  { name: 'unfinishedMs 2500', endpointing: { unfinishedMs: 2_500 } },
  { name: 'dictationMs 1000', endpointing: { dictationMs: 1_000 } },
  { name: 'the words not used', endpointing: { unfinishedMs: 0, dictationMs: 0 } },
  { name: 'speakMs 0', endpointing: { speakMs: 0 } },
  { name: 'speakMs 1800', endpointing: { speakMs: 1_800 } },
  { name: 'speakMs 2000', endpointing: { speakMs: 2_000 } },
  { name: 'speakMs 2300', endpointing: { speakMs: 2_300 } },
  { name: 'endMs 1200', endpointing: { endMs: 1_200 } },
  { name: 'vendors at once', vendors: VENDORS_AT_ONCE },
  { name: 'the same, speakMs 0', vendors: VENDORS_AT_ONCE, endpointing: { speakMs: 0 } },
  { name: 'startMs 60', endpointing: { startMs: 60 } },
  { name: 'startMs 200 of 320', endpointing: { startMs: 200, startWindowMs: 320 } },
  { name: 'detector mode 2', detector: { mode: 2 } },
  { name: 'background is voice', detector: { marginDb: ANY_LEVEL } },
  { name: 'the same, endMs 500', detector: { marginDb: ANY_LEVEL }, endpointing: { endMs: 500 } },
  { name: 'Silero at 0.8', silero: 0.8 },
  { name: 'the same, endMs 600', silero: 0.8, endpointing: { endMs: 600 } },
];

export const help = `npm run bench -- turn-taking [--quick]

How well a call knows when its caller has finished, and when its caller wants to interrupt: recordings of people at telephone quality,
played to the call's own code (detector, listener, endpointing, interruption, playout) on a clock of its own, with the embedded
recogniser, whose text comes ${timings.speechToTextMs} ms after each request. The figures are those of speakers by whom no setting was chosen.

--quick: each situation in one condition of the line, and only the defaults; some two minutes.

It needs recordings of these Debian packages, and installs them where it may (apt-get, some 280 MB); nothing of them is in this repository:
${speechPackages.map(({ name, licence, why }) => `  ${name.padEnd(28)} ${licence.padEnd(14)} ${why}`).join('\n')}`;

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({ args, options: { quick: { type: 'boolean', default: false } } });
  await haveSpeech();
  const [recogniser, detectors] = await Promise.all([Recogniser.load(), voiceActivityForNode()]);
  const play = (scenes: readonly Scene[], settings: Settings) => playAll(scenes, settings, recogniser);

  if (!values.quick) {
    const tuning = await corpusOf(speakers, { group: 'tuning', everyCondition: false, draws: 1 });
    const runs = [];
    for (const variation of variations) {
      console.error(`… ${variation.name}`);
      runs.push({ name: variation.name, outcomes: await play(tuning, settingsOf(variation, detectors)) });
    }
    printTradeOff('tuning speakers', runs);
    printCost(tuning, detectors);
  }
  console.error('… held-out speakers');
  const settings = settingsOf(DEFAULTS, detectors);
  const heldOut = await corpusOf(speakers, { group: 'held-out', everyCondition: !values.quick, draws: 1 });
  const people = await play(heldOut, settings);
  const everyone = [...speakers, ...(await syntheticSpeakers())];
  const made = await corpusOf(everyone, { group: 'synthetic', everyCondition: false, draws: 1 });
  const synthetic = await play(made, settings);
  printTurns('synthetic voices', synthetic.turns);
  printOverlaps('synthetic sounds', synthetic.overlaps);
  printTurns('held-out speakers', people.turns);
  printOverlaps('held-out speakers', people.overlaps);
  return { bench: 'turn-taking', ...figures(people), synthetic: figures(synthetic) };
}

/** What a detector costs: each hears the first of the lines. */
function printCost(scenes: readonly Scene[], detectors: VoiceActivityFactory): void {
  const lines = scenes.slice(0, COST_LINES).map(({ line }) => line);
  const costs = [
    ['WebRTC', () => detectors.create({ sampleRate: lineRate })],
    ['the line’s: WebRTC, no tones, no background', () => lineDetector(detectors, lineRate)],
    ['Silero, native', () => sileroDetector(0.8)],
  ] as const;
  printTable([
    ['detector', 'CPU ms per s of audio'],
    ...costs.map(([name, create]) => [name, costOf(create, lines).toFixed(2)]),
  ]);
  console.log('');
}

function costOf(create: () => VoiceActivityDetector, lines: readonly Int16Array[]): number {
  const detector = create();
  const frame = (lineRate * FRAME_MS) / 1_000;
  const before = process.cpuUsage();
  let seconds = 0;
  for (const line of lines) {
    for (let at = 0; at + frame <= line.length; at += frame) detector.isVoiced(line.subarray(at, at + frame));
    seconds += line.length / lineRate;
  }
  const { user, system } = process.cpuUsage(before);
  detector.close();
  return (user + system) / 1_000 / seconds;
}

function figures({ turns, overlaps }: Outcomes) {
  const turn = scoreTurns(turns);
  const overlap = scoreOverlaps(overlaps);
  return {
    cutOffShare: rounded(turn.cutOff, 3),
    missedBargeInShare: rounded(overlap.missed, 3),
    falseBargeInShare: rounded(overlap.falseOnes, 3),
    waitP50Ms: rounded(turn.waitP50Ms, 0),
    waitP95Ms: rounded(turn.waitP95Ms, 0),
    audioP50Ms: rounded(turn.audioP50Ms, 0),
    audioP95Ms: rounded(turn.audioP95Ms, 0),
    spokenOverShare: rounded(turn.spokenOver, 3),
    takenBackShare: rounded(turn.takenBack, 3),
    unansweredShare: rounded(turn.unanswered, 3),
    cutOffShareByKind: Object.fromEntries(
      turnKinds.map((kind) => [
        kind,
        rounded(scoreTurns(turns.filter(({ scene }) => scene.kind === kind)).cutOff, 3),
      ]),
    ),
    pausedShare: rounded(overlap.paused, 3),
    silentP50Ms: rounded(overlap.silentP50Ms, 0),
    turns: turn.turns,
    interruptions: overlap.interruptions,
    otherSounds: overlap.others,
  };
}

async function haveSpeech(): Promise<void> {
  const missing = await ensureDebianPackages(speechPackages, thisMachine(console.log), console.log);
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name).join(' ');
  throw new RangeError(`Recordings of people are missing: "apt-get install ${names}" on Debian brings them.`);
}

function settingsOf(
  { name, endpointing, vendors, detector, silero }: Variation,
  detectors: VoiceActivityFactory,
): Settings {
  return {
    name,
    endpointing: { ...defaultEndpointing, ...endpointing },
    ...(vendors === undefined ? {} : { timings: timingsNamed(vendors) }),
    createDetector: () =>
      silero === undefined ? lineDetector(detectors, lineRate, detector) : sileroDetector(silero),
  };
}

/** Each scene in a call of its own. The order in which they are played changes nothing. */
async function playAll(
  scenes: readonly Scene[],
  settings: Settings,
  recogniser: Recogniser,
): Promise<Outcomes> {
  const turns: TurnOutcome[] = [];
  const overlaps: OverlapOutcome[] = [];
  const waiting = [...scenes];
  const player = async () => {
    for (let scene = waiting.shift(); scene !== undefined; scene = waiting.shift()) {
      if (turnKinds.some((kind) => kind === scene?.kind))
        turns.push(await playTurn(scene, settings, recogniser));
      else overlaps.push(await playOverlap(scene, settings, recogniser));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, player));
  return { turns: inOrderOf(scenes, turns), overlaps: inOrderOf(scenes, overlaps) };
}

function inOrderOf<T extends { scene: Scene }>(scenes: readonly Scene[], outcomes: readonly T[]): T[] {
  const places = new Map(scenes.map((scene, i) => [scene, i]));
  return outcomes.toSorted((a, b) => places.get(a.scene)! - places.get(b.scene)!);
}
