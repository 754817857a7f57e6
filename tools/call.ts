import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SampleRate } from '../src/dialects/native-messages.ts';
import { type CallArguments, parseCallArguments, UsageError, usage } from './caller/arguments.ts';
import { samplesToWav, wavToSamples } from './caller/audio.ts';
import { CallError } from './caller/errors.ts';
import { CallFailedError, placeCall } from './caller/place-call.ts';
import { conversationPrinter, reportJson, summarise } from './caller/print.ts';
import { type Audio, parseScript, runScript, ScriptError, type Step } from './caller/script.ts';
import { type SpeechSource, synthesise } from './caller/speech.ts';
import type { CallReport } from './caller/types.ts';
import { readServiceFile } from './service/service-file.ts';

/** A script and its recordings are read whole. */
const fileLimitBytes = 64 * 1024 * 1024;

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (abort.signal.aborted) process.exit(130);
    abort.abort(new Error(signal));
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!isExplained(error)) throw error;
  console.error(error.message);
  if (error instanceof UsageError) console.error(`\n${usage}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseCallArguments(args);
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const service = readServiceFile(path.resolve(root, options.data));
  const url =
    options.url ??
    `${(service?.url ?? 'http://localhost:8787').replace(/^http/, 'ws')}/ws/${options.as ?? 'call-session'}`;
  const steps = await readSteps(options);
  const audio = audioSource(
    options,
    service === null ? null : { baseUrl: service.enginesUrl, apiKey: service.enginesKey },
  );
  // Made before the call: nobody keeps a telephone line waiting for a synthesiser.
  const spoken = new Map<Step, Int16Array>();
  for (const step of steps) {
    if ('say' in step || 'wav' in step) spoken.set(step, await audio(step));
  }
  const print = (line: string) => (options.json ? console.error(line) : console.log(line));
  print(`Calling ${url}`);
  const report = await place(options, url, steps, async (step) => spoken.get(step as Step)!, print);
  if (options.out !== undefined) {
    await writeFile(options.out, samplesToWav(report.call.heard, report.call.sampleRate));
    print(`What the caller heard: ${options.out}`);
  }
  for (const line of summarise(report.call)) print(line);
  if (report.failure !== null) print(`Failed: ${report.failure.message}`);
  if (options.json)
    console.log(
      JSON.stringify({ ...reportJson(report.call), failure: report.failure?.message ?? null }, null, 2),
    );
  const unanswered = report.call.utterances.filter((utterance) => utterance.reply === null);
  for (const { label } of unanswered) print(`No spoken answer to ${JSON.stringify(label)}`);
  return report.failure === null && unanswered.length === 0 ? 0 : 1;
}

async function place(
  options: CallArguments,
  url: string,
  steps: readonly Step[],
  audio: Audio,
  print: (line: string) => void,
): Promise<{ call: CallReport; failure: CallError | null }> {
  const timeoutMs = options.timeout * 1000;
  try {
    const call = await placeCall({
      url,
      userId: options.user,
      transport: options.transport,
      encoding: options.encoding,
      sampleRate: options.rate,
      timeoutMs,
      // A call has as long as its steps may take; what the service allows is its own affair.
      maxCallMs: (steps.length + 2) * (timeoutMs + 60_000),
      signal: abort.signal,
      onEvent: conversationPrinter(print),
      script: (standing) => runScript(standing, steps, audio, Math.min(timeoutMs, 10_000)),
      ...(options.as === undefined ? {} : { as: options.as }),
      ...(options.transfer === undefined ? {} : { callee: options.transfer }),
      ...(options['no-resume'] ? { resumeMs: 0 } : {}),
      ...(options['call-id'] === undefined ? {} : { callId: options['call-id'] }),
      ...(options.token === undefined ? {} : { headers: { Authorization: `Bearer ${options.token}` } }),
    });
    return { call, failure: null };
  } catch (error) {
    if (error instanceof CallFailedError) return { call: error.report, failure: error };
    throw error;
  }
}

async function readSteps(options: CallArguments): Promise<Step[]> {
  const steps: Step[] = [];
  for (const { kind, value } of options.what) {
    if (kind === 'say') steps.push({ say: value, wait: true });
    else if (kind === 'wav') steps.push({ wav: path.resolve(value), wait: true });
    else {
      const folder = path.dirname(path.resolve(value));
      for (const step of parseScript(new TextDecoder().decode(await readBounded(value)))) {
        // A script's recordings lie beside it, wherever it is called from.
        steps.push('wav' in step ? { ...step, wav: path.resolve(folder, step.wav) } : step);
      }
    }
  }
  return steps;
}

function audioSource(options: CallArguments, running: SpeechSource | null): Audio {
  const given = options['tts-url'];
  const source =
    given === undefined ? running : { baseUrl: given, apiKey: process.env.TTS_API_KEY ?? 'none' };
  const rate: SampleRate = options.rate;
  return async (step) => {
    if ('wav' in step) return wavToSamples(await readBounded(step.wav), rate);
    if (source === null)
      throw new UsageError('--say needs a running `npm start` on this machine, or --tts-url');
    const voice = options.voice === undefined ? {} : { voice: options.voice };
    return synthesise({ ...source, ...voice }, step.say, rate, abort.signal);
  };
}

async function readBounded(file: string): Promise<Uint8Array> {
  const bytes = await readFile(file);
  if (bytes.length > fileLimitBytes) throw new RangeError(`${file} has more than ${fileLimitBytes} bytes`);
  return bytes;
}

/** Whether the message says all that a person needs, without a stack trace. */
function isExplained(error: unknown): error is Error {
  if (error instanceof CallError || error instanceof UsageError || error instanceof ScriptError) return true;
  if (!(error instanceof Error)) return false;
  return (
    error.name === 'AudioFormatError' || error instanceof RangeError || 'code' in error || 'status' in error
  );
}
