import { parseArgs } from 'node:util';
import { withoutTones } from '../src/audio/tones.ts';
import type { VoiceActivityFactory, VoiceActivityMode } from '../src/audio/voice-activity.ts';
import { defaultEndpointing, type EndpointingOptions } from '../src/call/agent-config.ts';
import { voiceActivityForNode } from '../test/support/voice-activity.ts';
import { ensureDebianPackages, thisMachine } from '../tools/debian-packages.ts';
import { rounded } from './statistics.ts';
import { corpusOf } from './turn-taking/corpus.ts';
import { Recogniser } from './turn-taking/heard.ts';
import {
  type OverlapOutcome,
  playOverlap,
  playTurn,
  type Settings,
  type TurnOutcome,
  timings,
} from './turn-taking/play.ts';
import { type Outcomes, printOverlaps, printTradeOff, printTurns } from './turn-taking/report.ts';
import { type Scene, turnKinds } from './turn-taking/scenes.ts';
import { scoreOverlaps, scoreTurns } from './turn-taking/score.ts';
import { speakers, speechPackages } from './turn-taking/speakers.ts';
import { syntheticSpeakers } from './turn-taking/synthetic.ts';

/** Calls that are played at once: the recogniser has that many threads of its own. */
const AT_ONCE = 3;

/** Settings beside the defaults, each tried on the tuning speakers. */
const variations: readonly {
  name: string;
  endpointing?: Partial<EndpointingOptions>;
  mode?: VoiceActivityMode;
}[] = [
  { name: 'the defaults' },
  { name: 'endMs 300', endpointing: { endMs: 300 } },
  { name: 'endMs 700', endpointing: { endMs: 700 } },
  { name: 'endMs 1000', endpointing: { endMs: 1_000 } },
  { name: 'endMs 2500', endpointing: { endMs: 2_500 } },
  { name: 'unfinishedMs 1000', endpointing: { unfinishedMs: 1_000 } },
  { name: 'unfinishedMs 2500', endpointing: { unfinishedMs: 2_500 } },
  { name: 'dictationMs 1000', endpointing: { dictationMs: 1_000 } },
  { name: 'startMs 60', endpointing: { startMs: 60 } },
  { name: 'startMs 200', endpointing: { startMs: 200, startWindowMs: 320 } },
  { name: 'detector mode 2', mode: 2 },
  { name: 'detector mode 1', mode: 1 },
];

export const help = `npm run bench -- turn-taking [--quick]

How well a call knows when its caller has finished, and when its caller wants to interrupt: recordings of people at telephone quality,
played to the call's own code (detector, listener, endpointing, interruption, playout) on a clock of its own, with the embedded
recogniser, whose text comes ${timings.speechToTextMs} ms after each request. The figures are those of speakers by whom no setting was chosen.

--quick: each situation in one condition of the line, and only the defaults; about a minute.

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
      runs.push({ name: variation.name, outcomes: await play(tuning, settingsOf(variation, detectors)) });
    }
    printTradeOff('tuning speakers', runs);
  }
  const settings = settingsOf({ name: 'the defaults' }, detectors);
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

function figures({ turns, overlaps }: Outcomes) {
  const turn = scoreTurns(turns);
  const overlap = scoreOverlaps(overlaps);
  return {
    cutOffShare: rounded(turn.cutOff, 3),
    missedBargeInShare: rounded(overlap.missed, 3),
    falseBargeInShare: rounded(overlap.falseOnes, 3),
    waitP50Ms: rounded(turn.waitP50Ms, 0),
    waitP95Ms: rounded(turn.waitP95Ms, 0),
    spokenOverShare: rounded(turn.spokenOver, 3),
    unansweredShare: rounded(turn.unanswered, 3),
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
  { name, endpointing, mode }: (typeof variations)[number],
  detectors: VoiceActivityFactory,
): Settings {
  return {
    name,
    endpointing: { ...defaultEndpointing, ...endpointing },
    createDetector: (sampleRate) =>
      withoutTones(detectors.create({ sampleRate, ...(mode === undefined ? {} : { mode }) }), sampleRate),
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
