import type { InterruptionOptions } from './agent-config.ts';
import type { Clock, Timer } from './clock.ts';
import type { CallEvents } from './events.ts';
import { type OverlapKind, overlapKind } from './overlap.ts';
import type { Playout } from './playout.ts';

export interface TalkOverOptions {
  clock: Clock;
  events: CallEvents;
  playout: Playout;
  options: InterruptionOptions;
  leg: { readonly canClear: boolean; clear(): void };
  /** The caller speaks, as far as can be told from the sound. */
  callerSpeaks(): boolean;
  /** What the agent was saying; null if it may not be interrupted, or says nothing. `asked`: any word is an answer to it. */
  agentTalk(): { text: string; asked: boolean } | null;
  /** The caller wants to speak. */
  onInterrupt(because: OverlapKind, text: string): void;
  /** It was the agent's own voice, come back. */
  onEcho(text: string): void;
}

/** Words said over the agent are known by their place; no vendor promises it to the millisecond. */
const MISALIGNED_MS = 500;

/**
 * The caller speaks over an agent whose words and whose caller's words come piece by piece: it falls silent at once, and goes on, or not,
 * by what the caller says.
 */
export class TalkOver {
  readonly #options: TalkOverOptions;
  /** What the caller says over the agent, and from where on. */
  #overlap: { text: string; fromMs: number } | null = null;
  #resumeTimer: Timer | null = null;
  #suspended = false;

  constructor(options: TalkOverOptions) {
    this.#options = options;
  }

  /** The caller's voice begins. @param lineMs where the model's line is. Returns whether it is over the agent. */
  begins(lineMs: number): boolean {
    const over = this.#options.agentTalk() !== null;
    this.#overlap = over ? { text: '', fromMs: lineMs } : null;
    return over;
  }

  /** The agent falls silent, and keeps what was not heard until it is known what the caller says. */
  hold(): void {
    const { playout, leg } = this.#options;
    this.#resumeTimer?.cancel();
    if (playout.held || this.#options.agentTalk() === null) return;
    playout.hold(leg.canClear);
    leg.clear();
  }

  /** More of the caller's words, the last of them at `untilMs` of the line. */
  hears(text: string, untilMs: number): void {
    if (this.#overlap === null || untilMs <= this.#overlap.fromMs - MISALIGNED_MS) return;
    this.#overlap.text += text;
    this.#judge(!this.#options.callerSpeaks());
  }

  /** The caller has paused. If no words come of what the agent fell silent for, it goes on. */
  pauses(): void {
    const { clock, playout, options } = this.#options;
    this.#judge(true);
    if (!playout.held) return;
    this.#resumeTimer?.cancel();
    this.#resumeTimer = clock.after(options.resumeMs, () => this.resume('nothing', ''));
  }

  resume(because: OverlapKind | 'nothing', text: string): void {
    const { playout, events } = this.#options;
    this.#resumeTimer?.cancel();
    if (!playout.held || this.#options.callerSpeaks() || this.#suspended) return;
    events.emit({ type: 'overlap', outcome: 'resumed', because, text });
    playout.resume();
  }

  /** The agent says nothing any more. */
  rests(): void {
    this.#resumeTimer?.cancel();
    // What ended while it was held leaves nothing behind: what comes next must not be held in its place.
    if (!this.#options.playout.busy && !this.#suspended) this.#options.playout.resume();
  }

  /** The line is down: what was sent and cannot have been heard is heard later. */
  suspend(): void {
    this.#suspended = true;
    this.#resumeTimer?.cancel();
    this.#options.playout.hold(true);
  }

  /** The line is back. */
  restore(): void {
    this.#suspended = false;
    this.#options.playout.resume();
  }

  stop(): void {
    this.#resumeTimer?.cancel();
    this.#overlap = null;
  }

  /** @param over nothing more of it comes; else the last word may go on. */
  #judge(over: boolean): void {
    const overlap = this.#overlap;
    const talk = this.#options.agentTalk();
    if (overlap === null || talk === null) return;
    const text = over ? overlap.text.trim() : wholeWords(overlap.text);
    if (text === '') return;
    const heard = overlapKind(text, talk.text);
    const kind = heard === 'backchannel' && talk.asked ? 'speech' : heard;
    if (kind === 'speech') {
      this.#overlap = null;
      this.#options.onInterrupt(kind, text);
    } else if (over) {
      this.#overlap = null;
      if (kind === 'echo') this.#options.onEcho(overlap.text);
      this.resume(kind, text);
    }
  }
}

/** Without the last word, of which more may follow. */
function wholeWords(text: string): string {
  return text.replace(/\S*[^\s.!?,;…]$/u, '').trim();
}
