import { type Clock, systemClock } from '../call/clock.ts';
import { type AnswersOptions, firstToAnswer } from './chain-answers.ts';
import { type ChainMember, Members } from './chain-members.ts';
import { ChainSession } from './chain-session.ts';
import { type Circuits, sharedCircuits } from './circuit-breaker.ts';
import type {
  LanguageModel,
  LanguageModelEvent,
  SpeechToText,
  TextToSpeech,
  TextToSpeechEvent,
} from './ports.ts';

export interface ChainOptions {
  clock?: Clock;
  /** Default: this isolate's, on the system's clock. */
  circuits?: Circuits;
  /** How long this call leaves a member alone that has failed it, whatever its circuit says. Default 15,000; at least 1,000. */
  restMs?: number;
}

/**
 * How long each vendor's first answer is waited for while another provider could be asked, in milliseconds: some two or three times
 * what it needs in 99 of 100 cases, so that a switch is rare where nothing is wrong.
 *
 * Speech to text counts from the end of the utterance to its text. Published p99 (pipecat-ai/stt-benchmark, 1,000 samples): Deepgram
 * nova-3 326 ms, OpenAI gpt-4o-transcribe 1,655; Pipecat's `stt_latency.py` has 1,660 for OpenAI's realtime transcription. Workers AI
 * publishes none, and runs the same kind of model as OpenAI.
 *
 * For text to speech, to the first audio, only medians are published (Coval, May 2026): ElevenLabs Flash 288 ms, Turbo 264, Aura-2 313,
 * OpenAI's TTS-1-HD 2,295; p99 is taken for three times the median, and a slow start of a sentence costs less than another voice.
 *
 * For language models, to the first text: Twilio's budget allows 750 ms at most, published medians of whole short replies are 528 to
 * 783. A model that reasons before it speaks needs more.
 */
export const firstAnswerMs = {
  speechToText: { default: 3_500, deepgram: 1_000 },
  languageModel: { default: 2_500 },
  textToSpeech: { default: 2_000, openai: 5_000 },
} as const;

/** A minute is 0.9 MB at 8 kHz. */
const KEPT_MS = 60_000;
const KEPT_UTTERANCES = 16;
const defaultRestMs = 15_000;
/** A member that fails at once must not be asked again and again without a pause. */
const shortestRestMs = 1_000;

/**
 * The first member that answers. See {@link firstToAnswer}: members whose circuit is open are left out, one that does not begin
 * within its deadline is given up, and what has begun, be it with a word or a tool call, is not replaced. One that has failed is left
 * alone for `restMs`. Every reply that the first member does not give begins with a `failover` event.
 *
 * @throws {TypeError} without a member.
 */
export function chainLanguageModel(
  members: readonly ChainMember<LanguageModel>[],
  options: ChainOptions = {},
): LanguageModel {
  const chain = membersOf(members, firstAnswerMs.languageModel.default, options);
  return {
    ...connections(chain),
    warm: () => chain.best()?.port.warm?.(),
    reply: (request, signal) =>
      firstToAnswer<LanguageModel, LanguageModelEvent>({
        ...answers(chain, signal, options),
        ask: (model, own) => model.reply(request, own),
        isAnswer: (event) => event.type === 'text' || event.type === 'toolCall',
      }),
  };
}

/**
 * See {@link chainLanguageModel}. A voice that the next provider does not know is that provider's own to replace.
 *
 * A sentence that breaks off after its first audio is neither begun again nor gone on with: the caller has heard a part of it that
 * nobody can tell exactly, and would hear words twice, or miss some without knowing. Its failure is thrown, and the next sentence
 * goes to the next member. Whoever speaks an answer of several sentences may go on with the next one.
 */
export function chainTextToSpeech(
  members: readonly ChainMember<TextToSpeech>[],
  options: ChainOptions = {},
): TextToSpeech {
  const chain = membersOf(members, firstAnswerMs.textToSpeech.default, options);
  return {
    ...connections(chain),
    warm: (as) => chain.best()?.port.warm?.(as),
    speak: (request, signal) =>
      firstToAnswer<TextToSpeech, TextToSpeechEvent>({
        ...answers(chain, signal, options),
        ask: (voice, own) => voice.speak(request, own),
        isAnswer: (event) => event.type === 'audio' && event.samples.length > 0,
      }),
  };
}

/**
 * One session over the members' sessions, see {@link ChainSession}. A member is given up when its session ends, when it fails an
 * utterance, and when an utterance has no text within the member's deadline and another one may be asked.
 *
 * @throws {TypeError} without a member.
 */
export function chainSpeechToText(
  members: readonly ChainMember<SpeechToText>[],
  options: ChainOptions & {
    /** The most audio without a text that is kept, in milliseconds. Default 60,000. */
    keptMs?: number;
    /** The most utterances without a text whose audio is kept. Default 16. */
    keptUtterances?: number;
  } = {},
): SpeechToText {
  const chain = membersOf(members, firstAnswerMs.speechToText.default, options);
  const { clock = systemClock, keptMs = KEPT_MS, keptUtterances = KEPT_UTTERANCES } = options;
  return {
    ...connections(chain),
    warm: () => chain.best()?.port.warm?.(),
    open: (call) => new ChainSession({ members: chain, clock, keptMs, keptUtterances }, call),
  };
}

function membersOf<Port>(
  members: readonly ChainMember<Port>[],
  deadlineMs: number,
  { clock = systemClock, circuits = sharedCircuits, restMs = defaultRestMs }: ChainOptions,
): Members<Port> {
  return new Members(members, { clock, circuits, deadlineMs, restMs: Math.max(restMs, shortestRestMs) });
}

/** Only who is asked first is warmed: a connection that is hardly ever used costs the vendor's price, and one of six places. */
function connections<Port extends { close?(): void }>(chain: Members<Port>): { close(): void } {
  return {
    close() {
      for (const { port } of chain.all) port.close?.();
    },
  };
}

function answers<Port>(
  members: Members<Port>,
  signal: AbortSignal,
  { clock = systemClock }: ChainOptions,
): Pick<AnswersOptions<Port, { type: string }>, 'members' | 'clock' | 'signal' | 'outlivesFailure'> {
  return {
    members,
    clock,
    signal,
    outlivesFailure: ({ type }) => type === 'usage' || type === 'failover',
  };
}
