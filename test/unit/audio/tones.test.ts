import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Resampler } from '../../../src/audio/resample.ts';
import { withoutTones } from '../../../src/audio/tones.ts';
import type { VoiceActivityDetector, VoiceActivityFactory } from '../../../src/audio/voice-activity.ts';
import { wavToMono } from '../../../src/audio/wav.ts';
import { defaultEndpointing } from '../../../src/call/agent-config.ts';
import { Endpointer, FRAME_MS } from '../../../src/call/endpointing.ts';
import { heldVowel, vowels } from '../../support/held-vowel.ts';
import { humanClips } from '../../support/human-clips.ts';
import { cadence, lineNoise, onLine, signallingTones, tone, tones } from '../../support/line-sounds.ts';
import { seeded } from '../../support/random.ts';
import { voiceActivityForNode } from '../../support/voice-activity.ts';

let factory: VoiceActivityFactory;
beforeAll(async () => {
  factory = await voiceActivityForNode();
});

/** Samples by which a sound is put out of step with the frames: tones do not begin where frames do. */
const outOfStep = [0, 37, 80, 121];

describe('a tone starts no utterance', () => {
  it.each(signallingTones().map(({ name, samples }) => [name, samples] as const))('%s', (_, samples) => {
    for (const dbm0 of [-5, -13, -25, -35]) {
      const sound = samples(dbm0);
      for (const offset of outOfStep) {
        const { utterances } = heardBy(filtered(), sound.subarray(offset));
        expect({ dbm0, offset, utterances }).toEqual({ dbm0, offset, utterances: [] });
      }
    }
  });

  it('while the detector alone starts one for each of them', () => {
    for (const { name, samples } of signallingTones()) {
      const alone = heardBy(factory.create({ sampleRate: 8000 }), samples());
      expect({ name, started: alone.utterances.length > 0 }).toEqual({ name, started: true });
    }
  });

  it('at 16 kHz either', () => {
    for (const { name, samples } of signallingTones()) {
      const { utterances } = heardBy(filtered(16_000), resampled(samples(), 8000, 16_000), 320);
      expect({ name, utterances }).toEqual({ name, utterances: [] });
    }
  });

  it('nor is it voice in frames of 10 or 30 ms', () => {
    for (const wave of [tone(2100), tone(425), tones(480, 620)]) {
      for (const length of [80, 240]) {
        const { voiced, frames } = heardBy(filtered(), onLine(wave, 3), length);
        expect(voiced / frames).toBeLessThan(0.05);
      }
    }
  });

  it('nor do comfort noise and hum', () => {
    for (const { samples } of lineNoise()) expect(heardBy(filtered(), samples()).voiced).toBe(0);
  });
});

describe('a voice is not lost', () => {
  it.each(humanClips().map((clip) => [clip.name, clip.path] as const))('%s', (_, path) => {
    const { samples, sampleRate } = wavToMono(readFileSync(path));
    const speech = resampled(samples, sampleRate, 8000);
    for (const offset of outOfStep) {
      const plain = heardBy(factory.create({ sampleRate: 8000 }), speech.subarray(offset));
      const sifted = heardBy(filtered(), speech.subarray(offset));
      expect(plain.utterances.length).toBeGreaterThan(0);
      expect(sifted.voiced).toBeGreaterThan(0.99 * plain.voiced);
      expectSame(sifted.utterances, plain.utterances);
    }
  });

  it.each(vowels)('a held "%s", spoken or sung with vibrato, by men, women and children', (vowel) => {
    for (const hertz of [90, 120, 150, 180, 210, 240, 270, 300, 330, 360]) {
      for (const vibrato of [0, 0.03]) {
        const sound = heldVowel(vowel, hertz, vibrato);
        const plain = heardBy(factory.create({ sampleRate: 8000 }), sound);
        const sifted = heardBy(filtered(), sound);
        expect(plain.utterances).toHaveLength(1);
        expect({ hertz, vibrato, ...sifted }).toEqual({ hertz, vibrato, ...plain });
      }
    }
  });
});

