import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { startEngines } from '../embedded/engines/engines.ts';
import { openaiAliases } from '../embedded/engines/options.ts';
import { decodeMulaw, encodeMulaw } from '../src/audio/g711.ts';
import { loadVoiceActivity } from '../src/audio/voice-activity.ts';
import { defaultEndpointing } from '../src/call/agent-config.ts';
import { systemClock } from '../src/call/clock.ts';
import { Listener } from '../src/call/listener.ts';
import { openAiSpeechToText } from '../src/providers/openai/speech-to-text.ts';
import type { SpeechToText } from '../src/providers/ports.ts';
import { quietestCut } from '../src/providers/window-cut.ts';
import { joinTranscripts } from '../src/text/join.ts';
import { humanClips } from '../test/support/human-clips.ts';
import { pooledWordErrors, type WordErrors, wordErrors } from '../test/support/word-errors.ts';
import { wavToSamples } from '../tools/caller/audio.ts';

/** What the listener hears before and after a clip. */
const SILENCE_MS = 1_000;
const FRAME = 160;

/**
 * What it costs in words, and in audio sent, to transcribe speech before it is over: the recordings of people that the tests
 * use, at 8 kHz μ-law, through the embedded recogniser.
 */
export async function run(): Promise<object> {
  const engines = await startEngines({ aliases: openaiAliases });
  try {
    await engines.ready;
    const settings = { apiKey: 'none', baseUrl: `${engines.url}/v1`, model: 'gpt-transcribe' };
    const clips = await Promise.all(
      humanClips().map(async ({ path, reference }) => ({
        reference,
        samples: decodeMulaw(encodeMulaw(wavToSamples(await readFile(path), 8000))),
      })),
    );
    const said = clips.reduce((sum, { samples }) => sum + samples.length / 8000, 0);
    const whole = openAiSpeechToText({ ...settings, bufferMs: 0, runAhead: false });
    const methods: [string, (samples: Int16Array) => Promise<Heard>][] = [
      ['whole utterances', (samples) => transcribe(whole, [samples])],
      ['windows of 2 s, cut where quietest', (samples) => transcribe(whole, cut(samples, 16_000))],
      [
        'the service, without running ahead',
        (samples) => listen(openAiSpeechToText({ ...settings, runAhead: false }), samples),
      ],
      ['the service', (samples) => listen(openAiSpeechToText(settings), samples)],
    ];
    console.log('method                                word errors   requests   audio sent ÷ audio said');
    const result: Record<string, number> = {};
    for (const [name, method] of methods) {
      const errors: WordErrors[] = [];
      let requests = 0;
      let seconds = 0;
      for (const { reference, samples } of clips) {
        const heard = await method(samples);
        errors.push(wordErrors(reference, heard.text));
        requests += heard.requests;
        seconds += heard.seconds;
      }
      const percent = pooledWordErrors(errors).rate * 100;
      console.log(
        `${name.padEnd(37)} ${`${percent.toFixed(1)} %`.padStart(11)} ${String(requests).padStart(10)} ${(seconds / said).toFixed(2).padStart(25)}`,
      );
      result[name] = Math.round(percent * 10) / 10;
    }
    return {
      bench: 'windows',
      wordErrorPercent: result['the service'],
      wholeWordErrorPercent: result['whole utterances'],
      fixedWordErrorPercent: result['windows of 2 s, cut where quietest'],
      ratio: round(result['the service']! / result['whole utterances']!),
    };
  } finally {
    await engines.close();
  }
}

interface Heard {
  text: string;
  requests: number;
  seconds: number;
}

const round = (value: number) => Math.round(value * 100) / 100;

/** Windows of at most `most` samples, cut at the quietest place of their second half. */
function cut(samples: Int16Array, most: number): Int16Array[] {
  const windows: Int16Array[] = [];
  let rest = samples;
  while (rest.length > most) {
    const at = quietestCut(rest.subarray(0, most), 8000);
    windows.push(rest.subarray(0, at));
    rest = rest.subarray(at);
  }
  return [...windows, rest];
}

/** Each window as an utterance of its own. */
async function transcribe(speechToText: SpeechToText, windows: Int16Array[]): Promise<Heard> {
  const abort = new AbortController();
  const session = speechToText.open({ sampleRate: 8000, signal: abort.signal });
  for (const window of windows) {
    session.push(window);
    session.endUtterance();
  }
  const texts: string[] = [];
  const heard = { text: '', requests: 0, seconds: 0 };
  for await (const event of session.events) {
    if (event.type === 'usage') {
      heard.requests++;
      heard.seconds += event.usage.audioSeconds ?? 0;
    } else if (event.type === 'failed') throw event.error;
    else if (event.type === 'final' && texts.push(event.text) === windows.length) break;
  }
  abort.abort();
  return { ...heard, text: joinTranscripts(texts) };
}

/** Through the call's own listener: detector, endpointing, session. Ten times as fast as speech. */
async function listen(speechToText: SpeechToText, samples: Int16Array): Promise<Heard> {
  const wasm = createRequire(import.meta.url).resolve('@echogarden/fvad-wasm/fvad.wasm');
  const detectors = await loadVoiceActivity(await WebAssembly.compile(readFileSync(wasm)));
  const texts: string[] = [];
  const heard = { text: '', requests: 0, seconds: 0 };
  const listener = new Listener({
    clock: systemClock,
    sampleRate: 8000,
    endpointing: defaultEndpointing,
    language: null,
    keywords: [],
    detector: detectors.create({ sampleRate: 8000 }),
    speechToText,
    handler: {
      speechStarted() {},
      utteranceEnded() {},
      interim() {},
      turnJudgedOver() {},
      languageHeard() {},
      transcribed: (utterance, text) => {
        texts[utterance.number] = text;
      },
      transcriptionFailed: (_, error) => {
        throw error;
      },
      failedOver() {},
      usage: (usage) => {
        heard.requests++;
        heard.seconds += usage.audioSeconds ?? 0;
      },
    },
  });
  const line = new Int16Array(samples.length + SILENCE_MS * 16);
  line.set(samples, SILENCE_MS * 8);
  for (let at = 0; at + FRAME <= line.length; at += FRAME) {
    listener.push(line.subarray(at, at + FRAME), at, systemClock.now());
    if (at % (FRAME * 10) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await listener.finish(30_000);
  return { ...heard, text: texts.join(' ') };
}
