import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wavToSamples } from '../../tools/caller/audio.ts';
import type { CallOptions } from '../../tools/caller/types.ts';
import { humanClips } from '../support/human-clips.ts';
import { at, hasTransfers, type Laptop, startLaptop } from '../support/laptop.ts';
import { pooledWordErrors, type WordErrors, wordErrors } from '../support/word-errors.ts';

/**
 * The built Worker in workerd, the embedded engines, the embedded Supabase, and a caller on a telephone-quality line: what
 * `npm start` runs. Nothing is scripted; audio goes in real time.
 */
const stop = new AbortController();
let laptop: Laptop;

beforeAll(async () => {
  const desk = { destinations: [{ name: 'desk', to: '+493012345' }] };
  laptop = await startLaptop(stop.signal, { AGENT_TOOLS: JSON.stringify({ transfer: desk }) });
});

afterAll(async () => {
  stop.abort();
  await laptop?.close();
});

describe('a conversation with the example business', () => {
  it('#21 hard self-hosting: what npm start runs answers without a key, says honestly what it does not know, and leaves a complete record', async () => {
    const questions: [string, RegExp][] = [
      ['Could you tell me where to leave my car?', /car park behind the shop/i],
      ['How much would you charge me for a puncture?', /twelve pounds/i],
      ['Who won the football match last night?', /don't know/i],
    ];
    const samples = await Promise.all(questions.map(([text]) => laptop.speech(text)));
    const report = await laptop.call({
      metadata: { phoneNumber: '+15550100', campaignId: 'spring' },
      script: async (leg) => {
        await leg.waitForGreeting();
        for (const [i, [text]] of questions.entries()) {
          await leg.say(samples[i]!, text);
          await leg.waitForReply();
        }
      },
    });
    expect(report.errors).toEqual([]);
    expect(report.close).toEqual({ code: 1000, reason: 'hangup' });
    for (const [i, [, fact]] of questions.entries()) {
      expect(report.utterances[i]?.reply?.text).toMatch(fact);
      const parts = report.utterances[i]!.reply!.service!;
      expect(parts.endpointWaitMs + parts.processingMs + parts.providerMs).toBe(parts.totalMs);
      // The line is loopback: the caller waits what the service says, within a few frames.
      expect(Math.abs(report.utterances[i]!.reply!.latencyMs! - parts.totalMs)).toBeLessThan(250);
    }

    const row = await laptop.rowOf(report.callId);
    expect(row).toMatchObject({
      user_id: 'caller',
      campaign_id: 'spring',
      phone_number: '+15550100',
      status: 'ended',
      end_reason: 'hangup',
    });
    const { transcript } = row;
    expect(transcript.map((turn) => turn.role)).toEqual([
      'agent',
      ...questions.flatMap(() => ['caller', 'agent']),
    ]);
    expect(transcript.filter((turn) => turn.role === 'agent').map((turn) => turn.text)).toEqual([
      report.greeting?.text,
      ...report.utterances.map((utterance) => utterance.reply?.text),
    ]);

    const recording = await laptop.recordingOf(row.recording as string);
    const recordedMs = recording.length / 8;
    expect(Math.abs(recordedMs - Number(row.duration_seconds) * 1000)).toBeLessThanOrEqual(100);
    expect(Math.abs(recordedMs - report.durationMs)).toBeLessThanOrEqual(100 + 250);

    // What each side said stands in the recording where the caller said and heard it. The answers are judged
    // together: in a sentence of four words, two that a recogniser mistakes are half of it.
    const answers = [];
    for (const utterance of report.utterances) {
      const said = recording.subarray(at(utterance.voicedStartMs - 150), at(utterance.voicedEndMs + 150));
      expect(wordErrors(utterance.label, await laptop.recognise(said)).rate).toBeLessThanOrEqual(0.25);
      const reply = utterance.reply!;
      const answered = recording.subarray(at(reply.sentences[0]!.startMs - 150), at(reply.endMs + 50));
      answers.push(wordErrors(reply.text!, await laptop.recognise(answered)));
    }
    expect(pooledWordErrors(answers).rate).toBeLessThanOrEqual(0.34);
    // And so says the transcript: by the service's clock, which on a busy machine lags behind the caller's.
    for (const [i, utterance] of report.utterances.entries()) {
      const turn = transcript.filter((entry) => entry.role === 'caller')[i]!;
      expect(Math.abs(turn.endMs - utterance.voicedEndMs)).toBeLessThan(600);
    }
  });

  it('connects a caller who asks for somebody, and takes back one whom nobody answers', async () => {
    const request = 'I would like to talk to somebody.';
    const samples = await laptop.speech(request);
    const asks = (options: Partial<CallOptions>) =>
      laptop.call({
        ...options,
        script: async (leg) => {
          await leg.waitForGreeting();
          await leg.say(samples, request);
          await leg.waitForReply();
        },
      });
    const [busy, answered] = await Promise.all([asks({ callee: 'busy' }), asks({ callee: 'answered' })]);
    const [busyRow, answeredRow] = await Promise.all([
      laptop.rowOf(busy.callId, hasTransfers),
      laptop.rowOf(answered.callId, hasTransfers),
    ]);
    expect(busyRow).toMatchObject({ end_reason: 'hangup', transfers: [{ outcome: 'busy', sipStatus: 486 }] });
    expect(busyRow.transcript.map(({ text }) => text).slice(2)).toEqual([
      'One moment, I connect you.',
      'I am sorry, the line is busy. What else can I do for you?',
    ]);
    expect(answered.close).toEqual({ code: 1000, reason: 'transferred' });
    expect(answeredRow).toMatchObject({
      end_reason: 'transferred',
      transfers: [{ to: '+493012345', outcome: 'answered' }],
    });
  });

  it('runs over binary L16 at 16 kHz as well', async () => {
    const question = 'Could you tell me where to leave my car?';
    const samples = await laptop.speech(question, 16000);
    const report = await laptop.call({
      transport: 'binary',
      encoding: 'l16',
      sampleRate: 16000,
      script: async (leg) => {
        await leg.waitForGreeting();
        await leg.say(samples, question);
        await leg.waitForReply();
      },
    });
    expect(report.utterances[0]?.reply?.text).toMatch(/car park/i);
    const row = await laptop.rowOf(report.callId);
    const recording = await laptop.recordingOf(row.recording as string);
    expect(Math.abs(recording.length / 8 - Number(row.duration_seconds) * 1000)).toBeLessThanOrEqual(100);
    const { voicedStartMs, voicedEndMs } = report.utterances[0]!;
    const said = recording.subarray(at(voicedStartMs - 150), at(voicedEndMs + 150));
    expect(wordErrors(question, await laptop.recognise(said)).rate).toBeLessThanOrEqual(0.25);
  });
});

describe('human speech at telephone quality', () => {
  it('is understood: at most 20 % word errors, pooled', async () => {
    const clips = await Promise.all(
      humanClips().map(async (clip) => ({
        ...clip,
        samples: wavToSamples(await readFile(clip.path), 8000),
      })),
    );
    // Several calls at once, each with its share of the clips: the lines are real time.
    const lines = 3;
    const reports = await Promise.all(
      Array.from({ length: lines }, (_, line) =>
        laptop.call({
          keepAudio: false,
          script: async (leg) => {
            await leg.waitForGreeting();
            for (const clip of clips.filter((_, i) => i % lines === line)) {
              const utterance = await leg.say(clip.samples, clip.name);
              await leg.waitUntil(() => utterance.heardAs !== null, 15_000);
              // The rest of a clip whose own pauses made more than one turn of it.
              await leg.pause(1_500);
            }
          },
        }),
      ),
    );
    const results: WordErrors[] = [];
    for (const utterance of reports.flatMap((report) => report.utterances)) {
      const { reference } = clips.find((clip) => clip.name === utterance.label)!;
      const errors = wordErrors(reference, utterance.heardAs ?? '');
      results.push(errors);
      console.log(
        `${utterance.label.padEnd(16)} ${String(errors.errors).padStart(2)} of ${errors.words} words wrong: ${utterance.heardAs}`,
      );
    }
    const pooled = pooledWordErrors(results);
    console.log(`pooled: ${(pooled.rate * 100).toFixed(1)} %`);
    expect(results.length).toBe(clips.length);
    expect(pooled.rate).toBeLessThanOrEqual(0.2);
  });
});