describe('what is nearly a tone, but a voice', () => {
  it('a hum of a woman or a child with hardly an overtone', () => {
    for (const hertz of [180, 220, 260, 300, 340]) {
      const hum = onLine((t) => tone(hertz)(t) + 0.05 * tone(2 * hertz)(t), 1, -13, 0);
      expect(voicedFrames(withoutTones(always(true), 8000), hum)).not.toContain(false);
    }
  });

  it('a vowel whose first moment is like a low tone', () => {
    const vowel = heldVowel('ah', 140).subarray(0.6 * 8000, 1.6 * 8000);
    const sound = joined(onLine(tone(425), 0.04, -13, 0), vowel);
    expect(voicedFrames(withoutTones(always(true), 8000), sound).indexOf(false, 2)).toBe(-1);
  });

  it('at 16 kHz, a sound with energy over the telephone band', () => {
    const sound = Int16Array.from({ length: 16_000 }, (_, i) =>
      Math.round(4000 * (tone(1000)(i / 16_000) + 0.4 * tone(6000)(i / 16_000))),
    );
    expect(voicedFrames(withoutTones(always(true), 16_000), sound, 320)).not.toContain(false);
  });
});

describe('a voice and a tone', () => {
  it('speech after a tone starts an utterance as without it', () => {
    const speech = humanSpeech().subarray(0, 3 * 8000);
    const alone = heardBy(filtered(), speech).utterances;
    expect(alone).toHaveLength(1);
    for (const before of [
      onLine(tone(1000), 0.5),
      onLine(cadence(tone(425), 0.5, 0.5), 5),
      onLine(tone(2100), 3),
    ]) {
      const frames = Math.floor(before.length / 160);
      const after = heardBy(filtered(), joined(before.subarray(0, frames * 160), speech)).utterances;
      expect(after).toHaveLength(1);
      // The detector itself has adapted to what it heard before.
      expect(Math.abs(after[0]!.start - frames - alone[0]!.start)).toBeLessThanOrEqual(5);
    }
  });

  it('speech that follows a beep without a pause is heard within 40 ms', () => {
    const beep = onLine(tone(1000), 0.5, -10, 0);
    const vowel = heldVowel('ah', 140).subarray(0.6 * 8000);
    const voiced = voicedFrames(withoutTones(always(true), 8000), joined(beep, vowel));
    expect(voiced.slice(1, 25)).not.toContain(true);
    expect(voiced.slice(27, 25 + 60)).not.toContain(false);
  });

  it('a busy tone after the last word does not keep the turn open', () => {
    const speech = heldVowel('ah', 140).subarray(0, 1.8 * 8000);
    const busy = onLine(cadence(tone(425), 0.5, 0.5), 6, -13, 0);
    const alone = heardBy(factory.create({ sampleRate: 8000 }), joined(speech, busy)).utterances[0]!;
    const sifted = heardBy(filtered(), joined(speech, busy)).utterances;
    expect(sifted).toHaveLength(1);
    // 100 ms in which it might be a vowel, and the silence that ends a turn.
    const latest = 1.8 * 1000 + 100 + defaultEndpointing.endMs + FRAME_MS;
    expect(sifted[0]!.decided * FRAME_MS).toBeLessThanOrEqual(latest);
    expect(alone.decided * FRAME_MS).toBeGreaterThan(latest);
  });

  it('a tone after a pause is not trusted for the voice before it', () => {
    const loud = { ...always(true), isVoiced: (frame: Int16Array) => frame.some((sample) => sample > 500) };
    const speech = heldVowel('ah', 140);
    const frames = Math.floor(speech.length / 160);
    const sound = joined(speech.subarray(0, frames * 160), onLine(tone(1100), 1, -13, 0));
    const voiced = voicedFrames(withoutTones(loud, 8000), sound);
    expect(voiced.slice(0, frames)).toContain(true);
    expect(voiced.slice(frames)).not.toContain(true);
  });

  it('speech over a tone that is not louder than it is voice', () => {
    const vowel = heldVowel('oh', 130, 0, -16);
    const dial = onLine(tones(350, 440), vowel.length / 8000, -16, 0);
    const both = vowel.map((sample, i) => sample + dial[i]!);
    const voiced = voicedFrames(withoutTones(always(true), 8000), both);
    // The vowel stands in frames 30 to 89.
    expect(voiced.slice(2, 28)).not.toContain(true);
    expect(voiced.slice(32, 88)).not.toContain(false);
  });
});

