import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import { ProviderError, type Usage } from '../providers/ports.ts';
import type { CallActions } from '../tools/tool.ts';
import { Agent, type AgentOptions } from './agent.ts';
import { failedLineOf } from './agent-config.ts';
import { BargeIn } from './barge-in.ts';
import { CallerSound } from './caller-sound.ts';
import { CallerTurn, type FinishedTurn, utteranceOfKeys } from './caller-turn.ts';
import { DtmfCollector, spokenKeys } from './dtmf.ts';
import type { Engine, EngineLeg } from './engine.ts';
import { LastWords } from './last-words.ts';
import { LateLine } from './late-line.ts';
import { LatencyLedger } from './latency.ts';
import { LaterActs } from './later-acts.ts';
import { Listener, type ListenerHandler, type Utterance } from './listener.ts';
import { type OpeningLine, openingLeft, openingOf } from './opening.ts';
import { isTooEarly } from './overlap.ts';
import { Owed, owedAfter } from './owed-answer.ts';
import { type HeardSentence, lastSaid, type PastCall, unrecordedAudio } from './past-call.ts';
import { ProviderFailures } from './provider-failure.ts';
import { Replies, type RepliesHandler } from './replies.ts';
import type { Reply } from './reply.ts';
import { STUCK_MS } from './reply-watchdog.ts';
import { SilenceWatch } from './silence-watch.ts';
import type { Turns } from './turn.ts';
import { TurnEnd } from './turn-end.ts';
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
export class Pipeline implements Engine, ListenerHandler, RepliesHandler {
  readonly #options: PipelineOptions;
  readonly #record: TurnRecord;
  readonly #turns: Turns;
  readonly #listener: Listener;
  readonly #callerTurn: CallerTurn;
  readonly #silence: SilenceWatch;
  readonly #replies: Replies;
  readonly #bargeIn: BargeIn;
  /** Utterances of the caller that are over and not yet transcribed. */
  #awaited = 0;
  readonly #agent: Agent;
  readonly #dtmf: DtmfCollector;
  /** Done once the agent's answer was heard to its end. */
  readonly #later: LaterActs;
  readonly #abort = new AbortController();
  readonly #lastWords = new LastWords();
  readonly #sound: CallerSound;
  readonly #lateLine: LateLine;
  readonly #failures: ProviderFailures;
  readonly #owed: Owed;
  /** The caller has heard, since his last turn, of something that could not be done. */
  #toldOfProblem = false;
  /** Who has transcribed since the last turn of the caller's. */
  readonly #heardBy = new Set<string>();
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
    this.#listener = new Listener({
      clock,
      sampleRate: options.sampleRate,
      endpointing: agent.endpointing,
      language: agent.language,
      keywords: agent.keywords,
      detector: options.detector,
      speechToText: this.#agent.speechToText,
      handler: this,
    });
    this.#callerTurn = new CallerTurn({
      clock,
      end: new TurnEnd(agent.endpointing),
      language: agent.language,
      onFinished: (turn) => this.#answer(turn),
    });
    this.#replies = new Replies({
      ...{ clock, events, playout, leg, turns: this.#turns },
      agent: this.#agent,
      later: this.#later,
      handler: this,
    });
    this.#bargeIn = new BargeIn({
      ...{ clock, events, playout, leg, turns: this.#turns },
      replies: this.#replies,
      callerTurn: this.#callerTurn,
      record: this.#record,
      resumeMs: agent.interruption.resumeMs,
      callerSpeaks: () => this.#sound.speaks,
      isSuspended: () => this.#suspended,
    });
    this.#lateLine = new LateLine({
      clock,
      options: agent.silence,
      isSuspended: () => this.#suspended,
      isAwaited: () => this.#awaited > 0,
      isQuiet: () => this.#reply === null && !this.#sound.speaks,
      say: (text, afterwards) => this.#speak(text, true, afterwards),
    });
    this.#sound = new CallerSound({
      clock,
      options: agent.interruption,
      audible: () => this.#listener.speaking,
      onIgnored: (hadWords) => {
        // What was said before the noise is a turn, although the noise goes on.
        if (hadWords) this.#listener.lineLost();
        this.#bargeIn.resume('nothing', '');
        this.#callerMayFinish();
      },
    });
    this.#dtmf = new DtmfCollector(clock, agent.dtmf, (keys) => this.#takeKeys(keys));
    this.#silence = new SilenceWatch({
      clock,
      options: agent.silence,
      say: (text, afterwards) => this.#speak(text, true, afterwards, 'question'),
      hangUp: () => {
        // Somebody is there after all.
        if (this.callerPending() || this.#callerTurn.open) this.#silence.reset();
        else leg.hangUp('caller silent');
      },
    });
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
    const callerSpoke = this.#callerTurn.open || this.#dtmf.pending !== '';
    if (line === undefined || (line.interruptible && callerSpoke)) return;
    this.#speak(line.text, line.interruptible, () => this.#sayOpening(rest));
  }

  audio(samples: Int16Array, position: number, arrivedAt: number): void {
    this.#listener.push(samples, position, arrivedAt);
  }

  dtmf(digit: string): void {
    this.#silence.reset();
    // Keys are no backchannel: who presses them has heard enough.
    if (this.#reply?.interruptible === true) this.#bargeIn.interrupt('speech', digit);
    // With what was said before them the keys are one turn.
    this.#callerTurn.hold();
    this.#dtmf.press(digit);
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
    // What comes back of the agent's last words is still its echo.
    this.#lastWords.were(lastSaid(past), this.#options.clock.now());
    this.#hearAgain(past);
    const { current, rest } = openingLeft(this.#options.agent, past);
    if (past.unheard.length > 0) {
      const interruptible = current?.interruptible ?? true;
      this.#speak(past.unheard.join(' '), interruptible, () => this.#sayOpening(rest));
    } else if (rest.length > 0) {
      this.#sayOpening(rest);
    }
    if (past.keys !== '') this.#callerTurn.hold();
    this.#dtmf.recall(past.keys);
  }

  /** What the caller said, and nobody wrote down, is in the recording. */
  #hearAgain(past: PastCall): void {
    // As if it had come just now: nothing has stalled, and it was said before whatever is said next.
    const arrivedAt = this.#options.clock.now() - 1;
    for (const { samples, position } of unrecordedAudio(past)) {
      this.#listener.push(samples, position, arrivedAt);
    }
    this.#listener.lineLost();
  }

  suspend(): void {
    this.#suspended = true;
    // The silence of a dead line is nobody's.
    this.#silence.agentSpeaks();
    this.#lateLine.cancel();
    this.#bargeIn.suspend();
    this.#dtmf.suspend();
    this.#listener.lineLost();
    // What was sent and cannot have been heard is heard later.
    this.#options.playout.hold(true);
  }

  resume(): void {
    this.#suspended = false;
    this.#dtmf.resume();
    this.#options.playout.resume();
    this.#callerMayFinish();
    this.#answerUnanswered();
    // A transcript may still be late.
    if (this.#awaited > 0 && this.#reply === null) this.#lateLine.await(this.#options.clock.now());
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
    if (this.#reply !== null || this.callerPending() || this.#callerTurn.open) return;
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
    this.#callerMayFinish();
  }

  hush(): void {
    if (this.#hushed) return;
    this.#hushed = true;
    this.#silence.stop();
    this.#lateLine.cancel();
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
    this.#callerMayFinish();
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
    this.#sound.stop();
    this.#lateLine.cancel();
    const keys = this.#dtmf.take();
    if (keys !== '') this.#takeKeys(keys);
    this.#silence.stop();
    this.#callerTurn.hold();
    this.#replies.stop();
    this.#turns.cancel('the call is over');
    this.#agent.stopThinking();
    await this.#listener.finish(timeoutMs);
    this.#agent.close();
    const turn = this.#callerTurn.take();
    if (turn !== null) this.#recordTurn(turn);
  }

  // --- ListenerHandler: the caller -----------------------------------------------------------------------------

  speechStarted(): void {
    this.#options.events.emit({ type: 'caller.voice', speaking: true });
    this.#silence.suspend();
    this.#lateLine.cancel();
    this.#callerTurn.hold();
    const awaited = this.#reply !== null || this.#callerTurn.open;
    this.#sound.begins(awaited, this.#reply?.interruptible === true ? () => this.#bargeIn.hold() : null);
  }

  utteranceEnded(utterance: Utterance): void {
    this.#awaited++;
    this.#options.events.emit({ type: 'caller.voice', speaking: false });
    this.#sound.ends();
    if (this.#finished) return;
    if (this.#reply === null) {
      this.#options.events.emit({ type: 'thinking', turn: this.#turns.nextId });
      this.#lateLine.await(utterance.decidedAt);
    } else {
      this.#bargeIn.resumeLater();
    }
  }

  interim(text: string, stable: boolean): void {
    const { events } = this.#options;
    events.emit({ type: 'transcript', role: 'caller', turn: this.#turns.nextId, text, final: false });
    if (text === '') return;
    this.#sound.hasWords();
    // Words that are no backchannel interrupt before the caller has finished.
    const reply = this.#reply;
    // What comes of an utterance that is over was said before the reply, or is judged with its final text.
    if (reply?.interruptible === true && this.#listener.speaking && !isTooEarly(text, reply.spoken.latest)) {
      if (this.#bargeIn.overlapOf(text, reply) === 'speech') this.#bargeIn.interrupt('speech', text);
    }
    if (this.#reply === null && !this.#finished && !this.#hushed) {
      this.#agent.heardSoFar(this.#callerTurn.textWith(text), stable);
    }
  }

  turnJudgedOver(number: number): void {
    this.#callerTurn.judgedOver(number);
  }

  languageHeard(language: string): void {
    this.#agent.languageHeard(language);
    // The lines that are needed when speech is down are needed in this language.
    if (!this.#finished) void this.#agent.prepare(this.#abort.signal);
  }

  transcribed(utterance: Utterance, text: string, lost: ProviderError | null): void {
    this.#awaited--;
    if (lost !== null) this.#failures.tell(lost);
    const reply = this.#reply;
    if (text === '') {
      if (!this.#callerTurn.open) this.#agent.heardNothing();
      if (reply !== null) this.#bargeIn.resume('nothing', '');
      this.#callerMayFinish();
      return;
    }
    if (reply === null && this.#lastWords.areEchoedBy(text, utterance.startedAt)) {
      this.#callerMayFinish();
      return;
    }
    if (reply !== null) {
      // What was said before the reply, and understood only now, was not said over it.
      const before = utterance.lastVoicedAt < this.#replies.since;
      const kind = before ? 'speech' : this.#bargeIn.overlapOf(text, reply);
      if (kind === 'speech' && reply.interruptible) {
        if (before && !this.#bargeIn.mayReopen(reply)) this.#replies.stop();
        else this.#bargeIn.interrupt(kind, text);
      } else if (kind !== 'speech') {
        this.#bargeIn.resume(kind, text);
        // An echo is nothing that the caller said.
        if (kind === 'backchannel') this.#recordCaller(utterance, text);
        this.#callerMayFinish();
        return;
      }
    }
    this.#callerTurn.add(utterance, text);
    this.#callerMayFinish();
    // More of the turn is waited for.
    if (this.#callerTurn.open && this.#reply === null && !this.#finished && !this.#hushed) {
      this.#agent.heardSoFar(this.#callerTurn.textWith(''), !this.callerPending());
    }
  }

  transcriptionFailed(_utterance: Utterance, error: ProviderError): void {
    this.#awaited--;
    this.#failures.tell(error);
    const { apology } = this.#options.agent;
    if (this.#finished) return;
    if (this.#reply !== null) this.#bargeIn.resume('nothing', '');
    else if (apology !== '' && !this.#callerTurn.open && !this.callerPending()) this.#speak(apology, true);
    this.#callerMayFinish();
  }

  /** What the caller said. Its turn is the next one until that begins; what is told later was still for it. */
  usage(usage: Usage): void {
    // Whoever was given up has heard nothing.
    if (usage.audioSeconds !== undefined && usage.estimated === undefined) this.#heardBy.add(usage.provider);
    const { nextId } = this.#turns;
    const pending = this.callerPending() || this.#callerTurn.open;
    this.#options.events.emit({ type: 'usage', usage, turn: pending ? nextId : Math.max(0, nextId - 1) });
  }

  failedOver(error: ProviderError): void {
    this.#failures.tell(error);
  }

  // --- turns ---------------------------------------------------------------------------------------------------

  /** Lets the caller's turn end, unless there is a reason to wait. */
  #callerMayFinish(): void {
    if (this.#finished || this.callerPending() || this.#dtmf.pending !== '') return;
    // A reply that was made while the caller spoke has waited for this.
    if (this.#reply !== null && this.#options.playout.held) this.#bargeIn.resume('nothing', '');
    // What was said over words that may not be interrupted is answered after them.
    if (this.#reply === null) this.#callerTurn.release();
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

  #answer(turn: FinishedTurn): void {
    const { clock } = this.#options;
    this.#owed.owe(null);
    this.#toldOfProblem = false;
    // Who says something new wants something else than what an object before this one has promised.
    this.#later.forget();
    this.#recordTurn(turn);
    if (this.#hushed) return;
    const ledger = new LatencyLedger();
    ledger.mark('lastVoiced', turn.lastVoicedAt);
    ledger.mark('decided', turn.decidedAt);
    ledger.mark('transcript', clock.now());
    ledger.mark('speakFrom', turn.speakFrom);
    for (const provider of this.#heardBy) ledger.served(provider);
    this.#heardBy.clear();
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

  /** An entry of keys is a turn of the caller's, in words that the language model understands. */
  #takeKeys(keys: string): void {
    const { clock, sampleRate, startTime } = this.#options;
    const now = clock.now();
    this.#agent.keysPressed(keys);
    const sample = Math.round(((now - startTime) * sampleRate) / 1000);
    const mayInterrupt = this.#reply === null || this.#reply.interruptible;
    // With what was said before it, it is one turn: "my pin is" and the keys.
    if (!mayInterrupt || this.callerPending() || this.#finished) this.#callerTurn.hold();
    this.#callerTurn.add(utteranceOfKeys(now, sample), spokenKeys(keys));
    if (!mayInterrupt || this.callerPending() || this.#finished) return;
    this.#replies.stop();
    this.#callerTurn.finish();
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
    return this.#sound.speaks;
  }

  callerPending(): boolean {
    return this.#sound.speaks || this.#awaited > 0;
  }

  replyBegins(): void {
    this.#silence.agentSpeaks();
    this.#lateLine.cancel();
  }

  sentenceBegins(): void {
    this.#sound.agentSpeaks();
  }

  sentencePlanned(): void {
    this.#owed.planned();
  }

  replyOver(reply: Reply): void {
    this.#owed.replyOver();
    this.#lastWords.were(reply.spoken.latest, this.#options.clock.now());
    this.#bargeIn.rests();
  }

  heardToEnd(afterwards: (() => void) | undefined): void {
    // Once the caller has heard the first of it: when the lines are needed, speech may be down.
    void this.#agent.prepare(this.#abort.signal);
    afterwards?.();
    this.#doLaterActs();
    this.#callerMayFinish();
  }

  /** The call goes back to listening. */
  stuck(): void {
    this.#failures.tell(new ProviderError('pipeline', 'timeout', `No progress for ${STUCK_MS} ms`));
    this.#replies.stop();
    const { apology } = this.#options.agent;
    if (this.#hushed) this.#hangUpHushed();
    else if (apology !== '') this.#speak(apology, true);
    else this.#callerMayFinish();
  }

  // --- the record ----------------------------------------------------------------------------------------------

  #recordTurn(turn: FinishedTurn): void {
    if (turn.added === null) {
      this.#recordCaller(turn, turn.text);
      return;
    }
    this.#silence.reset();
    this.#record.callerWentOn(this.#turns.nextId, turn, turn.text, turn.added);
  }

  #recordCaller(span: { startSample: number; endSample: number }, text: string): void {
    this.#silence.reset();
    this.#record.caller(this.#turns.nextId, span, text);
  }

  #listenIfIdle(): void {
    if (this.#finished || this.#suspended || this.#hushed || this.#dtmf.pending !== '') return;
    if (this.#reply !== null || this.callerPending() || this.#callerTurn.open) return;
    this.#options.events.emit({ type: 'listening' });
    this.#silence.start();
  }
}
