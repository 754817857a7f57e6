import { describe, expect, it } from 'vitest';
import { aboveBackground } from '../../../src/audio/background.ts';
import type { VoiceActivityDetector } from '../../../src/audio/voice-activity.ts';
import { gaussian, randomNumbers } from '../../support/line-sounds.ts';

const FRAMES_PER_SECOND = 50;

/** A detector that takes everything for voice: what it says is the filter's doing. */
function everything() {
  const calls: string[] = [];
  const detector: VoiceActivityDetector = {
    isVoiced: () => true,
    reset: () => calls.push('reset'),
    close: () => calls.push('close'),
  };
  return { detector, calls };
}

/** Frames of noise of a level, in dB of full scale. */
function noise(db: number, seconds: number, sampleRate = 8000, seed = 5): Int16Array[] {
  const random = randomNumbers(seed);
  const amplitude = 32_768 * 10 ** (db / 20);
  return Array.from({ length: seconds * FRAMES_PER_SECOND }, () =>
    Int16Array.from({ length: sampleRate / FRAMES_PER_SECOND }, () =>
      Math.round(amplitude * gaussian(random)),
    ),
  );
}

const shareVoiced = (detector: VoiceActivityDetector, frames: readonly Int16Array[]) =>
  frames.filter((frame) => detector.isVoiced(frame)).length / frames.length;

describe('what is above the background', () => {
  it.each([8000, 16_000] as const)(
    'is the caller, and the street is not, once both were heard (%i Hz)',
    (rate) => {
      const detector = aboveBackground(everything().detector, rate);
      shareVoiced(detector, noise(-38, 2, rate));
      shareVoiced(detector, noise(-24, 2, rate));
      expect(shareVoiced(detector, noise(-38, 3, rate, 6))).toBeLessThan(0.02);
      expect(shareVoiced(detector, noise(-26, 3, rate, 7))).toBe(1);
    },
  );

  it('is everything, as long as only one level was heard', () => {
    const detector = aboveBackground(everything().detector, 8000);
    expect(shareVoiced(detector, noise(-38, 10))).toBe(1);
  });

  it('is on a quiet line also what is spoken 25 dB below the rest', () => {
    const detector = aboveBackground(everything().detector, 8000);
    shareVoiced(detector, noise(-68, 3));
    shareVoiced(detector, noise(-24, 3));
    expect(shareVoiced(detector, noise(-49, 1, 8000, 6))).toBe(1);
  });

  it('is found anew where the background becomes louder', () => {
    const detector = aboveBackground(everything().detector, 8000);
    for (let i = 0; i < 3; i++) {
      shareVoiced(detector, noise(-60, 2, 8000, 10 + i));
      shareVoiced(detector, noise(-22, 2, 8000, 20 + i));
    }
    for (let i = 0; i < 20; i++) {
      shareVoiced(detector, noise(-38, 2, 8000, 30 + i));
      shareVoiced(detector, noise(-22, 2, 8000, 60 + i));
    }
    expect(shareVoiced(detector, noise(-38, 2, 8000, 90))).toBeLessThan(0.05);
    expect(shareVoiced(detector, noise(-22, 2, 8000, 91))).toBe(1);
  });

  it('is known for as long as a call may last', () => {
    const detector = aboveBackground(everything().detector, 8000);
    const [street, caller] = [noise(-38, 1), noise(-24, 1)];
    // Two hours: the weights are made small many times.
    for (let i = 0; i < 3_600; i++) {
      shareVoiced(detector, street);
      shareVoiced(detector, caller);
    }
    expect(shareVoiced(detector, noise(-38, 2, 8000, 6))).toBeLessThan(0.02);
    expect(shareVoiced(detector, noise(-24, 2, 8000, 7))).toBe(1);
  });

  it('is what the detector finds voice in, too', () => {
    const silent = { ...everything().detector, isVoiced: () => false };
    expect(shareVoiced(aboveBackground(silent, 8000), noise(-20, 1))).toBe(0);
  });

  it('is forgotten with a reset, and the detector is closed with it', () => {
    const { detector: inner, calls } = everything();
    const detector = aboveBackground(inner, 8000);
    shareVoiced(detector, noise(-38, 2));
    shareVoiced(detector, noise(-24, 2));
    detector.reset();
    expect(shareVoiced(detector, noise(-38, 3))).toBe(1);
    detector.close();
    expect(calls).toEqual(['reset', 'close']);
  });
});