describe('a voice that is trusted', () => {
  /** Whether a frame by itself is a tone's, by a detector that trusts nobody yet. */
  function isTone(samples: Int16Array, end: number, length: number): boolean {
    let voiced = false;
    const detector = withoutTones({ ...always(true), isVoiced: () => voiced }, 8000);
    const from = Math.max(0, end - Math.ceil((32 * 8) / length) * length);
    for (let at = from; at < end; at += length) {
      voiced = at + length === end;
      const heard = detector.isVoiced(samples.subarray(at, at + length));
      if (voiced) return !heard;
    }
    throw new Error('not reached');
  }

  it.each([80, 160, 240])(
    'is interrupted by a tone in its hundredth millisecond, wherever that begins, frames of %i samples',
    (length) => {
      const { fraction: random } = seeded(7);
      const speech = humanSpeech();
      let tones = 0;
      for (let round = 0; round < 60; round++) {
        const before = Math.floor((0.4 + 3 * random()) * 8000);
        const parts = [speech.subarray(before - 3200, before)];
        // Whistles of 20 to 160 ms with something of a voice between them: some last long enough, some do not.
        for (let i = 0; i < 6; i++) {
          parts.push(onLine(tone(500 + 1500 * random()), 0.02 + 0.14 * random(), -13, 0));
          const at = Math.floor(random() * (speech.length - 4000));
          parts.push(speech.subarray(at, at + Math.floor(800 * random())));
        }
        const samples = joined(...parts);
        // The detector behind it misses a frame now and then.
        const missed = new Set<number>();
        for (let i = 0; i < samples.length / length; i++) if (random() < 0.05) missed.add(i);
        let asked = 0;
        const detector = withoutTones({ ...always(true), isVoiced: () => !missed.has(asked++) }, 8000);
        const heard = voicedFrames(detector, samples, length);
        const ms = length / 8;
        let voiceMs = 0;
        let tonalMs = 0;
        for (const [i, voiced] of heard.entries()) {
          const tonal = !missed.has(i) && isTone(samples, (i + 1) * length, length);
          tonalMs = tonal ? tonalMs + ms : 0;
          if (voiceMs < 60) {
            // What begins like a tone is another test's.
            if (tonal) break;
            voiceMs += missed.has(i) ? 0 : ms;
            continue;
          }
          expect({ round, i, voiced }).toEqual({ round, i, voiced: !missed.has(i) && tonalMs < 100 });
          if (tonalMs >= 100) {
            tones++;
            break;
          }
        }
      }
      expect(tones).toBeGreaterThan(10);
      expect(tones).toBeLessThan(60);
    },
  );
});

describe('the detector behind it', () => {
  it('may have frames of another length from one moment to the next', () => {
    const { fraction: random } = seeded(11);
    const noise = Int16Array.from({ length: 1_600 }, () => 8_000 * (random() - 0.5));
    const whistle = onLine(tone(1500), 1, -13, 0);
    for (let round = 0; round < 300; round++) {
      const detector = withoutTones(always(true), 8000);
      expect(voicedFrames(detector, noise, 80)).not.toContain(false);
      const heard: boolean[] = [];
      for (let at = 0; at + 240 <= whistle.length; ) {
        const length = [80, 160, 240][Math.floor(3 * random())]!;
        heard.push(detector.isVoiced(whistle.subarray(at, at + length)));
        at += length;
      }
      // It is known within half a second, and does not become a voice again.
      expect({ round, late: heard.slice(30).includes(true) }).toEqual({ round, late: false });
    }
  });

  it('is asked for every frame, and believed where it finds no voice', () => {
    let asked = 0;
    const detector = withoutTones({ ...always(false), isVoiced: () => ++asked < 0 }, 8000);
    const { voiced, frames } = heardBy(detector, humanSpeech());
    expect(voiced).toBe(0);
    expect(asked).toBe(frames);
  });

  it('is reset and closed with it, and a reset leaves nothing behind', () => {
    const samples = joined(onLine(tone(425), 1), humanSpeech());
    const detector = filtered();
    const first = voicedFrames(detector, samples);
    detector.reset();
    expect(voicedFrames(detector, samples)).toEqual(first);
    // A tone is known at once by one who has heard it before, and late by one who has heard a voice.
    for (const before of [onLine(tone(425), 1, -13, 0), humanSpeech()]) {
      const stubbed = withoutTones(always(true), 8000);
      voicedFrames(stubbed, before);
      stubbed.reset();
      const after = onLine(tone(425), 1, -13, 0);
      expect(voicedFrames(stubbed, after)).toEqual(voicedFrames(withoutTones(always(true), 8000), after));
    }
    detector.close();
    expect(() => detector.isVoiced(new Int16Array(160))).toThrow('closed');
    expect(() => detector.reset()).toThrow('closed');
    detector.close();
  });

  it('is the line’s own: two lines at once are heard as each alone', () => {
    const one = joined(onLine(tones(480, 620), 2), humanSpeech());
    const other = joined(humanSpeech(), onLine(tone(1100), 2));
    const expected = [voicedFrames(filtered(), one), voicedFrames(filtered(), other)];
    const [first, second] = [filtered(), filtered()];
    const heard: [boolean[], boolean[]] = [[], []];
    for (let at = 0; at + 160 <= one.length; at += 160) {
      heard[0].push(first.isVoiced(one.subarray(at, at + 160)));
      if (at + 160 <= other.length) heard[1].push(second.isVoiced(other.subarray(at, at + 160)));
    }
    expect(heard).toEqual(expected);
  });

  it('says what frames it takes', () => {
    expect(() => filtered().isVoiced(new Int16Array(161))).toThrow(RangeError);
  });
});

