import { gaussian, type LineSound, onLine, randomNumbers, type Wave } from './line-sounds.ts';

/** Hold music: a band, a string quartet with vibrato, a music box, a synthesiser's arpeggio, a lone flute. */
export function holdMusic(): LineSound[] {
  return Object.entries(arrangements).map(([name, wave]) => ({
    name: `hold music, ${name}`,
    samples: (dbm0 = -16) => onLine(wave(), 20, dbm0),
  }));
}

interface Voice {
  /** Amplitudes of the harmonics. */
  harmonics: readonly number[];
  /** Seconds to full level, and the time constant of the fall after it (infinite: none). */
  attack: number;
  decay: number;
  /** Depth as a share of the pitch, and rate in Hz. */
  vibrato: number;
  vibratoHz: number;
  /** Share of noise: breath or bow. */
  noise: number;
}

const piano: Voice = {
  harmonics: [1, 0.5, 0.3, 0.2, 0.1, 0.06],
  attack: 0.005,
  decay: 0.5,
  vibrato: 0,
  vibratoHz: 0,
  noise: 0,
};
const strings: Voice = {
  harmonics: [1, 0.7, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1],
  attack: 0.08,
  decay: Number.POSITIVE_INFINITY,
  vibrato: 0.006,
  vibratoHz: 5.5,
  noise: 0.02,
};
const flute: Voice = {
  harmonics: [1, 0.35, 0.15, 0.05],
  attack: 0.05,
  decay: Number.POSITIVE_INFINITY,
  vibrato: 0.008,
  vibratoHz: 5,
  noise: 0.05,
};
const bass: Voice = {
  harmonics: [1, 0.8, 0.4, 0.2, 0.1],
  attack: 0.01,
  decay: 0.4,
  vibrato: 0,
  vibratoHz: 0,
  noise: 0,
};
const box: Voice = {
  harmonics: [1, 0, 0.25, 0, 0.1],
  attack: 0.002,
  decay: 0.6,
  vibrato: 0,
  vibratoHz: 0,
  noise: 0,
};
const synth: Voice = {
  harmonics: [1, 0.5, 0.33, 0.25, 0.2, 0.17, 0.14, 0.12],
  attack: 0.01,
  decay: 0.15,
  vibrato: 0,
  vibratoHz: 0,
  noise: 0,
};

interface Note {
  /** Seconds. */
  at: number;
  length: number;
  /** MIDI number. */
  pitch: number;
  voice: Voice;
  gain: number;
}

/** I–vi–IV–V in C, with a melody over it. */
const chords = [
  [48, 52, 55],
  [45, 48, 52],
  [41, 45, 48],
  [43, 47, 50],
];
const melody = [67, 69, 72, 71, 69, 67, 64, 65, 67, 72, 74, 76, 74, 72, 71, 67];

const arrangements: Record<string, () => Wave> = {
  band: () =>
    played(
      bars(0.5, (beat, at) => [
        ...chords[Math.floor(beat / 4) % 4]!.map((pitch) => ({
          at,
          length: 0.45,
          pitch: pitch + 12,
          voice: piano,
          gain: 0.2,
        })),
        {
          at,
          length: 0.5,
          pitch: chords[Math.floor(beat / 4) % 4]![beat % 2 === 0 ? 0 : 2]! - 12,
          voice: bass,
          gain: 0.35,
        },
        { at, length: 0.5, pitch: melody[beat % 16]!, voice: flute, gain: 0.35 },
      ]),
      drums(0.5),
    ),
  'string quartet': () =>
    played(
      bars(1, (beat, at) => [
        ...chords[beat % 4]!.map((pitch) => ({
          at,
          length: 1,
          pitch: pitch + 12,
          voice: strings,
          gain: 0.2,
        })),
        { at, length: 0.5, pitch: melody[(2 * beat) % 16]! + 5, voice: strings, gain: 0.35 },
        { at: at + 0.5, length: 0.5, pitch: melody[(2 * beat + 1) % 16]! + 5, voice: strings, gain: 0.35 },
      ]),
    ),
  'music box': () =>
    played(
      bars(0.3, (beat, at) => [{ at, length: 1.2, pitch: melody[beat % 16]! + 12, voice: box, gain: 0.6 }]),
    ),
  arpeggio: () =>
    played(
      bars(0.125, (beat, at) => [
        {
          at,
          length: 0.12,
          pitch: chords[Math.floor(beat / 16) % 4]![beat % 3]! + 12,
          voice: synth,
          gain: 0.5,
        },
      ]),
      drums(0.5),
    ),
  'lone flute': () =>
    played(
      bars(0.6, (beat, at) => [{ at, length: 0.55, pitch: melody[beat % 16]! + 5, voice: flute, gain: 0.8 }]),
    ),
};

function bars(seconds: number, notes: (beat: number, at: number) => Note[]): Note[] {
  const all: Note[] = [];
  for (let beat = 0; beat * seconds < 20; beat++) all.push(...notes(beat, beat * seconds));
  return all;
}

function played(notes: readonly Note[], beat: Wave = () => 0): Wave {
  const random = randomNumbers(5);
  // A note is looked for only in the seconds that it sounds in.
  const bySecond = new Map<number, Note[]>();
  for (const note of notes) {
    for (let second = Math.floor(note.at); second <= note.at + note.length; second++) {
      bySecond.set(second, [...(bySecond.get(second) ?? []), note]);
    }
  }
  return (t) =>
    (bySecond.get(Math.floor(t)) ?? []).reduce(
      (sum, note) => sum + sounded(note, t - note.at, random),
      beat(t),
    );
}

function sounded({ length, pitch, voice, gain }: Note, t: number, random: () => number): number {
  if (t < 0 || t >= length) return 0;
  const hertz = 440 * 2 ** ((pitch - 69) / 12);
  const { harmonics, attack, decay, vibrato, vibratoHz, noise } = voice;
  const swing =
    vibratoHz === 0 ? 0 : (vibrato / (2 * Math.PI * vibratoHz)) * Math.sin(2 * Math.PI * vibratoHz * t);
  const phase = 2 * Math.PI * hertz * (t + swing);
  let sum = noise === 0 ? 0 : noise * gaussian(random);
  for (let h = 0; h < harmonics.length && hertz * (h + 1) < 3400; h++)
    sum += harmonics[h]! * Math.sin((h + 1) * phase);
  const envelope = Math.min(1, t / attack, (length - t) / 0.02) * Math.exp(-Math.max(0, t - attack) / decay);
  return gain * envelope * sum;
}

/** A bass drum on the beat, a snare between, a hi-hat on every half. */
function drums(beat: number): Wave {
  const random = randomNumbers(9);
  return (t) => {
    const since = t % beat;
    const kick = Math.exp(-since * 25) * Math.sin(2 * Math.PI * 70 * since);
    const snare = Math.floor(t / beat) % 2 === 1 ? 0.4 * Math.exp(-since * 20) * gaussian(random) : 0;
    const hat = 0.12 * Math.exp(-(t % (beat / 2)) * 60) * gaussian(random);
    return 0.5 * kick + snare + hat;
  };
}
