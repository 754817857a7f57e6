import { describe, expect, it } from 'vitest';
import { SpeechGate, type SpokenAudio } from '../../../src/call/speech-gate.ts';

const line = (...stretches: [ms: number, level: number][]): Int16Array =>
  Int16Array.from(stretches.flatMap(([ms, level]) => new Array<number>(ms * 8).fill(level)));

/** What the gate finds on a line that comes in pieces of so many samples. */
function find(gate: SpeechGate, samples: Int16Array, pieceSamples = 800, fromMs = 0) {
  const found: (SpokenAudio | 'end')[] = [];
  for (let at = 0; at < samples.length; at += pieceSamples) {
    found.push(...gate.push(samples.subarray(at, at + pieceSamples), fromMs + at / 8));
  }
  const spoken = found.filter((part) => part !== 'end');
  return {
    ends: found.length - spoken.length,
    fromMs: spoken[0]?.atMs,
    ms: spoken.reduce((sum, part) => sum + part.samples.length, 0) / 8,
    voicedMs: spoken.flatMap((part) => [...part.samples]).filter((sample) => sample >= 500).length / 8,
    quietMs: spoken.at(-1)?.quietMs,
  };
}

describe('the speeches on the line of a model that sends audio all the time', () => {
  it.each([160, 800, 37, 8_000])('are the same however the line is cut (%i samples)', (piece) => {
    const samples = line([1_000, 0], [600, 1_000], [500, 0], [400, 1_000], [2_000, 0]);
    const gate = new SpeechGate({ sampleRate: 8000 });
    expect(find(gate, samples, piece)).toEqual({
      ends: 1,
      fromMs: 900,
      ms: 100 + 600 + 500 + 400 + 800,
      voicedMs: 1_000,
      quietMs: 800,
    });
    expect(gate.open).toBe(false);
  });

  it('hiss of the line is none', () => {
    const gate = new SpeechGate({ sampleRate: 8000 });
    expect(find(gate, line([2_000, 90]))).toMatchObject({ ends: 0, ms: 0 });
    expect(find(gate, line([200, 180]), 800, 2_000)).toMatchObject({ ms: 300 });
  });

  it('the rest of a skipped one is left out, the next one is whole', () => {
    const gate = new SpeechGate({ sampleRate: 8000 });
    find(gate, line([500, 1_000]));
    gate.skip();
    expect(gate.skipping).toBe(true);
    const samples = line([400, 1_000], [300, 0], [200, 1_000]);
    expect(find(gate, samples, 800, 500)).toMatchObject({ voicedMs: 200 });
    expect(gate.skipping).toBe(false);
  });

  it('of a speech that was over already nothing is skipped, nor of the next one', () => {
    const gate = new SpeechGate({ sampleRate: 8000 });
    find(gate, line([500, 1_000], [400, 0]));
    gate.skip();
    expect(find(gate, line([200, 1_000]), 800, 900)).toMatchObject({ voicedMs: 200 });
  });

  it('a model that does not stop is heard again after a while', () => {
    const gate = new SpeechGate({ sampleRate: 8000 });
    find(gate, line([500, 1_000]));
    gate.skip();
    expect(find(gate, line([6_000, 1_000]), 800, 500).voicedMs).toBeCloseTo(1_000, -2);
  });
});
