import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import { ProviderError } from '../providers/ports.ts';
import type { CallActions } from '../tools/tool.ts';
import { Agent, type AgentOptions } from './agent.ts';
import { failedLineOf } from './agent-config.ts';
import type { FinishedTurn } from './caller-turn.ts';
import type { Engine, EngineLeg } from './engine.ts';
import { LaterActs } from './later-acts.ts';
import type { Listener } from './listener.ts';
import { type OpeningLine, openingLeft, openingOf } from './opening.ts';
import { Owed, owedAfter } from './owed-answer.ts';
import { type HeardSentence, lastSaid, type PastCall } from './past-call.ts';
import { PipelineCaller, type PipelineCallerHandler } from './pipeline-caller.ts';
import { ProviderFailures } from './provider-failure.ts';
import { Replies, type RepliesHandler } from './replies.ts';
import type { Reply } from './reply.ts';
import { STUCK_MS } from './reply-watchdog.ts';
import { SilenceWatch } from './silence-watch.ts';
import type { Turns } from './turn.ts';
import { TurnRecord } from './turn-record.ts';

export interface PipelineOptions extends Omit<AgentOptions, 'record' | 'later' | 'onUsage' | 'onFailure'> {
  /** What tools may do to the call. */
  actions: CallActions;
  detector: VoiceActivityDetector;
  /** The conversation so far, where another engine has held it. */
  record?: TurnRecord;
  /** Sample 0 of the recording, in milliseconds since the epoch. */
  startTime: number;
  leg: EngineLeg;
}

/** What a model is told whose answer was cut off by a restart. */
const BROKEN_OFF =
  'The connection was lost in the middle of your answer. Go on where you stopped, without repeating what was said.';

/** Speech-to-text → language model → text-to-speech, turn by turn; who speaks when. */
export class Pipeline implements Engine, PipelineCallerHandler, RepliesHandler {
  readonly #options: PipelineOptions;
  readonly #record: TurnRecord;
  readonly #turns: Turns;
  readonly #caller: PipelineCaller;
  /** Takes each frame. */
  readonly #listener: Listener;
  readonly #silence: SilenceWatch;
  readonly #replies: Replies;
  readonly #agent: Agent;
  /** Done once the agent's answer was heard to its end. */
  readonly #later: LaterActs;
  readonly #abort = new AbortController();
  readonly #failures: ProviderFailures;
  readonly #owed: Owed;
  /** The caller has heard, since his last turn, of something that could not be done. */
  #toldOfProblem = false;
  /** Nobody listens: nothing is said any more. */
  #hushed = false;
  /** The line is down. */
  #suspended = false;
  #finished = false;

