import { type Clip, clipOf, clipsOf } from './clips.ts';
import {
  type Condition,
  conditions,
  cough,
  DICTATION_PAUSE_MS,
  inOrder,
  logUniform,
  noiseScene,
  PAUSE_MS,
  type Random,
  randomFor,
  roomNoise,
  type Scene,
  type SceneOptions,
  sceneOf,
  voicesNoise,
  withPauses,
} from './scenes.ts';
import type { Group, Recording, Speaker } from './speakers.ts';

/** A gap from which on what is before it and what is behind it are two phrases: longer than the closure of most plosives. */
const PHRASE_GAP_MS = 110;
/** Between digits it is shorter. */
const DIGIT_GAP_MS = 60;
/** Silence between the digits of one group. */
const WITHIN_GROUP_MS = 60;
const NOISE_SECONDS = 9;
const COUGHS = 12;
/** Numbers are few: each is drawn so often. */
const DICTATIONS = 4;
/** A dictated number of ten digits, as telephone numbers are grouped. */
const GROUPS = [3, 3, 4];

export interface CorpusOptions {
  group: Group;
  /** Each situation in every condition, or each in one of them in turn. */
  everyCondition: boolean;
  /** How often pauses are drawn for a clip. */
  draws: number;
}

type About = Pick<SceneOptions, 'kind' | 'speaker' | 'pausesMs' | 'earlier'>;

/** All situations of a group of speakers. */
export async function corpusOf(speakers: readonly Speaker[], options: CorpusOptions): Promise<Scene[]> {
  const { group, everyCondition, draws } = options;
  const background = await clipsFor(
    speakers.filter((one) => one.group === 'tuning').flatMap((one) => one.sentences),
    PHRASE_GAP_MS,
  );
  const scenes: Scene[] = [];
  let turn = 0;
  const add = (name: string, about: About, make: (options: SceneOptions) => Scene) => {
    const among: readonly Condition[] = everyCondition
      ? conditions
      : [conditions[turn++ % conditions.length]!];
    for (const snr of among) {
      const random = randomFor(`${group} ${name} ${snr}`);
      // Of a room, or of voices: chance, so that each kind of scene has both.
      const noise = random() < 0.5 ? roomNoise(random) : voicesNoise(background, random);
      scenes.push(make({ ...about, group, snr, noise, random }));
    }
  };

  const voices = speakers.filter((speaker) => speaker.group === group);
  for (const one of voices) {
    const speaker = one.name;
    const sentences = await clipsFor(one.sentences, PHRASE_GAP_MS);
    const overlaps = {
      interruption: await clipsFor(one.interruptions, PHRASE_GAP_MS),
      backchannel: await clipsFor(one.backchannels, PHRASE_GAP_MS),
      cry: await clipsFor(one.cries, PHRASE_GAP_MS),
    };
    const words = [...sentences, ...overlaps.interruption, ...overlaps.backchannel];
    // Whose only recording this is has said the same before.
    const about = (kind: Scene['kind'], clip: Clip | undefined, pausesMs: readonly number[] = []): About => {
      const earlier = words.find((other) => other !== clip) ?? clip;
      return { kind, speaker, pausesMs, earlier: earlier?.samples ?? new Int16Array(0) };
    };
    sentences.forEach((clip, i) => {
      add(`${speaker} ${i}`, about('as recorded', clip), (scene) => sceneOf(clip.samples, scene));
      const next = sentences[i + 1];
      for (let draw = 0; draw < draws; draw++) {
        const name = `${speaker} ${i} ${draw}`;
        const random = randomFor(`${group} ${name}`);
        const inside = paused(clip, 1, PAUSE_MS, random);
        if (inside !== null) {
          const how = about('pause inside', clip, inside.pausesMs);
          add(`${name} inside`, how, (scene) => sceneOf(inside.said, scene));
        }
        if (next === undefined) continue;
        const pausesMs = [logUniform(PAUSE_MS, random)];
        const said = inOrder([clip.samples, next.samples], pausesMs);
        add(`${name} between`, about('pause between', clip, pausesMs), (scene) => sceneOf(said, scene));
      }
    });
    for (const { name, said, pausesMs } of await dictated(one, draws * DICTATIONS)) {
      const clip = words.length > 0 ? undefined : clipOf(said, PHRASE_GAP_MS);
      add(`${speaker} ${name}`, about('dictated', clip, pausesMs), (scene) => sceneOf(said, scene));
    }
    for (const kind of ['interruption', 'backchannel', 'cry'] as const) {
      overlaps[kind].forEach((clip, i) => {
        add(`${speaker} ${kind} ${i}`, about(kind, clip), (scene) => sceneOf(clip.samples, scene));
      });
    }
  }
  const [anybody] = await clipsFor(
    voices.flatMap(({ sentences }) => sentences.slice(0, 1)),
    PHRASE_GAP_MS,
  );
  for (let i = 0; group === 'synthetic' && anybody !== undefined && i < COUGHS; i++) {
    const by = { speaker: 'by rule', pausesMs: [], earlier: anybody.samples };
    const said = clipOf(cough(randomFor(`cough ${i}`)), PHRASE_GAP_MS).samples;
    add(`cough ${i}`, { ...by, kind: 'cough' }, (scene) => sceneOf(said, scene));
    add(`noise ${i}`, { ...by, kind: 'noise' }, (scene) => noiseScene(NOISE_SECONDS, scene));
  }
  return scenes.filter(({ kind, snr }) => kind !== 'noise' || Number.isFinite(snr));
}

