import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { Moonshine, moonshineRate } from '../../../embedded/engines/stt/moonshine.ts';
import { lineDetector } from '../../../src/audio/line-detector.ts';
import type { VoiceActivityFactory } from '../../../src/audio/voice-activity.ts';
import { wavToMono } from '../../../src/audio/wav.ts';
import { WindowedSession } from '../../../src/providers/windowed-session.ts';
import { createCall } from '../../support/call-harness.ts';
import { holdMusic } from '../../support/hold-music.ts';
import { humanClips } from '../../support/human-clips.ts';
import {
  cadence,
  lineNoise,
  lineRate,
  loudHum,
  onLine,
  signallingTones,
  tone,
  tones,
} from '../../support/line-sounds.ts';
import { voiceActivityForNode } from '../../support/voice-activity.ts';
import { wordErrors } from '../../support/word-errors.ts';
import { resampled, throughTelephone } from './support.ts';

let recogniser: Moonshine;
let detectors: VoiceActivityFactory;
beforeAll(async () => {
  [recogniser, detectors] = await Promise.all([Moonshine.load(), voiceActivityForNode()]);
});

/**
 * A call with the detector and the recogniser of the product, whose line carries `samples` and then silence. The agent speaks all
 * the time, unless it has reason not to.
 */
async function callWith(samples: Int16Array, greeting = 'A very long greeting.') {
  let transcribing = 0;
  const heard: string[] = [];
  const call = createCall({
    agent: { greeting },
    script: { speech: () => 60_000 },
    call: { createDetector: (sampleRate) => lineDetector(detectors, sampleRate) },
  });
  call.providers.speechToText = {
    open: (options) =>
      new WindowedSession(
        async (window, signal) => {
          transcribing++;
          try {
            const text = await recogniser.transcribe(resampled(window, lineRate, moonshineRate), signal);
            if (text !== '') heard.push(text);
            return { text, usage: { provider: 'moonshine' } };
          } finally {
            transcribing--;
          }
        },
        options,
        { provider: 'moonshine', bufferMs: 2_000, runAhead: true, maxInFlight: 3 },
      ),
  };
  await call.start();
  for (let at = 0; at < samples.length + 4 * lineRate; at += 160) {
    await call.clock.advance(20);
    const frame = new Int16Array(160);
    frame.set(samples.subarray(at, at + 160));
    call.call.receive('', call.callLeg);
    call.from.audio(frame);
    while (transcribing > 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await call.clock.advance(0);
  const caller = call.transcript().filter((line) => line.startsWith('caller: '));
  const result = {
    turns: caller.map((line) => line.slice('caller: '.length)),
    /** Whether the agent fell silent. */
    silenced: call.leg.actions.includes('clear'),
    answers: call.asked.messages.length,
    /** Every text that came from the recogniser. */
    heard,
  };
  call.from.hangUp();
  return result;
}

/** "And so, my fellow Americans": the beginning of the one human recording that every machine has, up to its first pause. */
function sentence(): { samples: Int16Array; misheard: (text: string) => number } {
  const clip = humanClips().find(({ name }) => name === 'jfk');
  if (clip === undefined) throw new Error('no clip jfk');
  const { samples, sampleRate } = wavToMono(readFileSync(clip.path));
  return {
    samples: throughTelephone(samples.subarray(0, 3 * sampleRate), sampleRate),
    misheard: (text) => wordErrors('and so my fellow americans', text).rate,
  };
}

function joined(...parts: Int16Array[]): Int16Array {
  return Int16Array.from(parts.flatMap((part) => [...part]));
}

function mixed(one: Int16Array, other: Int16Array): Int16Array {
  return one.map((sample, i) => Math.max(-32_768, Math.min(32_767, sample + (other[i] ?? 0))));
}

describe('no turn, and no interruption', () => {
  test.each(signallingTones().map(({ name, samples }) => [name, samples] as const))(
    '%s',
    async (_, samples) => {
      expect(await callWith(samples())).toEqual({ turns: [], silenced: false, answers: 0, heard: [] });
    },
  );

  test.each(lineNoise().map(({ name, samples }) => [name, samples] as const))('%s', async (_, samples) => {
    expect(await callWith(samples())).toEqual({ turns: [], silenced: false, answers: 0, heard: [] });
  });
});

describe('no turn', () => {
  test.each([...loudHum(), ...holdMusic()].map(({ name, samples }) => [name, samples] as const))(
    '%s',
    async (_, samples) => {
      expect(await callWith(samples())).toMatchObject({ turns: [], answers: 0 });
    },
  );
});

describe('a sentence is one turn', () => {
  test.each([
    ['after the beep of an answering machine', () => onLine(tone(1000), 0.5)],
    ['after fax CNG', () => onLine(cadence(tone(1100), 0.5, 3), 4.1)],
    ['after a busy tone', () => onLine(cadence(tones(480, 620), 0.5, 0.5), 3.5)],
    ['after ten seconds of dial tone', () => onLine(tones(350, 440), 10)],
  ])('%s', async (_, sound) => {
    const { samples, misheard } = sentence();
    const { turns, answers } = await callWith(joined(sound(), samples), '');
    expect(turns).toHaveLength(1);
    expect(misheard(turns[0]!)).toBeLessThan(0.25);
    expect(answers).toBe(1);
  });

  test.each([
    ['a faint dial tone', () => onLine(tones(350, 440), 4, -30, 0)],
    ['fax CNG', () => onLine(cadence(tone(1100), 0.5, 3), 4, -25, 0)],
    ['a ringing tone', () => onLine(cadence(tone(425), 1, 4), 4, -25, 0)],
    ['the hum of a bad ground', () => loudHum()[1]!.samples()],
  ])('over %s', async (_, sound) => {
    const { samples, misheard } = sentence();
    const { turns, answers } = await callWith(mixed(samples, sound()), '');
    expect(turns).toHaveLength(1);
    expect(misheard(turns[0]!)).toBeLessThan(0.25);
    expect(answers).toBe(1);
  });
});
