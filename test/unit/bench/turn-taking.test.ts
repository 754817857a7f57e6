import { describe, expect, it } from 'vitest';
import { type Clip, clipOf, lineRate } from '../../../bench/turn-taking/clips.ts';
import { corpusOf } from '../../../bench/turn-taking/corpus.ts';
import { voicedSpan, voicedSpans } from '../../../bench/turn-taking/labels.ts';
import type { OverlapOutcome, TurnOutcome } from '../../../bench/turn-taking/play.ts';
import {
  inOrder,
  logUniform,
  PAUSE_MS,
  randomFor,
  roomNoise,
  type Scene,
  type SceneOptions,
  sceneOf,
  withPauses,
} from '../../../bench/turn-taking/scenes.ts';
import { scoreOverlaps, scoreTurns } from '../../../bench/turn-taking/score.ts';
import { speaker } from '../../../bench/turn-taking/speakers.ts';
import { TimedSpeechToText } from '../../../bench/turn-taking/timed-speech-to-text.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const ms = (duration: number) => (duration * lineRate) / 1_000;

/** Pieces of a tone, loud or silent: `[duration in ms, amplitude]`. */
function sound(...pieces: readonly (readonly [number, number])[]): Int16Array {
  return Int16Array.from(
    pieces.flatMap(([duration, amplitude]) =>
      Array.from({ length: ms(duration) }, (_, i) =>
        Math.round(amplitude * Math.sin((2 * Math.PI * 200 * i) / lineRate)),
      ),
    ),
  );
}

const inMs = (span: { start: number; end: number } | null) =>
  span === null ? null : [(span.start * 1_000) / lineRate, (span.end * 1_000) / lineRate];

describe('the labels', () => {
  it('are the first voiced sample and the last', () => {
    const clean = sound([300, 0], [500, 8_000], [200, 0], [400, 300], [600, 0]);
    expect(inMs(voicedSpan(clean, lineRate))).toEqual([300, 1_400]);
  });

  it('leave out what is 40 dB below the loudest, clicks, and a recording’s own noise', () => {
    expect(inMs(voicedSpan(sound([100, 70], [500, 8_000], [400, 70]), lineRate))).toEqual([100, 600]);
    expect(inMs(voicedSpan(sound([500, 8_000], [300, 0], [20, 8_000], [80, 0]), lineRate))).toEqual([0, 500]);
    expect(inMs(voicedSpan(sound([300, 250], [500, 8_000], [500, 250]), lineRate))).toEqual([300, 800]);
  });

  it('find nothing in silence', () => {
    expect(voicedSpan(new Int16Array(8_000), lineRate)).toBeNull();
  });

  it('tell phrases apart by gaps of a given length', () => {
    const two = sound([200, 8_000], [100, 0], [300, 8_000]);
    expect(voicedSpans(two, lineRate, 90).map(inMs)).toEqual([
      [0, 200],
      [300, 600],
    ]);
    expect(voicedSpans(two, lineRate, 110).map(inMs)).toEqual([[0, 600]]);
  });
});

describe('the joins', () => {
  const clip: Clip = clipOf(sound([200, 8_000], [150, 0], [300, 8_000], [150, 0], [100, 8_000]), 110);

  it('put a pause in place of a gap, to the millisecond', () => {
    expect(clip.phrases.map(inMs)).toEqual([
      [0, 200],
      [350, 650],
      [800, 900],
    ]);
    const said = withPauses(clip, [1], [1_000]);
    expect(voicedSpans(said, lineRate, 110).map(inMs)).toEqual([
      [0, 200],
      [350, 650],
      [1_650, 1_750],
    ]);
  });

  it('put pauses between clips', () => {
    const said = inOrder([sound([200, 8_000]), sound([100, 8_000]), sound([100, 8_000])], [300, 2_000]);
    expect(said.length).toBe(ms(200 + 300 + 100 + 2_000 + 100));
  });

  it('draw pauses between the bounds, as many short as long ones, and always the same', () => {
    const draw = () => {
      const random = randomFor('a name');
      return Array.from({ length: 1_000 }, () => logUniform(PAUSE_MS, random));
    };
    const pauses = draw();
    expect(draw()).toEqual(pauses);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(200);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(2_500);
    const middle = Math.sqrt(200 * 2_500);
    const short = pauses.filter((pause) => pause < middle).length;
    expect(short).toBeGreaterThan(450);
    expect(short).toBeLessThan(550);
  });
});

describe('a scene', () => {
  const said = clipOf(sound([2_000, 8_000]), 110).samples;
  const options = (snr: SceneOptions['snr']): SceneOptions => ({
    kind: 'as recorded',
    group: 'tuning',
    speaker: 'nobody',
    snr,
    earlier: said,
    noise: roomNoise(randomFor('noise')),
    random: randomFor('scene'),
  });

  it('says where the caller speaks in it', () => {
    const { line, talk } = sceneOf(said, options(Number.POSITIVE_INFINITY));
    const voiced = voicedSpan(line, lineRate)!;
    expect(Math.abs(voiced.start - talk.start)).toBeLessThanOrEqual(ms(20));
    expect(Math.abs(voiced.end - talk.end)).toBeLessThanOrEqual(ms(20));
  });

  it.each([20, 10] as const)('has the noise that it says: speech is %i dB louder', (snr) => {
    const { line, talk, before } = sceneOf(said, options(snr));
    const level = (samples: Int16Array) =>
      10 * Math.log10(samples.reduce((sum, sample) => sum + sample ** 2, 0) / samples.length);
    const noise = level(line.subarray(talk.end));
    // With the noise itself in it.
    const speech =
      10 * Math.log10(10 ** (level(line.subarray(talk.start, talk.end)) / 10) - 10 ** (noise / 10));
    expect(speech - noise).toBeGreaterThan(snr - 1.5);
    expect(speech - noise).toBeLessThan(snr + 1.5);
    expect(before.length).toBeGreaterThan(0);
  });
});