  constructor(options: PipelineOptions) {
    this.#options = options;
    const { clock, agent, events, playout, leg } = options;
    this.#failures = new ProviderFailures(events);
    this.#owed = new Owed(events);
    this.#turns = options.turns;
    this.#record = options.record ?? new TurnRecord(options);
    this.#later = new LaterActs(options);
    this.#agent = new Agent({
      ...options,
      record: this.#record,
      later: this.#later,
      onUsage: (usage, turn) => events.emit({ type: 'usage', usage, turn }),
      onFailure: (error) => this.#failures.tell(error),
    });
    this.#replies = new Replies({
      ...{ clock, events, playout, leg, turns: this.#turns },
      agent: this.#agent,
      later: this.#later,
      handler: this,
    });
    this.#silence = new SilenceWatch({
      clock,
      options: agent.silence,
      say: (text, afterwards) => this.#speak(text, true, afterwards, 'question'),
      hangUp: () => {
        // Somebody is there after all.
        if (this.#caller.pending || this.#caller.turnOpen) this.#silence.reset();
        else leg.hangUp('caller silent');
      },
    });
    this.#caller = new PipelineCaller({
      ...options,
      config: agent,
      record: this.#record,
      agent: this.#agent,
      replies: this.#replies,
      silence: this.#silence,
      failures: this.#failures,
      handler: this,
    });
    this.#listener = this.#caller.listener;
  }

  /** What is being said, or being made to be said. */
  get #reply(): Reply | null {
    return this.#replies.current;
  }

  begin(): void {
    this.#agent.warm();
    this.#sayOpening(openingOf(this.#options.agent));
    this.#listenIfIdle();
  }

  #sayOpening([line, ...rest]: OpeningLine[]): void {
    // Who has spoken over the line before, or pressed a key, is answered, not greeted.
    const callerSpoke = this.#caller.turnOpen || this.#caller.pressesKeys;
    if (line === undefined || (line.interruptible && callerSpoke)) return;
    this.#speak(line.text, line.interruptible, () => this.#sayOpening(rest));
  }

  audio(samples: Int16Array, position: number, arrivedAt: number): void {
    this.#listener.push(samples, position, arrivedAt);
  }

  dtmf(digit: string): void {
    this.#caller.presses(digit);
  }

  get heardOfSpeech(): HeardSentence | null {
    const spoken = this.#reply?.spoken;
    return spoken?.isModels ? spoken.heard : null;
  }

  recall(past: PastCall): void {
    this.#suspended = true;
    this.#options.playout.hold(true);
    this.#agent.warm();
    for (const entry of past.history) this.#record.recall(entry);
    this.#record.heardBefore(past.heard);
    // That turn is in the record now: another restart must not add it again.
    this.#options.events.emit({ type: 'agent.sentence', state: 'over' });
    this.#agent.recall();
    this.#owed.owe(owedAfter(past));
    for (const act of past.acts) this.#later.add(act);
    this.#caller.agentSaid(lastSaid(past));
    this.#caller.hearAgain(past);
    const { current, rest } = openingLeft(this.#options.agent, past);
    if (past.unheard.length > 0) {
      const interruptible = current?.interruptible ?? true;
      this.#speak(past.unheard.join(' '), interruptible, () => this.#sayOpening(rest));
    } else if (rest.length > 0) {
      this.#sayOpening(rest);
    }
    this.#caller.recallKeys(past.keys);
  }

  suspend(): void {
    this.#suspended = true;
    // The silence of a dead line is nobody's.
    this.#silence.agentSpeaks();
    this.#caller.suspend();
    // What was sent and cannot have been heard is heard later.
    this.#options.playout.hold(true);
  }

  resume(): void {
    this.#suspended = false;
    this.#caller.resume();
    this.#options.playout.resume();
    this.mayFinish();
    this.#answerUnanswered();
    this.#caller.awaitTranscript();
  }

  transferFailed(fact: string): void {
    const line = failedLineOf(this.#options.agent);
    this.#owed.owe(null);
    if (this.#hushed) return;
    if (line === '') {
      this.#toldOfProblem = false;
      this.#tellOf(fact);
    } else {
      this.#agent.note(fact);
      this.#speak(line, true);
    }
  }

  /** A turn that was over, and whose answer was lost. */
  #answerUnanswered(): void {
    if (this.#owed.answer === null || this.#suspended || this.#finished) return;
    if (this.#reply !== null || this.#caller.pending || this.#caller.turnOpen) return;
    const answer = this.#agent.answerAgain(this.#owed.answer === 'rest' ? BROKEN_OFF : null);
    this.#owed.give();
    this.#replies.begin({ interruptible: true, ...answer });
  }

  interrupt(): void {
    if (this.#reply?.interruptible !== true) return;
    this.#options.events.emit({ type: 'overlap', outcome: 'interrupted', because: 'speech', text: '' });
    this.#replies.stop();
    // Nothing was said that would have to be answered.
    this.#silence.reset();
    this.mayFinish();
  }

  hush(): void {
    if (this.#hushed) return;
    this.#hushed = true;
    this.#silence.stop();
    this.#caller.stopWaiting();
    this.#later.forget();
    this.#owed.owe(null);
    this.#replies.stop();
    // What tools do goes on, as after an interruption: whoever turns out to be a person needs them again.
    this.#agent.heardNothing();
  }

  unhush(): void {
    if (!this.#hushed) return;
    this.#hushed = false;
    this.#replies.stop();
    if (this.#record.lastIsCallers) this.#owed.owe('whole');
    this.mayFinish();
  }

  leave(text: string): void {
    this.hush();
    this.#replies.begin({
      interruptible: false,
      speak: (reply) => reply.speak(text),
      afterwards: () => this.#hangUpHushed(),
    });
  }

  #hangUpHushed(): void {
    this.#options.leg.hangUp('answering machine');
  }

  async finish(timeoutMs: number): Promise<void> {
    this.#finished = true;
    this.#abort.abort();
    this.#caller.stop();
    this.#silence.stop();
    this.#replies.stop();
    this.#turns.cancel('the call is over');
    this.#agent.stopThinking();
    await this.#listener.finish(timeoutMs);
    this.#agent.close();
    this.#caller.recordRest();
  }

  // --- PipelineCallerHandler: the caller -----------------------------------------------------------------------

  isOver(): boolean {
    return this.#finished;
  }

  isHushed(): boolean {
    return this.#hushed;
  }

  languageChanged(): void {
    // The lines that are needed when speech is down are needed in this language.
    if (!this.#finished) void this.#agent.prepare(this.#abort.signal);
  }

  say(text: string, afterwards?: () => void): void {
    this.#speak(text, true, afterwards);
  }

  /** Lets the caller's turn end, unless there is a reason to wait. */
  mayFinish(): void {
    if (this.#finished || this.#caller.pending || this.#caller.pressesKeys) return;
    this.#caller.release();
    this.#answerUnanswered();
    this.#doLaterActs();
    this.#listenIfIdle();
  }

  /** What is to follow the agent's words, now that they were heard. */
  #doLaterActs(): void {
    if (this.#suspended || this.#finished || this.#owed.answer !== null || this.#reply !== null) return;
    const problems = this.#later.do();
    // What could not be done is told, or the caller waits for it in vain.
    if (problems.length > 0 && !this.#finished) this.#tellOf(problems.join(' '));
  }

  turnIsOver(turn: FinishedTurn): void {
    this.#owed.owe(null);
    this.#toldOfProblem = false;
    // Who says something new wants something else than what an object before this one has promised.
    this.#later.forget();
    this.#caller.record(turn);
    if (this.#hushed) return;
    const ledger = this.#caller.ledgerOf(turn);
    const answer = this.#agent.answerTo(turn.text);
    this.#replies.begin({ ledger, interruptible: true, purpose: 'answer', ...answer });
  }

  /** The caller learns that what the agent has announced cannot be done. */
  #tellOf(problem: string): void {
    // Once a turn of the caller's: what has failed again would be told again, and so on.
    if (this.#toldOfProblem) return;
    this.#toldOfProblem = true;
    const answer = this.#agent.answerAbout(problem);
    this.#replies.begin({ interruptible: true, ...answer });
  }

  /** Says a fixed text. */
  #speak(text: string, interruptible: boolean, afterwards?: () => void, purpose?: 'question'): void {
    if (this.#hushed) return;
    this.#replies.begin({ interruptible, speak: (reply) => reply.speak(text), afterwards, purpose });
  }

  // --- RepliesHandler: what the agent says ---------------------------------------------------------------------

  isSuspended(): boolean {
    return this.#suspended;
  }

  callerSpeaks(): boolean {
    return this.#caller.speaks;
  }

  callerPending(): boolean {
    return this.#caller.pending;
  }

  replyBegins(): void {
    this.#silence.agentSpeaks();
    this.#caller.stopWaiting();
  }

  sentenceBegins(): void {
    this.#caller.agentAudible();
  }

  sentencePlanned(): void {
    this.#owed.planned();
  }

  replyOver(reply: Reply): void {
    this.#owed.replyOver();
    this.#caller.agentRests(reply.spoken.latest);
  }

  heardToEnd(afterwards: (() => void) | undefined): void {
    // Once the caller has heard the first of it: when the lines are needed, speech may be down.
    void this.#agent.prepare(this.#abort.signal);
    afterwards?.();
    this.#doLaterActs();
    this.mayFinish();
  }

  /** The call goes back to listening. */
  stuck(): void {
    this.#failures.tell(new ProviderError('pipeline', 'timeout', `No progress for ${STUCK_MS} ms`));
    this.#replies.stop();
    const { apology } = this.#options.agent;
    if (this.#hushed) this.#hangUpHushed();
    else if (apology !== '') this.#speak(apology, true);
    else this.mayFinish();
  }

  #listenIfIdle(): void {
    if (this.#finished || this.#suspended || this.#hushed || this.#caller.pressesKeys) return;
    if (this.#reply !== null || this.#caller.pending || this.#caller.turnOpen) return;
    this.#options.events.emit({ type: 'listening' });
    this.#silence.start();
  }
}
