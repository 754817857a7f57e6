import type { CostArguments } from './arguments.ts';
import { type Bill, billOf, groupTotal } from './bill.ts';
import { measured } from './measured.ts';

/** One thing that could be done otherwise, and what that would change. */
export interface Saving {
  option: string;
  /** Dollars a month less; negative: more. */
  usd: number;
  note?: string;
}

/** What a core of a server costs a month, where a server of eight costs what the documents say. */
const CORE_USD = 10;

/** What each option saves, by itself, against the bill. */
export function savingsOf(options: CostArguments, bill: Bill): Saving[] {
  const other = (option: string, changes: Partial<CostArguments>, note?: string): Saving => ({
    option,
    usd: bill.total - billOf({ ...options, ...changes }).total,
    ...(note === undefined ? {} : { note }),
  });
  return [
    other(
      'messages of 100 ms in place of 20',
      { frame: 100 },
      'Adds up to 80 ms to every answer. FreeSWITCH: STREAM_BUFFER_SIZE, see freeswitch/.',
    ),
    other(
      'chunks of recordings of 10 s in place of 2 (SPOOL_INTERVAL)',
      { spool: 10 },
      'A crash may cost so much of a recording.',
    ),
    {
      option: 'binary audio in place of JSON',
      usd: 0,
      note: 'Messages are billed, bytes are not. It spares CPU, which an object is not billed for either.',
    },
    other('language model: openai/gpt-5.6-luna', { llm: 'openai/gpt-5.6-luna' }),
    other('language model: anthropic/claude-haiku-5-5', { llm: 'anthropic/claude-haiku-5-5' }),
    other(
      'speech to text: deepgram/nova-3',
      { stt: 'deepgram/nova-3' },
      'Streamed: nothing is transcribed twice.',
    ),
    other('speech to text: workers-ai whisper', { stt: 'workers-ai/@cf/openai/whisper-large-v3-turbo' }),
    other('text to speech: elevenlabs flash', { tts: 'elevenlabs/eleven_flash_v2_5' }),
    other('text to speech: deepgram aura-2', { tts: 'deepgram/aura-2*' }),
    withoutRunAhead(options, bill),
    localSpeech(bill),
    duplex(bill),
    other('recordings as Ogg Opus', { recording: 'ogg-opus' }),
    other('recordings deleted after 30 days', { retention: 30 }),
    other('no recordings', { recording: 'none' }),
  ];
}

/** `STT_RUN_AHEAD=false`: nothing is transcribed before the turn is over. */
function withoutRunAhead({ stt }: CostArguments, bill: Bill): Saving {
  const {
    callerSpeechSecondsATurn,
    pauseSecondsATurn,
    transcribedSecondsATurn,
    transcribedInVainSecondsATurn,
  } = measured;
  const line = bill.lines.find(({ item }) => item === `speech to text: ${stt}`)!;
  const ahead = transcribedSecondsATurn + transcribedInVainSecondsATurn;
  const once = callerSpeechSecondsATurn + pauseSecondsATurn;
  const files = line.note?.startsWith('Transcribed ahead') === true;
  return {
    option: 'nothing transcribed ahead (STT_RUN_AHEAD=false)',
    usd: files ? line.usd * (1 - once / ahead) : 0,
    note: 'Every answer waits for the whole transcription.',
  };
}

/** The embedded engines in place of vendors for hearing and speaking, on servers of one's own. */
function localSpeech({ load, lines }: Bill): Saving {
  const vendors = lines
    .filter(({ item }) => item.startsWith('speech to text') || item.startsWith('text to speech'))
    .reduce((sum, { usd }) => sum + usd, 0);
  const { sttCoreSecondsASecond, ttsCoreSecondsASecond, transcribedSecondsATurn, agentSpeechSecondsATurn } =
    measured;
  const turnsASecond = load.turns / load.busySeconds;
  const cores =
    turnsASecond *
    (transcribedSecondsATurn * sttCoreSecondsASecond + agentSpeechSecondsATurn * ttsCoreSecondsASecond);
  const servers = Math.ceil(cores) * CORE_USD;
  return {
    option: 'speech to text and text to speech on servers of your own',
    usd: vendors - servers,
    note: `${Math.ceil(cores).toLocaleString('en')} cores at $${CORE_USD} a month, always busy; the voices are those of the embedded engines.`,
  };
}

/** One model that hears and speaks, by the minute; what it delegates is left to the language model. */
function duplex(bill: Bill): Saving {
  const speech = groupTotal(bill, 'vendors');
  const llm = bill.lines.find(({ item }) => item.startsWith('language model'))!.usd;
  return {
    option: 'one model that hears and speaks: openai/gpt-live-1',
    usd: speech - llm - bill.load.minutes * 0.05,
    note: '$0.05 a minute, silence included.',
  };
}
