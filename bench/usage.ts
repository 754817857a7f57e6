import path from 'node:path';
import { parseArgs } from 'node:util';
import { createClient } from '@supabase/supabase-js';
import { z } from 'zod';
import { placeCall } from '../tools/caller/place-call.ts';
import { runScript } from '../tools/caller/script.ts';
import { synthesise } from '../tools/caller/speech.ts';
import type { CallReport } from '../tools/caller/types.ts';
import { readServiceFile } from '../tools/service/service-file.ts';
import { printTable, rounded } from './statistics.ts';

export const help = `npm run bench -- usage [--data DIR]

Holds a conversation of eight questions with the running \`npm start\` (--data: where that keeps its data [.data]), and prints what a turn
of it used: seconds, tokens and characters by turn, from call_logs.usage_by_turn. What \`npm run cost\` counts with comes from here.
Seconds of transcription are those that were sent, ahead of the end of the turn as well. The embedded engines count four characters a
token, as OpenAI's rule of thumb has it for English.`;

const questions = [
  'Hello, when are you open on Saturday?',
  'And where can I park my car?',
  'How much is a service for my bicycle?',
  'How long does a repair usually take?',
  'Do you sell electric bicycles?',
  'Can I rent a bicycle for the weekend?',
  'Do you take credit cards?',
  'Thank you very much, goodbye.',
];

const rowSchema = z.object({
  duration_seconds: z.number(),
  /** As the log has them; with `usage_by_turn` all that grows with a call. */
  transcript: z.array(z.unknown()),
  call_turns: z.array(z.unknown()),
  usage_by_turn: z.array(
    z.object({
      turn: z.number().nullable(),
      provider: z.string(),
      audioSeconds: z.number().optional(),
      inputTokens: z.number().optional(),
      outputTokens: z.number().optional(),
      characters: z.number().optional(),
      estimated: z.boolean().optional(),
    }),
  ),
});
type Row = z.output<typeof rowSchema>;

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({ args, options: { data: { type: 'string', default: '.data' } } });
  const service = readServiceFile(path.resolve(values.data));
  if (service === null) throw new RangeError(`no \`npm start\` keeps its data in ${values.data}`);
  const report = await converse(service);
  const row = await costedRow({ url: service.supabaseUrl, key: service.supabaseKey }, report.callId);
  return shown(row, report);
}

async function converse(service: {
  url: string;
  enginesUrl: string;
  enginesKey: string;
}): Promise<CallReport> {
  const source = { baseUrl: service.enginesUrl, apiKey: service.enginesKey };
  return placeCall({
    url: `${service.url.replace(/^http/, 'ws')}/ws/call-session`,
    keepAudio: false,
    script: (call) => {
      const audio = (step: { say: string } | { wav: string }) =>
        synthesise(source, 'say' in step ? step.say : '', 8000);
      return runScript(
        call,
        questions.map((say) => ({ say, wait: true })),
        audio,
        10_000,
      );
    },
  });
}

/** The call's row once what it cost is in it. */
async function costedRow(supabase: { url: string; key: string }, callId: string): Promise<Row> {
  const client = createClient(supabase.url, supabase.key, { auth: { persistSession: false } });
  for (let attempt = 0; ; attempt++) {
    const { data } = await client.from('call_logs').select('*, call_turns(*)').eq('call_id', callId);
    const row = rowSchema.safeParse(data?.[0]);
    if (row.success) return row.data;
    if (attempt === 60) throw new Error(`what ${callId} cost does not arrive`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function shown(row: Row, report: CallReport): object {
  const { duration_seconds: seconds, usage_by_turn: usage } = row;
  const answered = report.utterances.filter(({ reply }) => reply !== null).length;
  const sum = (unit: 'audioSeconds' | 'inputTokens' | 'outputTokens' | 'characters', guessed: boolean) =>
    usage
      .filter(({ estimated, turn }) => (estimated === true) === guessed && turn !== null)
      .reduce((total, entry) => total + (entry[unit] ?? 0), 0);
  const each = (value: number) => rounded(value / answered, 2);
  const callerSpeech = report.utterances.reduce(
    (ms, { voicedStartMs, voicedEndMs }) => ms + voicedEndMs - voicedStartMs,
    0,
  );
  const agentSpeech = report.utterances.reduce(
    (ms, { reply }) => ms + (reply === null ? 0 : reply.endMs - reply.startMs),
    0,
  );
  const result = {
    callMinutes: rounded(seconds / 60, 3),
    turns: answered,
    turnsAMinute: rounded((answered * 60) / seconds, 2),
    callerSpeechSecondsATurn: each(callerSpeech / 1_000),
    agentSpeechSecondsATurn: each(agentSpeech / 1_000),
    transcribedSecondsATurn: each(sum('audioSeconds', false)),
    transcribedAheadInVainSecondsATurn: each(sum('audioSeconds', true)),
    inputTokensATurn: each(sum('inputTokens', false)),
    outputTokensATurn: each(sum('outputTokens', false)),
    inputTokensInVainATurn: each(sum('inputTokens', true)),
    outputTokensInVainATurn: each(sum('outputTokens', true)),
    charactersATurn: each(sum('characters', false)),
    charactersForAll: usage
      .filter(({ turn }) => turn === null)
      .reduce((total, { characters = 0 }) => total + characters, 0),
    databaseBytesATurn: each(JSON.stringify([row.transcript, row.call_turns, row.usage_by_turn]).length),
    messagesASecond: rounded((report.frames.sent * 1_000) / report.durationMs, 1),
  };
  printTable([['what', 'figure'], ...Object.entries(result).map(([name, value]) => [name, String(value)])]);
  return result;
}
