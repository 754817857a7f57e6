import type { Agent } from './agent.ts';
import type { Clock } from './clock.ts';
import type { EngineLeg } from './engine.ts';
import type { CallEvents } from './events.ts';
import { LatencyLedger } from './latency.ts';
import type { LaterActs } from './later-acts.ts';
import type { Playout } from './playout.ts';
import type { Reply, Thinking } from './reply.ts';
import { ReplyWatchdog } from './reply-watchdog.ts';
import type { Turns } from './turn.ts';

/** What the agent is to say in a turn. */
export interface ReplyRequest {
  /** Whether the caller may silence it by speaking. */
  interruptible: boolean;
  /** What it is: `answer`, to the caller's last turn; `question`, whether a silent caller is there, or the goodbye. */
  purpose?: 'answer' | 'question' | undefined;
  /** Makes it. Resolves when it was heard, or the turn was cancelled; never rejects. */
  speak(reply: Reply): Promise<void>;
  /** Absent: with the agent's own providers. */
  thinking?: Thinking | undefined;
  /** Where its latency is counted. */
  ledger?: LatencyLedger;
  /** Follows if it was heard to its end. */
  afterwards?: (() => void) | undefined;
}

/** Whose replies they are. */
export interface RepliesHandler {
  /** The line is down: nobody hears anything. */
  isSuspended(): boolean;
  /** The caller speaks, as far as can be told from the sound. */
  callerSpeaks(): boolean;
  /** The caller speaks, or it is not yet known what was said. */
  callerPending(): boolean;
  /** A reply begins; nothing of it is audible yet. */
  replyBegins(): void;
  /** The first audio of a sentence goes out. */
  sentenceBegins(): void;
  /** A sentence is going to be said. */
  sentencePlanned(): void;
  /** It was silenced, or heard to its end; in the record it stands already. */
  replyOver(reply: Reply): void;
  /** The last one was heard to its end. */
  heardToEnd(afterwards: (() => void) | undefined): void;
  /** The last one neither ends nor goes on. */
  stuck(): void;
}

export interface RepliesOptions {
  clock: Clock;
  events: CallEvents;
  playout: Playout;
  leg: EngineLeg;
  turns: Turns;
  agent: Agent;
  later: LaterActs;
  handler: RepliesHandler;
}

/** What the agent says, one reply at a time: begins it, silences it, and writes down what of it the caller heard. */
export class Replies {
  readonly #options: RepliesOptions;
  readonly #watchdog: ReplyWatchdog;
  #current: Reply | null = null;
  #purpose: ReplyRequest['purpose'];
  #since = 0;

  constructor(options: RepliesOptions) {
    this.#options = options;
    this.#watchdog = new ReplyWatchdog(options.clock, options.playout);
  }

  /** What is being said, or being made to be said. */
  get current(): Reply | null {
    return this.#current;
  }

  /** Of the current one. */
  get purpose(): ReplyRequest['purpose'] {
    return this.#purpose;
  }

  /** When the last one began, in milliseconds since the epoch. */
  get since(): number {
    return this.#since;
  }

  /** Begins a turn of the agent. Whatever was being said is recorded as far as it was heard. */
  begin({
    interruptible,
    purpose,
    speak,
    thinking,
    ledger = new LatencyLedger(),
    afterwards,
  }: ReplyRequest): void {
    const { playout, clock, events, turns, agent, leg, handler } = this.#options;
    this.stop();
    handler.replyBegins();
    // The agent does not begin to speak over somebody who speaks.
    if (handler.isSuspended()) playout.hold(true);
    else if (handler.callerSpeaks() && interruptible) playout.hold(leg.canClear);
    playout.notBefore(ledger.at('speakFrom') ?? 0);
    const turn = turns.begin(ledger);
    const reply = agent.reply(turn, interruptible, thinking, {
      onSentence: (text) => {
        handler.sentenceBegins();
        events.emit({ type: 'transcript', role: 'agent', turn: turn.id, text, final: false });
      },
      onPlanned: (text) => {
        events.emit({ type: 'agent.sentence', state: 'planned', text });
        handler.sentencePlanned();
      },
      onWritten: () => events.emit({ type: 'agent.sentence', state: 'written' }),
      onHeard: (sentence) => events.emit({ type: 'agent.sentence', state: 'heard', ...sentence }),
      onFirstAudio: () => {
        const parts = ledger.parts();
        if (parts !== null) events.emit({ type: 'latency', turn: turn.id, ...parts });
      },
    });
    this.#current = reply;
    this.#purpose = purpose;
    this.#since = clock.now();
    this.#watchdog.start(
      () => handler.callerPending() || handler.isSuspended(),
      () => handler.stuck(),
    );
    void speak(reply).then(() => {
      if (!turns.isLive(turn)) return;
      agent.record(reply, reply.spoken.cutShort);
      this.#end(reply);
      handler.heardToEnd(afterwards);
    });
  }

  /** Silences the agent for good. What the caller heard of it stands in the record. */
  stop(): void {
    const reply = this.#current;
    if (reply === null) return;
    const { playout, leg, turns, agent, later } = this.#options;
    const audible = playout.busy && !playout.held;
    turns.cancel('the agent is to be silent');
    playout.clear(leg.canClear);
    if (audible) leg.clear();
    agent.record(reply, true);
    // What an interrupted answer has announced is not done: the caller wants something else.
    later.forget();
    this.#end(reply);
  }

  #end(reply: Reply): void {
    this.#options.events.emit({ type: 'agent.sentence', state: 'over' });
    this.#watchdog.stop();
    this.#current = null;
    this.#options.handler.replyOver(reply);
  }
}