describe('the corpus', () => {
  const said = (duration: number) => ({ from: sound([duration, 8_000]) });
  const phrases = { from: sound([1_000, 8_000], [300, 0], [500, 8_000]) };
  const people = [
    speaker('one', 'tuning', { sentences: [phrases, said(1_000)], backchannels: [said(400)] }),
    speaker('two', 'held-out', { sentences: [said(1_200)], interruptions: [said(900)], cries: [said(700)] }),
  ];
  const kinds = (scenes: readonly Scene[]) =>
    scenes.map(({ kind, speaker, snr }) => `${speaker}: ${kind}, ${snr}`);

  it('has only the speakers of its group, in every condition or each in one', async () => {
    const tuning = await corpusOf(people, { group: 'tuning', everyCondition: false, draws: 1 });
    expect(kinds(tuning)).toEqual([
      'one: as recorded, Infinity',
      'one: pause inside, 20',
      'one: pause between, 10',
      'one: as recorded, Infinity',
      'one: backchannel, 20',
    ]);
    const heldOut = await corpusOf(people, { group: 'held-out', everyCondition: true, draws: 1 });
    expect(kinds(heldOut)).toEqual(
      ['as recorded', 'interruption', 'cry'].flatMap((kind) =>
        [Number.POSITIVE_INFINITY, 20, 10].map((snr) => `two: ${kind}, ${snr}`),
      ),
    );
  });

  it('is the same each time', async () => {
    const options = { group: 'tuning', everyCondition: false, draws: 1 } as const;
    expect(await corpusOf(people, options)).toEqual(await corpusOf(people, options));
  });

  it('keeps what is synthetic apart', async () => {
    const made = await corpusOf([...people, speaker('voice', 'synthetic', { sentences: [said(1_000)] })], {
      group: 'synthetic',
      everyCondition: false,
      draws: 1,
    });
    expect(new Set(made.map(({ speaker }) => speaker))).toEqual(new Set(['voice', 'by rule']));
    expect(new Set(made.map(({ kind }) => kind))).toEqual(new Set(['as recorded', 'cough', 'noise']));
  });
});

describe('speech to text on the call’s clock', () => {
  it('brings the text its latency after the request, however long the recogniser takes', async () => {
    const clock = new FakeClock();
    const from = clock.now();
    let recognised = (_text: string) => {};
    const speechToText = new TimedSpeechToText(
      {
        transcribe: () =>
          new Promise((resolve) => {
            recognised = resolve;
          }),
      },
      clock,
      300,
    );
    const abort = new AbortController();
    const session = speechToText.open({ sampleRate: 8000, language: 'en', signal: abort.signal });
    const finals: [number, string][] = [];
    const reading = (async () => {
      for await (const event of session.events) {
        if (event.type === 'final') finals.push([clock.now() - from, event.text]);
      }
    })();
    session.push(sound([500, 8_000]));
    session.endUtterance();
    const settled = speechToText.settled();
    recognised('Hello.');
    await settled;
    await clock.advance(299);
    expect(finals).toEqual([]);
    await clock.advance(1);
    expect(finals).toEqual([[300, 'Hello.']]);
    abort.abort();
    await reading;
  });
});

describe('the score', () => {
  const turn = (waitMs: number | null, spokenOver = false, takenBack = false) =>
    ({ waitMs, spokenOver, takenBack, audioMs: waitMs === null ? null : waitMs + 1_000 }) as TurnOutcome;
  const overlap = (
    kind: Scene['kind'],
    interruptedAfterMs: number | null,
    silentAfterMs: number | null = null,
  ) => ({ scene: { kind }, interruptedAfterMs, silentAfterMs }) as OverlapOutcome;

  it('counts a turn as cut off that was decided before its end, whether it was heard or not', () => {
    expect(scoreTurns([turn(-20, false, true), turn(-900, true), turn(0), turn(400), turn(null)])).toEqual({
      turns: 5,
      cutOff: 0.4,
      spokenOver: 0.2,
      takenBack: 0.2,
      unanswered: 0.2,
      waitP50Ms: 200,
      waitP95Ms: 380,
      // What was spoken over has no answer of its own yet.
      audioP50Ms: 1_000,
      audioP95Ms: 1_360,
    });
  });

  it('counts an interruption as missed that did not stop the agent, or that the noise before it had stopped', () => {
    const score = scoreOverlaps([
      overlap('interruption', 900, 140),
      overlap('interruption', null, 160),
      overlap('interruption', -300, -900),
      overlap('interruption', 700, 120),
    ]);
    expect(score).toMatchObject({
      interruptions: 4,
      others: 0,
      missed: 0.5,
      silentP50Ms: 140,
      judgedP50Ms: 800,
    });
    expect(score.falseOnes).toBeNaN();
  });

  it('counts any other sound as a false interruption that stopped the agent, and as a pause that silenced it', () => {
    const score = scoreOverlaps([
      overlap('backchannel', 500, 100),
      overlap('cough', null, 100),
      overlap('noise', null),
      overlap('cry', null, -50),
    ]);
    expect(score).toMatchObject({ interruptions: 0, others: 4, falseOnes: 0.25, paused: 0.5 });
  });
});