async function clipsFor(recordings: readonly Recording[], gapMs: number): Promise<Clip[]> {
  return (await Promise.all(recordings.map((recording) => clipsOf(recording, gapMs)))).flat();
}

/** A clip with up to `most` of its gaps made pauses; null if it has no gap. */
function paused(clip: Clip, most: number, range: readonly [number, number], random: Random) {
  const gaps = clip.phrases.slice(1).map((_, i) => i);
  if (gaps.length === 0) return null;
  const chosen = gaps
    .map((gap) => ({ gap, order: random() }))
    .sort((a, b) => a.order - b.order)
    .slice(0, most)
    .map(({ gap }) => gap)
    .sort((a, b) => a - b);
  const pausesMs = chosen.map(() => logUniform(range, random));
  return { said: withPauses(clip, chosen, pausesMs), pausesMs };
}

/** Numbers in groups: as they were said, with pauses, and joined of single digits. */
async function dictated(speaker: Speaker, draws: number) {
  const found: { name: string; said: Int16Array; pausesMs: readonly number[] }[] = [];
  const whole = await clipsFor(speaker.dictation, DIGIT_GAP_MS);
  const digits = await clipsFor(speaker.digits, Number.POSITIVE_INFINITY);
  const [numberIs] = await clipsFor(speaker.numberIs, Number.POSITIVE_INFINITY);
  for (let draw = 0; draw < draws; draw++) {
    const random = randomFor(`${speaker.name} dictates ${draw}`);
    whole.forEach((clip, i) => {
      const pausedClip = paused(clip, 2, DICTATION_PAUSE_MS, random);
      if (pausedClip !== null) found.push({ name: `number ${i} ${draw}`, ...pausedClip });
    });
    if (digits.length === 0) continue;
    const groups = GROUPS.map((length) => {
      const picked = Array.from({ length }, () => digits[Math.floor(random() * digits.length)]!.samples);
      return inOrder(picked, new Array<number>(length - 1).fill(WITHIN_GROUP_MS));
    });
    const pausesMs = GROUPS.slice(1).map(() => logUniform(DICTATION_PAUSE_MS, random));
    const number = inOrder(groups, pausesMs);
    const led =
      numberIs === undefined || draw % 2 === 0
        ? number
        : inOrder([numberIs.samples, number], [WITHIN_GROUP_MS]);
    found.push({ name: `digits ${draw}`, said: led, pausesMs });
  }
  return found;
}
