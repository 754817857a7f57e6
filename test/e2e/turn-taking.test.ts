import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { voicedSpan } from '../../tools/caller/audio.ts';
import type { Call } from '../../tools/caller/call.ts';
import type { CallerEvent, CallReport, Utterance } from '../../tools/caller/types.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { at, type Laptop, type RecordedTurn, startLaptop } from '../support/laptop.ts';
import { bestPrefix, wordErrors } from '../support/word-errors.ts';

/**
 * Who speaks when, in the service as `npm start` runs it: real speech, real recognition, real time. What the agent and the record
 * claim is held against the audio that reached the caller's ear.
 */
const stop = new AbortController();
let laptop: Laptop;
let proxy: Awaited<ReturnType<typeof startFaultProxy>>;

beforeAll(async () => {
  proxy = await startFaultProxy();
  const engines = `${proxy.url}/v1`;
  laptop = await startLaptop(stop.signal, {
    STT_BASE_URL: engines,
    LLM_BASE_URL: engines,
    TTS_BASE_URL: engines,
    AGENT_SPECULATION: 'nothing',
  });
  proxy.passTo(laptop.enginesUrl);
});

afterAll(async () => {
  stop.abort();
  await laptop?.close();
  await proxy?.close();
});

/** The recogniser understands both, and any first part of the answer, with hardly an error. It takes some six seconds. */
const longQuestion = 'Can you adjust my brakes?';
const longAnswer = [
  'Adjusting the brakes is fifteen pounds.',
  'New brake pads, fitted, are eighteen pounds a wheel.',
];
const parkingQuestion = 'Where can I park my car?';
const parkingAnswer = 'There is a car park behind the shop. The first half hour is free for customers.';

/** How far into the answer the caller speaks over it: in its second sentence. */
const intoAnswerMs = 3_500;
/** From the caller's first voiced sample to silence: 120 ms of voice, a decision, one message. The rest is for busy machines. */
const silentWithinMs = 600;
/** From the end of what came to nothing until the agent goes on. */
const resumedWithinMs = 2_000;

describe.concurrent('the caller speaks over a long answer', () => {
  it('with a question: the agent stops, the record has what was heard, and the question is answered', async () => {
    const interruption = `No, wait. ${parkingQuestion}`;
    const [question, samples] = await Promise.all([laptop.speech(longQuestion), laptop.speech(interruption)]);
    const notes = new Notes();
    const report = await laptop.call({
      onEvent: notes.take,
      script: async (leg) => {
        await leg.waitForGreeting();
        await leg.say(question, longQuestion);
        await leg.waitForSpeech();
        await leg.pause(intoAnswerMs);
        await leg.say(samples, interruption);
        await leg.waitForReply();
      },
    });
    expect(report.errors).toEqual([]);
    const [, utterance] = report.utterances as [Utterance, Utterance];
    const reply = utterance.reply!;
    expect(reply.text).toBe(parkingAnswer);

    expect(notes.clears.length).toBe(1);
    const from = notes.sentenceAt(longAnswer[0]!);
    const until = lastSoundBefore(report.heard, reply.startMs);
    console.log(`a question: silent after ${Math.round(until - utterance.voicedStartMs)} ms`);
    expect(notes.clears[0]! - utterance.voicedStartMs).toBeLessThan(silentWithinMs);
    expect(until - utterance.voicedStartMs).toBeLessThan(silentWithinMs);
    // It was in the middle of a sentence.
    expect(until).toBeGreaterThan(utterance.voicedStartMs - 300);

    const { transcript } = await laptop.rowOf(report.callId);
    expect(transcript.map((turn) => [turn.role, turn.interrupted])).toEqual([
      ['agent', false],
      ['caller', false],
      ['agent', true],
      ['caller', false],
      ['agent', false],
    ]);
    const cut = transcript[2]!;
    expect(longAnswer.join(' ').startsWith(cut.text)).toBe(true);
    expect(cut.text).not.toBe(longAnswer.join(' '));
    expect(Math.abs(cut.endMs - until)).toBeLessThan(400);
    const heard = await laptop.recognise(report.heard.subarray(at(from - 100), at(until + 100)));
    console.log(`heard ${JSON.stringify(heard)}, recorded ${JSON.stringify(cut.text)}`);
    const { words, errors } = bestPrefix(longAnswer.join(' '), heard);
    expect(errors).toBeLessThanOrEqual(2);
    expect(Math.abs(words - cut.text.split(' ').length)).toBeLessThanOrEqual(2);

    expect(wordErrors(interruption, transcript[3]!.text).rate).toBeLessThanOrEqual(0.25);
    expect(transcript[4]!.text).toBe(parkingAnswer);
  });

  it('with a backchannel: the agent goes on where it fell silent, and its turn is whole', async () => {
    const { report, transcript } = await overLongAnswer(await laptop.speech('Okay.'), 'Okay.');
    expect(report.transcript.filter(({ role, final }) => role === 'caller' && final).length).toBe(2);
    const said = transcript.filter((turn) => turn.role === 'caller').map((turn) => turn.text);
    expect(said[1]).toMatch(/^ok(ay)?\W*$/i);
  });

  it('with a noise that is no word: the agent goes on where it fell silent, and nobody is said to have spoken', async () => {
    const { transcript } = await overLongAnswer(buzz(300), 'a noise');
    expect(transcript.map((turn) => turn.role)).toEqual(['agent', 'caller', 'agent']);
  });
});

