import type { CallerTurn } from './caller-turn.ts';
import type { Clock, Timer } from './clock.ts';
import type { EngineLeg } from './engine.ts';
import type { CallEvents } from './events.ts';
import { type OverlapKind, overlapKind } from './overlap.ts';
import type { Playout } from './playout.ts';
import type { Replies } from './replies.ts';
import type { Reply } from './reply.ts';
import type { Turns } from './turn.ts';
import type { TurnRecord } from './turn-record.ts';

export interface BargeInOptions {
  clock: Clock;
  events: CallEvents;
  playout: Playout;
  leg: EngineLeg;
  turns: Pick<Turns, 'nextId'>;
  replies: Replies;
  callerTurn: Pick<CallerTurn, 'reopen'>;
  record: Pick<TurnRecord, 'lastIsCallers'>;
  /** How long after the caller's turn a reply goes on of which it is not known yet whether it was interrupted. */
  resumeMs: number;
  /** The caller speaks, as far as can be told from the sound. */
  callerSpeaks(): boolean;
  /** The line is down: nothing goes on. */
  isSuspended(): boolean;
}

/**
 * The caller speaks over a reply: it falls silent at once, and goes on, or not, by what the caller says. (Over a model whose words come piece by
 * piece: `TalkOver`.)
 */
export class BargeIn {
  readonly #options: BargeInOptions;
  /** Goes on with a reply that was held for something that came to nothing. */
  #resumeTimer: Timer | null = null;

  constructor(options: BargeInOptions) {
    this.#options = options;
  }

  /** The agent falls silent at once, and keeps what was not heard until it is known what the caller says. */
  hold(): void {
    const { playout, leg, replies } = this.#options;
    if (replies.current === null) return;
    this.#resumeTimer?.cancel();
    if (playout.held) return;
    playout.hold(leg.canClear);
    leg.clear();
  }

  /** If no words come of what the agent fell silent for, it goes on. */
  resumeLater(): void {
    const { clock, resumeMs } = this.#options;
    this.#resumeTimer?.cancel();
    this.#resumeTimer = clock.after(resumeMs, () => this.resume('nothing', ''));
  }

  /** The agent goes on, if it was held and nobody speaks. */
  resume(because: OverlapKind | 'nothing', text: string): void {
    const { playout, events, callerSpeaks, isSuspended } = this.#options;
    this.#resumeTimer?.cancel();
    if (!playout.held || callerSpeaks() || isSuspended()) return;
    events.emit({ type: 'overlap', outcome: 'resumed', because, text });
    playout.resume();
  }

  /** It does not go on by itself any more: the line is down. */
  suspend(): void {
    this.#resumeTimer?.cancel();
  }

  /** The reply is over. */
  rests(): void {
    const { playout, isSuspended } = this.#options;
    this.#resumeTimer?.cancel();
    this.#resumeTimer = null;
    // A reply that ended while it was held leaves nothing behind: the next one must not be held in its place.
    if (!playout.busy && !isSuspended()) playout.resume();
  }

  /** The caller wants to speak, or goes on with a turn that was taken for over: the agent is silent for good. */
  interrupt(because: OverlapKind, text: string): void {
    const { events, replies, callerTurn, turns } = this.#options;
    this.hold();
    if (replies.current !== null && this.mayReopen(replies.current) && callerTurn.reopen()) {
      events.emit({ type: 'turn.reopened' });
    } else {
      events.emit({ type: 'overlap', outcome: 'interrupted', because, text });
    }
    replies.stop();
    events.emit({ type: 'thinking', turn: turns.nextId });
  }

  /** Whether the current reply answers the caller's last turn, and he has heard no word of it: what he says now belongs to that turn. */
  mayReopen({ spoken }: Reply): boolean {
    const { leg, replies, record } = this.#options;
    const unheard = spoken.heard === null && (leg.canClear || !spoken.begun);
    return replies.purpose === 'answer' && unheard && record.lastIsCallers;
  }

  /** What words mean that come over the current reply. To one who is asked whether he is there, every word is an answer. */
  overlapOf(text: string, reply: Reply): OverlapKind {
    const kind = overlapKind(text, reply.spoken.latest);
    // Nobody says "uh-huh" to what he has not heard.
    const isAnswer = this.#options.replies.purpose === 'question' || this.mayReopen(reply);
    return kind === 'backchannel' && isAnswer ? 'speech' : kind;
  }
}