interface Heard {
  voiced: number;
  frames: number;
  /** Numbers of frames: where the utterance started, its last voiced one, and where it was decided to be over. */
  utterances: { start: number; lastVoiced: number; decided: number }[];
}

function heardBy(detector: VoiceActivityDetector, samples: Int16Array, length = 160): Heard {
  const endpointer = new Endpointer(defaultEndpointing);
  const heard: Heard = { voiced: 0, frames: 0, utterances: [] };
  let lastVoiced = 0;
  for (const voiced of voicedFrames(detector, samples, length)) {
    if (voiced) {
      heard.voiced++;
      lastVoiced = heard.frames;
    }
    const change = endpointer.push(voiced);
    if (change === 'start') heard.utterances.push({ start: heard.frames, lastVoiced: 0, decided: 0 });
    if (change === 'end') Object.assign(heard.utterances.at(-1)!, { lastVoiced, decided: heard.frames });
    heard.frames++;
  }
  if (endpointer.speaking) Object.assign(heard.utterances.at(-1)!, { lastVoiced, decided: heard.frames });
  return heard;
}

function voicedFrames(detector: VoiceActivityDetector, samples: Int16Array, length = 160): boolean[] {
  const voiced: boolean[] = [];
  for (let at = 0; at + length <= samples.length; at += length) {
    voiced.push(detector.isVoiced(samples.subarray(at, at + length)));
  }
  return voiced;
}

/** Within 20 ms. */
function expectSame(actual: Heard['utterances'], expected: Heard['utterances']): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, utterance] of expected.entries()) {
    expect(Math.abs(actual[i]!.start - utterance.start)).toBeLessThanOrEqual(1);
    expect(Math.abs(actual[i]!.lastVoiced - utterance.lastVoiced)).toBeLessThanOrEqual(1);
  }
}

function filtered(sampleRate: 8000 | 16000 = 8000): VoiceActivityDetector {
  return withoutTones(factory.create({ sampleRate }), sampleRate);
}

function always(voiced: boolean): VoiceActivityDetector {
  return { isVoiced: () => voiced, reset: () => {}, close: () => {} };
}

function humanSpeech(): Int16Array {
  const clip = humanClips().find(({ name }) => name === 'jfk');
  if (clip === undefined) throw new Error('no clip jfk');
  const { samples, sampleRate } = wavToMono(readFileSync(clip.path));
  return resampled(samples, sampleRate, 8000);
}

function resampled(samples: Int16Array, from: number, to: number): Int16Array {
  const resampler = new Resampler(from, to);
  return joined(resampler.push(samples), resampler.flush());
}

function joined(...parts: Int16Array[]): Int16Array {
  const whole = new Int16Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
