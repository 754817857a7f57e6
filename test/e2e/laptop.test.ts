import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wavToMono } from '../../src/audio/wav.ts';
import { samplesToWav, wavToSamples } from '../../tools/caller/audio.ts';
import { placeCall } from '../../tools/caller/place-call.ts';
import { synthesise } from '../../tools/caller/speech.ts';
import type { CallOptions, CallReport } from '../../tools/caller/types.ts';
import { type Service, startService } from '../../tools/service/service.ts';
import { humanClips } from '../support/human-clips.ts';
import { pooledWordErrors, type WordErrors, wordErrors } from '../support/word-errors.ts';

/**
 * The built Worker in workerd, the embedded engines, the embedded Supabase, and a caller on a telephone-quality line: what
 * `npm start` runs. Nothing is scripted; audio goes in real time.
 */
const root = join(import.meta.dirname, '..', '..');
const stop = new AbortController();
let dataDir: string;
let service: Service;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'call-handler-e2e-'));
  service = await startService({
    root,
    dataDir,
    port: 0,
    settings: { RATE_LIMIT_PER_IP: '0' },
    signal: stop.signal,
    onProgress: () => {},
  });
});

afterAll(async () => {
  stop.abort();
  await service?.close();
  await rm(dataDir, { recursive: true, force: true });
});

const call = (options: Pick<CallOptions, 'script'> & Partial<CallOptions>): Promise<CallReport> =>
  placeCall({ url: `${service.url.replace('http', 'ws')}/ws/call-session`, ...options });

const speech = (text: string) => synthesise({ ...service.engines, voice: 'rms' }, text, 8000);

/** What a recogniser hears in a stretch of audio. */
async function recognise(samples: Int16Array): Promise<string> {
  const form = new FormData();
  form.append('file', new Blob([samplesToWav(samples, 8000) as BlobPart]), 'part.wav');
  form.append('model', 'gpt-transcribe');
  const response = await fetch(`${service.engines.baseUrl}/audio/transcriptions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${service.engines.apiKey}` },
    body: form,
  });
  return ((await response.json()) as { text: string }).text;
}

async function rowOf(callId: string): Promise<Record<string, unknown>> {
  const database = createClient(service.supabase.url, service.supabase.serviceRoleKey);
  for (let attempt = 0; attempt < 50; attempt++) {
    const { data, error } = await database.from('call_logs').select('*').eq('call_id', callId).maybeSingle();
    if (error !== null) throw error;
    if (data !== null && data.status !== 'active') return data;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`no ended row of call ${callId}`);
}

async function recordingOf(key: string): Promise<Int16Array> {
  const file = join(dataDir, 'export.wav');
  for (let attempt = 0; attempt < 50; attempt++) {
    if (await service.exportRecording(key, file)) return wavToMono(await readFile(file)).samples;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`no recording ${key}`);
}

const at = (ms: number) => Math.round(ms * 8);

describe('a conversation with the example business', () => {
  it('answers, says honestly what it does not know, and leaves a complete record', async () => {
    const questions: [string, RegExp][] = [
      ['Could you tell me where to leave my car?', /car park behind the shop/i],
      ['How much would you charge me for a puncture?', /twelve pounds/i],
      ['Who won the football match last night?', /don't know/i],
    ];
    const samples = await Promise.all(questions.map(([text]) => speech(text)));
    const report = await call({
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

    const row = await rowOf(report.callId);
    expect(row).toMatchObject({
      user_id: 'caller',
      campaign_id: 'spring',
      phone_number: '+15550100',
      status: 'ended',
      end_reason: 'hangup',
    });
    const transcript = row.transcript as { role: string; text: string; startMs: number; endMs: number }[];
    expect(transcript.map((turn) => turn.role)).toEqual([
      'agent',
      ...questions.flatMap(() => ['caller', 'agent']),
    ]);
    expect(transcript.filter((turn) => turn.role === 'agent').map((turn) => turn.text)).toEqual([
      report.greeting?.text,
      ...report.utterances.map((utterance) => utterance.reply?.text),
    ]);

    const recording = await recordingOf(row.recording as string);
    const recordedMs = recording.length / 8;
    expect(Math.abs(recordedMs - Number(row.duration_seconds) * 1000)).toBeLessThanOrEqual(100);
    expect(Math.abs(recordedMs - report.durationMs)).toBeLessThanOrEqual(100 + 250);

    // What each side said stands in the recording where the caller said and heard it.
    for (const utterance of report.utterances) {
      const said = recording.subarray(at(utterance.voicedStartMs - 150), at(utterance.voicedEndMs + 150));
      expect(wordErrors(utterance.label, await recognise(said)).rate).toBeLessThanOrEqual(0.25);
      const reply = utterance.reply!;
      const sentence = reply.sentences[0]!;
      const until = reply.sentences[1]?.startMs ?? reply.endMs;
      const answered = recording.subarray(at(sentence.startMs - 150), at(until + 50));
      expect(wordErrors(sentence.text, await recognise(answered)).rate).toBeLessThanOrEqual(0.34);
    }
    // And so says the transcript.
    for (const [i, utterance] of report.utterances.entries()) {
      const turn = transcript.filter((entry) => entry.role === 'caller')[i]!;
      expect(Math.abs(turn.endMs - utterance.voicedEndMs)).toBeLessThan(300);
    }
  });

  it('runs over binary L16 at 16 kHz as well', async () => {
    const question = 'Could you tell me where to leave my car?';
    const samples = await synthesise({ ...service.engines, voice: 'rms' }, question, 16000);
    const report = await call({
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
    const row = await rowOf(report.callId);
    const recording = await recordingOf(row.recording as string);
    expect(Math.abs(recording.length / 8 - Number(row.duration_seconds) * 1000)).toBeLessThanOrEqual(100);
    const { voicedStartMs, voicedEndMs } = report.utterances[0]!;
    const said = recording.subarray(at(voicedStartMs - 150), at(voicedEndMs + 150));
    expect(wordErrors(question, await recognise(said)).rate).toBeLessThanOrEqual(0.25);
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
        call({
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