describe('a caller who dictates', () => {
  it('a number in groups, with pauses of a second and more, is heard out and answered once', async () => {
    const groups = [
      'My number is zero seven seven.',
      'Nine hundred.',
      'One two three.',
      'What are your opening hours?',
    ];
    const pausesMs = [1_000, 1_200, 1_100];
    const samples = withPauses(await Promise.all(groups.map((text) => laptop.speech(text))), pausesMs);
    const report = await laptop.call({
      script: async (leg) => {
        await leg.waitForGreeting();
        await leg.say(samples, groups.join(' '));
        await leg.waitForReply();
      },
    });
    expect(report.errors).toEqual([]);
    expect(report.playout.clears).toBe(0);
    const { transcript } = await laptop.rowOf(report.callId);
    expect(transcript.map((turn) => turn.role)).toEqual(['agent', 'caller', 'agent']);
    expect(wordErrors(groups.join(' '), transcript[1]!.text).rate).toBeLessThanOrEqual(0.25);
    expect(transcript[2]!.text).toMatch(/open/);
  });
});

describe('a provider that fails and recovers', () => {
  /** Its answer is no ready audio yet: no other test of this service asks for it. */
  const fresh = 'How much would you charge me for a puncture?';
  const apology = 'I am sorry, I could not get an answer just now. Please say that again.';

  it('costs the caller an apology each time, never silence and never the call', async () => {
    const question = await laptop.speech(fresh);
    const replies: string[] = [];
    const ask = async (leg: Call) => {
      await leg.say(question, fresh);
      replies.push((await leg.waitForReply())?.text ?? '');
    };
    const report = await laptop.call({
      script: async (leg) => {
        await leg.waitForGreeting();
        proxy.fail('/chat/completions', 'status 500');
        await ask(leg);
        proxy.fail('/chat/completions', 'none');
        await ask(leg);
        proxy.fail('/audio/speech', 'cut');
        await ask(leg);
        proxy.fail('/audio/speech', 'none');
        await ask(leg);
      },
    });
    // The first attempt and three more.
    expect(proxy.hits('/chat/completions')).toBe(4);
    expect(proxy.hits('/audio/speech')).toBeGreaterThan(0);
    expect(replies[0]).toMatch(new RegExp(`${apology}$`));
    expect(replies[1]).toMatch(/twelve pounds/i);
    expect(replies[2]).toContain(apology);
    expect(replies[3]).toBe(replies[1]);
    const row = await laptop.rowOf(report.callId);
    expect(row.status).toBe('ended');
    // The model once; speech with each sentence that was broken off.
    const [first, ...others] = await laptop.failuresOf(report.callId);
    expect(first).toEqual({ code: 'PROVIDER_UNAVAILABLE', provider: 'openai/intents' });
    expect(others.length).toBeGreaterThan(0);
    for (const failure of others) {
      expect(failure).toEqual({ code: 'PROVIDER_UNAVAILABLE', provider: 'openai/flite' });
    }
    expect(row.counts).toMatchObject({ answered: 4, failures: 1 + others.length });
    expect(report.errors.map(({ code }) => code)).toEqual(Array(1 + others.length).fill('INTERNAL_ERROR'));
  });
});

/**
 * Asks for the long answer and says `samples` over it. Whatever they are, the agent is to fall silent, to go on soon, and to be heard
 * to the end with nothing lost and nothing twice.
 */
