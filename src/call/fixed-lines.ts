import { ProviderError, type TextToSpeechRequest, type Usage } from '../providers/ports.ts';
import type { Providers } from '../providers/registry.ts';
import type { AgentConfig } from './agent-config.ts';
import { AgentSpeech, type SpeechCache } from './agent-speech.ts';
import type { Clock } from './clock.ts';
import type { CallEvents } from './events.ts';
import { LatencyLedger } from './latency.ts';
import type { Playout } from './playout.ts';
import { Reply } from './reply.ts';
import { ReplyWatchdog, STUCK_MS } from './reply-watchdog.ts';
import { spokenAs } from './spoken-language.ts';
import type { Turns } from './turn.ts';

export interface FixedLinesOptions {
  clock: Clock;
  events: CallEvents;
  playout: Playout;
  providers: Pick<Providers, 'languageModel' | 'textToSpeech'>;
  agent: AgentConfig;
  sampleRate: 8000 | 16000;
  speechCache: SpeechCache;
  turns: Turns;
  /** What is held has reason to be. */
  waitsForCaller(): boolean;
  /** The first audio of a sentence goes out. */
  onSentence(): void;
  /** @param turn the line's; null: made ready for whenever it is needed. */
  onUsage(usage: Usage, turn: number | null): void;
  onFailure(error: ProviderError): void;
}

/** The agent's fixed lines beside a model that speaks: word for word by text-to-speech, one at a time. */
export class FixedLines {
  readonly #options: FixedLinesOptions;
  readonly #speech: AgentSpeech;
  readonly #watchdog: ReplyWatchdog;
  /** What is being said. */
  line: Reply | null = null;

  constructor(options: FixedLinesOptions) {
    this.#options = options;
    const { clock, playout, agent, providers, events, speechCache } = options;
    this.#watchdog = new ReplyWatchdog(clock, playout);
    this.#speech = new AgentSpeech({
      agent,
      textToSpeech: providers.textToSpeech,
      cache: speechCache,
      onLookup: (hit) => events.emit({ type: 'cache', hit }),
      onUsage: (usage) => options.onUsage(usage, null),
    });
  }

  /** How the agent speaks. */
  get spokenAs(): Omit<TextToSpeechRequest, 'text'> {
    const { agent, sampleRate } = this.#options;
    return spokenAs(agent, sampleRate, agent.language);
  }

  /** Says a text in a turn of its own. `onOver` follows where it was neither interrupted nor taken (`take`). */
  say(text: string, interruptible: boolean, onOver: () => void): Reply {
    const { clock, agent, playout, events, providers, turns, onUsage, onFailure, onSentence } = this.#options;
    const turn = turns.begin(new LatencyLedger());
    const line = new Reply({
      turn,
      interruptible,
      agent,
      tools: null,
      later: { add: () => {}, forget: () => {}, waiting: false },
      spokenAs: this.spokenAs,
      providers: { languageModel: providers.languageModel, textToSpeech: this.#speech.textToSpeech },
      playout,
      clock,
      onSentence: (sentence) => {
        onSentence();
        events.emit({ type: 'transcript', role: 'agent', turn: turn.id, text: sentence, final: false });
      },
      onPlanned: (sentence) => events.emit({ type: 'agent.sentence', state: 'planned', text: sentence }),
      onWritten: () => events.emit({ type: 'agent.sentence', state: 'written' }),
      onHeard: (sentence) => events.emit({ type: 'agent.sentence', state: 'heard', ...sentence }),
      onFirstAudio: () => {},
      onUsage: (usage) => onUsage(usage, turn.id),
      onFailure,
      onWording: (asked, said) => events.emit({ type: 'wording', asked, said }),
    });
    this.line = line;
    this.#watchdog.start(
      () => this.#options.waitsForCaller(),
      () => {
        onFailure(new ProviderError('fixed line', 'timeout', `No progress for ${STUCK_MS} ms`));
        turns.cancel('the line is stuck');
        playout.clear();
        onOver();
      },
    );
    void line.speak(text).then(() => turns.isLive(turn) && onOver());
    return line;
  }

  /** It is over, or was stopped. Null if none is being said. */
  take(): Reply | null {
    const { line } = this;
    this.line = null;
    this.#watchdog.stop();
    if (line !== null) this.#options.events.emit({ type: 'agent.sentence', state: 'over' });
    return line;
  }

  /** Makes the lines ready that are needed when speech may be down. */
  prepare(signal: AbortSignal): Promise<void> {
    return this.#speech.prepare(this.spokenAs, signal);
  }
}
