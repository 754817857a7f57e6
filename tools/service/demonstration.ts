import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { wavToMono } from '../../src/audio/wav.ts';
import { CallError } from '../caller/errors.ts';
import { CallFailedError, placeCall } from '../caller/place-call.ts';
import { conversationPrinter, summarise } from '../caller/print.ts';
import { runScript, type Step } from '../caller/script.ts';
import { synthesise } from '../caller/speech.ts';
import type { CallReport } from '../caller/types.ts';
import { type CallLogRow, readEndedCall } from './call-log.ts';
import type { Service } from './service.ts';

/** What a customer of the example business might ask. The answers come from the embedded dialogue engine. */
const questions = [
  'What time do you open on Saturday?',
  'Where can I park my car?',
  'Can I pay by credit card?',
];

/** How long the service may take to write the end of a call, after the call. */
const recordsLimitMs = 15_000;
/** Between the service's account of the call's length and the recording. */
const recordingToleranceMs = 100;
/** Between this side's account and the service's: the way of `start_call` and `end_call`. */
const durationToleranceMs = 1_000;

/** No sample of speech at telephone level stays below it; the hiss of G.711 does. */
const silenceLevel = 200;

export interface DemonstrationResult {
  /** Why the call did not really go through; empty if it did. */
  problems: readonly string[];
  /** A playable file, or null. */
  recording: string | null;
  row: CallLogRow | null;
}

/** Places one call to the running service, prints it as it happens, and checks what it left behind. */
export async function demonstrate(
  service: Service,
  recordingsDir: string,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<DemonstrationResult> {
  const problems: string[] = [];
  const report = await converse(service, print, signal, problems);
  if (report === null) return { problems, recording: null, row: null };
  for (const line of summarise(report)) print(`  ${line}`);
  for (const { label, reply } of report.utterances) {
    if (reply === null) problems.push(`no spoken answer to ${JSON.stringify(label)}`);
  }
  if (report.utterances.length < questions.length) {
    problems.push(`${report.utterances.length} of ${questions.length} questions were asked`);
  }
  const row = await readEndedCall(service.supabase, report.callId, recordsLimitMs, signal);
  problems.push(...rowProblems(row, report));
  let recording: string | null = null;
  if (row?.recording) {
    recording = await exportRecording(service, row.recording, recordingsDir);
    problems.push(...(await recordingProblems(recording, row, report)));
  }
  return { problems, recording, row };
}

async function converse(
  service: Service,
  print: (line: string) => void,
  signal: AbortSignal,
  problems: string[],
): Promise<CallReport | null> {
  const source = service.engines;
  const steps: Step[] = questions.map((say) => ({ say, wait: true }));
  const spoken = new Map<string, Int16Array>();
  for (const question of questions) spoken.set(question, await synthesise(source, question, 8000, signal));
  try {
    return await placeCall({
      url: `${service.url.replace(/^http/, 'ws')}/ws/call-session`,
      userId: 'demonstration',
      ...(service.tokens === null ? {} : { headers: { Authorization: `Bearer ${service.tokens.service}` } }),
      metadata: { phoneNumber: '+15550100' },
      signal,
      onEvent: conversationPrinter(print),
      script: (call) => {
        const audio = async (step: { say: string } | { wav: string }) =>
          spoken.get('say' in step ? step.say : '') ?? new Int16Array(0);
        return runScript(call, steps, audio, 10_000);
      },
    });
  } catch (error) {
    if (!(error instanceof CallError) || signal.aborted) throw error;
    problems.push(error.message);
    return error instanceof CallFailedError ? error.report : null;
  }
}

/** What is wrong with the log, in sentences. */
export function rowProblems(row: CallLogRow | null, report: CallReport): string[] {
  if (row === null) return [`call_logs has no row for ${report.callId}`];
  const problems: string[] = [];
  if (row.status !== 'ended')
    problems.push(`call_logs says ${row.status} (${row.end_reason ?? 'no reason'}), not ended`);
  if (row.recording === null) problems.push('call_logs names no recording');
  for (const role of ['caller', 'agent'] as const) {
    const turns = row.transcript.filter((turn) => turn.role === role && turn.text.trim() !== '').length;
    const wanted = report.utterances.length;
    if (turns < wanted)
      problems.push(`the transcript in call_logs has ${turns} turns of the ${role}, not ${wanted}`);
  }
  const seconds = row.duration_seconds ?? 0;
  if (Math.abs(seconds * 1000 - report.durationMs) > durationToleranceMs) {
    problems.push(`call_logs has ${seconds} s for a call of ${(report.durationMs / 1000).toFixed(3)} s`);
  }
  return problems;
}

async function exportRecording(service: Service, key: string, dir: string): Promise<string | null> {
  // The key is text from a database; of it, only the last part names a file here.
  const file = path.join(dir, path.basename(key));
  mkdirSync(dir, { recursive: true });
  return (await service.exportRecording(key, file)) ? file : null;
}

async function recordingProblems(
  file: string | null,
  row: CallLogRow,
  report: CallReport,
): Promise<string[]> {
  if (file === null) return [`the recording ${row.recording} is not in R2`];
  const { samples, sampleRate } = wavToMono(await readFile(file));
  const ms = (samples.length / sampleRate) * 1000;
  const wanted = row.duration_seconds === null ? report.durationMs : row.duration_seconds * 1000;
  const problems = silentSpans(samples, sampleRate, report).map(
    (what) => `the recording is silent where ${what}`,
  );
  if (Math.abs(ms - wanted) > recordingToleranceMs) {
    problems.push(`the recording has ${Math.round(ms)} ms, the call ${Math.round(wanted)} ms`);
  }
  return problems;
}

/** What was said in the call, by either side, and left no trace in the recording's `samples`; in words. */
export function silentSpans(samples: Int16Array, sampleRate: number, report: CallReport): string[] {
  const isSilent = (startMs: number, endMs: number) => {
    const [start, end] = [startMs, endMs].map((ms) => Math.round((ms / 1000) * sampleRate));
    return !samples.subarray(start, end).some((sample) => Math.abs(sample) > silenceLevel);
  };
  const silent: string[] = [];
  if (report.greeting !== null && isSilent(report.greeting.startMs, report.greeting.endMs)) {
    silent.push('the agent greeted');
  }
  for (const { label, voicedStartMs, voicedEndMs, reply } of report.utterances) {
    if (isSilent(voicedStartMs, voicedEndMs)) silent.push(`the caller said ${JSON.stringify(label)}`);
    if (reply !== null && isSilent(reply.startMs, reply.endMs))
      silent.push(`the agent answered ${JSON.stringify(label)}`);
  }
  return silent;
}