async function overLongAnswer(
  samples: Int16Array,
  label: string,
): Promise<{ report: CallReport; transcript: RecordedTurn[] }> {
  const [question, ...spoken] = await Promise.all(
    [longQuestion, ...longAnswer].map((text) => laptop.speech(text)),
  );
  const notes = new Notes();
  let silentFrom = 0;
  let silentUntil = 0;
  const report = await laptop.call({
    onEvent: notes.take,
    script: async (leg) => {
      await leg.waitForGreeting();
      await leg.say(question!, longQuestion);
      await leg.waitForSpeech();
      await leg.pause(intoAnswerMs);
      const said = leg.say(samples, label);
      await happens(leg, 'silence of the agent', () => notes.clears.length > 0);
      silentFrom = leg.nowMs;
      await leg.waitForSpeech();
      silentUntil = leg.nowMs;
      await said;
      await happens(leg, 'the end of the answer', () => notes.turns.length === 2);
    },
  });
  expect(report.errors).toEqual([]);
  expect(notes.clears.length).toBe(1);
  const over = report.utterances[1]!;
  console.log(
    `${label}: silent after ${Math.round(silentFrom - over.voicedStartMs)} ms, for ${Math.round(silentUntil - silentFrom)} ms`,
  );
  expect(silentFrom - over.voicedStartMs).toBeLessThan(silentWithinMs);
  expect(silentUntil - over.voicedEndMs).toBeLessThan(resumedWithinMs);
  const before = report.heard.subarray(at(notes.sentenceAt(longAnswer[0]!)), at(silentFrom));
  const between = report.heard.subarray(at(silentFrom + 50), at(silentUntil - 50));
  const after = report.heard.subarray(at(silentUntil));
  expect(between.length / 8).toBeGreaterThan(200);
  expect(between.every((sample) => sample === 0)).toBe(true);

  const spokenMs = spoken.reduce((ms, sentence) => ms + sentence.length / 8, 0);
  const heardMs = (before.length + after.length) / 8;
  expect(Math.abs(heardMs - spokenMs)).toBeLessThan(300);
  const heard = await laptop.recognise(join([before, after]));
  expect(wordErrors(longAnswer.join(' '), heard).rate).toBeLessThanOrEqual(0.25);

  const { transcript } = await laptop.rowOf(report.callId);
  const answers = transcript.filter((turn) => turn.role === 'agent');
  expect(answers.map((turn) => turn.interrupted)).toEqual([false, false]);
  expect(answers[1]!.text).toBe(longAnswer.join(' '));
  return { report, transcript };
}

/** When things happened in a call, in its milliseconds. */
class Notes {
  readonly clears: number[] = [];
  /** Finished turns of the agent. */
  readonly turns: string[] = [];
  readonly #sentences = new Map<string, number>();

  readonly take = (event: CallerEvent): void => {
    if (event.type === 'sentence') this.#sentences.set(event.text, event.atMs);
    if (event.type !== 'message') return;
    const { message } = event;
    if (message.type === 'clear') this.clears.push(event.atMs);
    if (message.type === 'transcript' && message.role === 'agent' && message.final)
      this.turns.push(message.text);
  };

  sentenceAt(text: string): number {
    const atMs = this.#sentences.get(text);
    if (atMs === undefined)
      throw new Error(
        `the agent did not say ${JSON.stringify(text)} but ${[...this.#sentences.keys()].join(' ')}`,
      );
    return atMs;
  }
}

async function happens(leg: Call, what: string, test: () => boolean): Promise<void> {
  if (!(await leg.waitUntil(test))) throw new Error(`${what} did not come`);
}

/** Milliseconds of the call at which the last sound before `ms` ended. */
function lastSoundBefore(heard: Int16Array, ms: number): number {
  return (heard.subarray(0, at(ms)).findLastIndex((sample) => sample !== 0) + 1) / 8;
}

/** The voiced parts of `pieces`, as one, with exactly these pauses between. */
function withPauses(pieces: readonly Int16Array[], pausesMs: readonly number[]): Int16Array {
  return join(
    pieces.flatMap((piece, i) => {
      const { start, end } = voicedSpan(piece, 8000)!;
      return [piece.subarray(start, end), new Int16Array(at(pausesMs[i] ?? 0))];
    }),
  );
}

function join(parts: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let filled = 0;
  for (const part of parts) {
    all.set(part, filled);
    filled += part.length;
  }
  return all;
}

/** A hum that the voice detector takes for a vowel, and the recogniser for nothing: harmonics of 140 Hz around a formant at 700. */
function buzz(ms: number): Int16Array {
  return Int16Array.from({ length: at(ms) }, (_, n) => {
    let value = 0;
    for (let harmonic = 1; harmonic < 20; harmonic++) {
      const frequency = 140 * harmonic;
      value += Math.sin((2 * Math.PI * frequency * n) / 8000) / (1 + Math.abs(frequency - 700) / 400);
    }
    return Math.round(Math.max(-1, Math.min(1, value / 6)) * 12_000);
  });
}
