/** How long the scripted vendors take, each from the moment it has the whole request. */
export interface Timings {
  speechToTextMs: number;
  firstTokenMs: number;
  /** Infinity: all at once. */
  tokensPerSecond: number;
  firstAudioMs: number;
  /** Speed of synthesis; Infinity: all at once. */
  timesRealTime: number;
}

interface Published {
  ms: number;
  source: string;
}

/** Vendors that answer at once: what is left is the work of whoever asks them. */
export const atOnce: Timings = {
  speechToTextMs: 0,
  firstTokenMs: 0,
  tokensPerSecond: Number.POSITIVE_INFINITY,
  firstAudioMs: 0,
  timesRealTime: Number.POSITIVE_INFINITY,
};

export const TYPICAL = 'typical';

const typical: Timings = {
  speechToTextMs: 300,
  firstTokenMs: 400,
  tokensPerSecond: 50,
  firstAudioMs: 250,
  timesRealTime: 10,
};

/**
 * The benchmark tells the time from the caller's last word to the final text, 200 ms of silence until the vendor was told of the
 * end included: what is left comes after that.
 */
const sttBenchmark = (medianMs: number): Published => ({
  ms: medianMs - 200,
  source: `pipecat-ai/stt-benchmark: median ${medianMs} ms after the last word, less its 200 ms of silence`,
});
const cloudax = (ms: number): Published => ({
  ms,
  source: 'Cloudax: median of a whole short reply, so at most this for its first token',
});
const coval = (ms: number): Published => ({ ms, source: 'Coval, May 2026: median of the first audio' });

const speechToText: Record<string, Published> = {
  deepgram: sttBenchmark(247),
  assemblyai: sttBenchmark(256),
  soniox: sttBenchmark(260),
  elevenlabs: sttBenchmark(281),
  openai: sttBenchmark(637),
  google: sttBenchmark(878),
  azure: sttBenchmark(1_016),
};

const languageModels: Record<string, Published> = {
  'twilio-target': { ms: 375, source: "Twilio's budget of a voice agent: target" },
  'twilio-limit': { ms: 750, source: "Twilio's budget of a voice agent: limit" },
  'gpt-4o': cloudax(528),
  'gpt-4.1': cloudax(783),
};

const textToSpeech: Record<string, Published> = {
  gradium: coval(155),
  cartesia: coval(188),
  elevenlabs: coval(264),
  'elevenlabs-flash': coval(288),
  'aura-2': coval(313),
  openai: coval(2_295),
};

const ports = [speechToText, languageModels, textToSpeech] as const;

/**
 * Timings by name: `typical`, or speech-to-text, language model and text-to-speech joined by `+`, each by its name or by its
 * milliseconds, as `npm run doctor` measures them. The rest (tokens a second, speed of synthesis) is as in `typical`.
 *
 * @throws {RangeError} for a name that is not in the table.
 */
export function timingsNamed(name: string): Timings {
  if (name === TYPICAL) return typical;
  const vendors = name.split('+');
  const [stt, llm, tts] = ports.map((port, i) => msOf(port, vendors[i] ?? ''));
  if (vendors.length !== 3 || stt === undefined || llm === undefined || tts === undefined) {
    throw new RangeError(`Unknown providers "${name}"; --help lists them`);
  }
  return { ...typical, speechToTextMs: stt, firstTokenMs: llm, firstAudioMs: tts };
}

/** At most a minute: whoever is slower answers nobody on the telephone. */
function msOf(port: Readonly<Record<string, Published>>, name: string): number | undefined {
  if (/^[0-9]{1,5}$/.test(name)) return Number(name) <= 60_000 ? Number(name) : undefined;
  return Object.hasOwn(port, name) ? port[name]?.ms : undefined;
}

/** The table, for `--help`. */
export function describeTimings(): string {
  const titles = [
    'speech to text: the final text',
    'language model: the first token',
    'text to speech: audio',
  ];
  const lines = ports.flatMap((port, i) => [
    `  ${titles[i]}`,
    ...Object.entries(port).map(
      ([name, { ms, source }]) => `    ${name.padEnd(18)} ${String(ms).padStart(5)} ms   ${source}`,
    ),
  ]);
  const { speechToTextMs, firstTokenMs, tokensPerSecond, firstAudioMs, timesRealTime } = typical;
  return [
    `  ${TYPICAL} (the default): final text after ${speechToTextMs} ms; first token after ${firstTokenMs} ms, then ${tokensPerSecond} a second;`,
    `  first audio after ${firstAudioMs} ms, then ${timesRealTime} times real time. Others: STT+LLM+TTS of these names,\n  or of your own milliseconds (280+420+190), the rest as above:`,
    ...lines,
  ].join('\n');
}
