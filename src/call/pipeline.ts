import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import { ProviderError, type Usage } from '../providers/ports.ts';
import type { CallActions } from '../tools/tool.ts';
import { Agent, type AgentOptions } from './agent.ts';
import { failedLineOf } from './agent-config.ts';
import { CallerSound } from './caller-sound.ts';
import { CallerTurn, type FinishedTurn } from './caller-turn.ts';
import type { Timer } from './clock.ts';
import { DtmfCollector, spokenKeys } from './dtmf.ts';
import type { Engine } from './engine.ts';
import type { EndReason } from './events.ts';
import { LastWords } from './last-words.ts';
import { LatencyLedger } from './latency.ts';
import { LaterActs } from './later-acts.ts';
import { Listener, type ListenerHandler, type Utterance } from './listener.ts';
import { type OpeningLine, openingLeft, openingOf } from './opening.ts';
import { isTooEarly, type OverlapKind, overlapKind } from './overlap.ts';
import type { HeardSentence, OwedAnswer, PastCall } from './past-call.ts';
import { providerFailure } from './provider-failure.ts';
import type { Reply, Thinking } from './reply.ts';
import { ReplyWatchdog, STUCK_MS } from './reply-watchdog.ts';
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
  leg: PipelineLeg;
}

/** What the pipeline does to the leg, beside the audio. */
export interface PipelineLeg {
  /** Whether `clear` takes back audio that the leg has not played yet. */
  readonly canClear: boolean;
  clear(): void;
  /** Ends the call. */
  hangUp(reason: EndReason): void;
}

/** What a model is told whose answer was cut off by a restart. */
const BROKEN_OFF =
  'The connection was lost in the middle of your answer. Go on where you stopped, without repeating what was said.';

/** Speech-to-text → language model → text-to-speech, turn by turn; who speaks when. */
export class Pipeline implements Engine, ListenerHandler {
  readonly #options: PipelineOptions;
  readonly #record: TurnRecord;
  readonly #turns: Turns;
  readonly #listener: Listener;
  readonly #callerTurn: CallerTurn;
  readonly #silence: SilenceWatch;
  /** What is being said, or being made to be said. */
  #reply: Reply | null = null;
  #replySince = 0;
  /** The reply that answers the caller's last turn. */
  #answerReply: Reply | null = null;
  /** Goes on with a reply that was held for something that came to nothing. */
  #resumeTimer: Timer | null = null;
  /** Utterances of the caller that are over and not yet transcribed. */
  #awaited = 0;
  readonly #agent: Agent;
  readonly #dtmf: DtmfCollector;
  /** Done once the agent's answer was heard to its end. */
  readonly #later: LaterActs;
  readonly #abort = new AbortController();
  readonly #watchdog: ReplyWatchdog;
  readonly #lastWords = new LastWords();
  /** The question to a silent caller, or the goodbye. */
  #silenceReply: Reply | null = null;
  readonly #sound: CallerSound;
  #lateTimer: Timer | null = null;
  readonly #told = new WeakSet<ProviderError>();
  /** What was lost with the object's memory of the answer to the caller's last turn. */
  #owed: OwedAnswer | null = null;
  /** The reply is that answer. */
  #answersOwed = false;
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
    const { clock, agent } = options;
    this.#turns = options.turns;
    this.#record = options.record ?? new TurnRecord(options);
    this.#later = new LaterActs(options);
    this.#agent = new Agent({
      ...options,
      record: this.#record,
      later: this.#later,
      onUsage: (usage, turn) => options.events.emit({ type: 'usage', usage, turn }),
      onFailure: (error) => this.#fail(error),
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
    this.#watchdog = new ReplyWatchdog(clock, options.playout);
    this.#sound = new CallerSound({
      clock,
      options: agent.interruption,
      audible: () => this.#listener.speaking,
      onIgnored: (hadWords) => {
        // What was said before the noise is a turn, although the noise goes on.
        if (hadWords) this.#listener.lineLost();
        this.#resume('nothing', '');
        this.#callerMayFinish();
      },
    });
    this.#dtmf = new DtmfCollector(clock, agent.dtmf, (keys) => this.#takeKeys(keys));
    this.#silence = new SilenceWatch({
      clock,
      options: agent.silence,
      say: (text, then) => {
        this.#speak(text, true, then);
        this.#silenceReply = this.#reply;
      },
      hangUp: () => {
        // Somebody is there after all.
        if (this.#callerPending || this.#callerTurn.open) this.#silence.reset();
        else options.leg.hangUp('caller silent');
      },
    });
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
    if (this.#reply?.interruptible === true) this.#interrupt('speech', digit);
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
    const last = past.history.at(-1);
    const spoken = past.heard.length > 0 || past.unheard.length > 0;
    const lastIsAgents = last !== undefined && 'turn' in last && last.turn.role === 'agent';
    // Whoever is being connected, or comes back from it, is told of that first.
    const transferred = past.transfers.pending !== null || past.transfers.untold !== null;
    const unanswered = !spoken && last !== undefined && !lastIsAgents && !transferred;
    this.#owe(spoken && !past.written ? 'rest' : (past.owed ?? (unanswered ? 'whole' : null)));
    for (const act of past.acts) this.#later.add(act);
    // What comes back of the agent's last words is still its echo.
    const said = past.heard.at(-1)?.text ?? (lastIsAgents ? last.turn.text : '');
    this.#lastWords.were(said, this.#options.clock.now());
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
  #hearAgain({ call, history, callerAudio }: PastCall): void {
    const known = history.flatMap((entry) =>
      'turn' in entry && entry.turn.role === 'caller' ? [entry.turn.endMs] : [],
    );
    const fromSample = Math.round((Math.max(0, ...known) * call.sampleRate) / 1000);
    // As if it had come just now: nothing has stalled, and it was said before whatever is said next.
    const arrivedAt = this.#options.clock.now() - 1;
    for (const { samples, position } of callerAudio(fromSample)) {
      this.#listener.push(samples, position, arrivedAt);
    }
    this.#listener.lineLost();
  }

  suspend(): void {
    this.#suspended = true;
    // The silence of a dead line is nobody's.
    this.#silence.agentSpeaks();
    this.#lateTimer?.cancel();
    this.#resumeTimer?.cancel();
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
    if (this.#awaited > 0 && this.#reply === null) this.#holdLineIfLate(this.#options.clock.now());
  }

  transferFailed(fact: string): void {
    const line = failedLineOf(this.#options.agent);
    this.#owe(null);
    if (this.#hushed) return;
    if (line === '') {
      this.#toldOfProblem = false;
      this.#tellOf(fact);
    } else {
      this.#agent.note(fact);
      this.#speak(line, true);
    }
  }

  /** Written down: the object may be lost again before the caller hears of it. */
  #owe(owed: OwedAnswer | null): void {
    if (owed === this.#owed) return;
    this.#owed = owed;
    this.#options.events.emit({ type: 'agent.owes', owed });
  }

  /** A turn that was over, and whose answer was lost. */
  #answerUnanswered(): void {
    if (this.#owed === null || this.#suspended || this.#finished) return;
    if (this.#reply !== null || this.#callerPending || this.#callerTurn.open) return;
    const answer = this.#agent.answerAgain(this.#owed === 'rest' ? BROKEN_OFF : null);
    this.#answersOwed = true;
    this.#run(new LatencyLedger(), true, answer.speak, undefined, answer.thinking);
  }

  interrupt(): void {
    if (this.#reply?.interruptible !== true) return;
    this.#options.events.emit({ type: 'overlap', outcome: 'interrupted', because: 'speech', text: '' });
    this.#stopReply();
    // Nothing was said that would have to be answered.
    this.#silence.reset();
    this.#callerMayFinish();
  }

  hush(): void {
    if (this.#hushed) return;
    this.#hushed = true;
    this.#silence.stop();
    this.#lateTimer?.cancel();
    this.#later.forget();
    this.#owe(null);
    this.#stopReply();
    // What tools do goes on, as after an interruption: whoever turns out to be a person needs them again.
    this.#agent.heardNothing();
  }

  unhush(): void {
    if (!this.#hushed) return;
    this.#hushed = false;
    this.#stopReply();
    if (this.#record.lastIsCallers) this.#owe('whole');
    this.#callerMayFinish();
  }

  leave(text: string): void {
    this.hush();
    this.#run(
      new LatencyLedger(),
      false,
      (reply) => reply.speak(text),
      () => this.#hangUpHushed(),
    );
  }

  #hangUpHushed(): void {
    this.#options.leg.hangUp('answering machine');
  }

  async finish(timeoutMs: number): Promise<void> {
    this.#finished = true;
    this.#abort.abort();
    this.#sound.stop();
    this.#lateTimer?.cancel();
    const keys = this.#dtmf.take();
    if (keys !== '') this.#takeKeys(keys);
    this.#silence.stop();
    this.#callerTurn.hold();
    this.#stopReply();
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
    this.#lateTimer?.cancel();
    this.#callerTurn.hold();
    const awaited = this.#reply !== null || this.#callerTurn.open;
    this.#sound.begins(awaited, this.#reply?.interruptible === true ? () => this.#holdReply() : null);
  }

  utteranceEnded(utterance: Utterance): void {
    this.#awaited++;
    this.#options.events.emit({ type: 'caller.voice', speaking: false });
    this.#sound.ends();
    if (this.#finished) return;
    if (this.#reply === null) {
      this.#options.events.emit({ type: 'thinking', turn: this.#turns.nextId });
      this.#holdLineIfLate(utterance.decidedAt);
    } else {
      this.#resumeLater();
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
      if (this.#overlapOf(text, reply) === 'speech') this.#interrupt('speech', text);
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
    if (lost !== null) this.#fail(lost);
    const reply = this.#reply;
    if (text === '') {
      if (!this.#callerTurn.open) this.#agent.heardNothing();
      if (reply !== null) this.#resume('nothing', '');
      this.#callerMayFinish();
      return;
    }
    if (reply === null && this.#lastWords.areEchoedBy(text, utterance.startedAt)) {
      this.#callerMayFinish();
      return;
    }
    if (reply !== null) {
      // What was said before the reply, and understood only now, was not said over it.
      const before = utterance.lastVoicedAt < this.#replySince;
      const kind = before ? 'speech' : this.#overlapOf(text, reply);
      if (kind === 'speech' && reply.interruptible) {
        if (before && !this.#mayReopen(reply)) this.#stopReply();
        else this.#interrupt(kind, text);
      } else if (kind !== 'speech') {
        this.#resume(kind, text);
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
      this.#agent.heardSoFar(this.#callerTurn.textWith(''), !this.#callerPending);
    }
  }

  transcriptionFailed(_utterance: Utterance, error: ProviderError): void {
    this.#awaited--;
    this.#fail(error);
    const { apology } = this.#options.agent;
    if (this.#finished) return;
    if (this.#reply !== null) this.#resume('nothing', '');
    else if (apology !== '' && !this.#callerTurn.open && !this.#callerPending) this.#speak(apology, true);
    this.#callerMayFinish();
  }

  /** What the caller said. Its turn is the next one until that begins; what is told later was still for it. */
  usage(usage: Usage): void {
    // Whoever was given up has heard nothing.
    if (usage.audioSeconds !== undefined && usage.estimated === undefined) this.#heardBy.add(usage.provider);
    const { nextId } = this.#turns;
    const pending = this.#callerPending || this.#callerTurn.open;
    this.#options.events.emit({ type: 'usage', usage, turn: pending ? nextId : Math.max(0, nextId - 1) });
  }

  failedOver(error: ProviderError): void {
    this.#fail(error);
  }

  // --- turns ---------------------------------------------------------------------------------------------------

  /** Lets the caller's turn end, unless there is a reason to wait. */
  #callerMayFinish(): void {
    if (this.#finished || this.#callerPending || this.#dtmf.pending !== '') return;
    // A reply that was made while the caller spoke has waited for this.
    if (this.#reply !== null && this.#options.playout.held) this.#resume('nothing', '');
    // What was said over words that may not be interrupted is answered after them.
    if (this.#reply === null) this.#callerTurn.release();
    this.#answerUnanswered();
    this.#doLaterActs();
    this.#listenIfIdle();
  }

  /** What is to follow the agent's words, now that they were heard. */
  #doLaterActs(): void {
    if (this.#suspended || this.#finished || this.#owed !== null || this.#reply !== null) return;
    const problems = this.#later.do();
    // What could not be done is told, or the caller waits for it in vain.
    if (problems.length > 0 && !this.#finished) this.#tellOf(problems.join(' '));
  }

  #answer(turn: FinishedTurn): void {
    const { clock } = this.#options;
    this.#owe(null);
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
    this.#run(ledger, true, answer.speak, undefined, answer.thinking);
    this.#answerReply = this.#reply;
  }

  /** The caller learns that what the agent has announced cannot be done. */
  #tellOf(problem: string): void {
    // Once a turn of the caller's: what has failed again would be told again, and so on.
    if (this.#toldOfProblem) return;
    this.#toldOfProblem = true;
    const answer = this.#agent.answerAbout(problem);
    this.#run(new LatencyLedger(), true, answer.speak, undefined, answer.thinking);
  }

  /** An entry of keys is a turn of the caller's, in words that the language model understands. */
  #takeKeys(keys: string): void {
    const { clock, sampleRate, startTime } = this.#options;
    const now = clock.now();
    this.#agent.keysPressed(keys);
    const sample = Math.round(((now - startTime) * sampleRate) / 1000);
    const mayInterrupt = this.#reply === null || this.#reply.interruptible;
    // With what was said before it, it is one turn: "my pin is" and the keys.
    if (!mayInterrupt || this.#callerPending || this.#finished) this.#callerTurn.hold();
    this.#callerTurn.add(
      {
        number: -1,
        startSample: sample,
        endSample: sample,
        startedAt: now,
        lastVoicedAt: now,
        decidedAt: now,
        endedBy: 'keys',
      },
      spokenKeys(keys),
    );
    if (!mayInterrupt || this.#callerPending || this.#finished) return;
    this.#stopReply();
    this.#callerTurn.finish();
  }

  /** Says a fixed text. */
  #speak(text: string, interruptible: boolean, then?: () => void): void {
    if (this.#hushed) return;
    this.#run(new LatencyLedger(), interruptible, (reply) => reply.speak(text), then);
  }

  /** Begins a turn of the agent; `then` follows if it was heard to its end. */
  #run(
    ledger: LatencyLedger,
    interruptible: boolean,
    speak: (reply: Reply) => Promise<void>,
    then?: () => void,
    thinking?: Thinking,
  ): void {
    const { playout, clock, events } = this.#options;
    // Whatever was being said is recorded as far as it was heard.
    this.#stopReply();
    this.#silence.agentSpeaks();
    this.#lateTimer?.cancel();
    // The agent does not begin to speak over somebody who speaks.
    if (this.#suspended) playout.hold(true);
    else if (this.#sound.speaks && interruptible) playout.hold(this.#options.leg.canClear);
    playout.notBefore(ledger.at('speakFrom') ?? 0);
    const turn = this.#turns.begin(ledger);
    const reply = this.#agent.reply(turn, interruptible, thinking, {
      onSentence: (text) => {
        this.#sound.agentSpeaks();
        events.emit({ type: 'transcript', role: 'agent', turn: turn.id, text, final: false });
      },
      onPlanned: (text) => {
        events.emit({ type: 'agent.sentence', state: 'planned', text });
        if (this.#answersOwed) this.#owe(null);
      },
      onWritten: () => events.emit({ type: 'agent.sentence', state: 'written' }),
      onHeard: (sentence) => events.emit({ type: 'agent.sentence', state: 'heard', ...sentence }),
      onFirstAudio: () => {
        const parts = ledger.parts();
        if (parts !== null) events.emit({ type: 'latency', turn: turn.id, ...parts });
      },
    });
    this.#reply = reply;
    this.#replySince = clock.now();
    this.#watchdog.start(
      () => this.#callerPending || this.#suspended,
      () => this.#giveUpStuck(),
    );
    void speak(reply).then(() => {
      if (!this.#turns.isLive(turn)) return;
      this.#agent.record(reply, reply.spoken.cutShort);
      this.#endReply(reply);
      // Once the caller has heard the first of it: when the lines are needed, speech may be down.
      void this.#agent.prepare(this.#abort.signal);
      then?.();
      this.#doLaterActs();
      this.#callerMayFinish();
    });
  }

  /** Returns a call to listening whose reply is stuck. */
  #giveUpStuck(): void {
    this.#fail(new ProviderError('pipeline', 'timeout', `No progress for ${STUCK_MS} ms`));
    this.#stopReply();
    const { apology } = this.#options.agent;
    if (this.#hushed) this.#hangUpHushed();
    else if (apology !== '') this.#speak(apology, true);
    else this.#callerMayFinish();
  }

  #endReply(reply: Reply): void {
    this.#options.events.emit({ type: 'agent.sentence', state: 'over' });
    if (this.#answersOwed) this.#owe(null);
    this.#answersOwed = false;
    this.#watchdog.stop();
    this.#lastWords.were(reply.spoken.latest, this.#options.clock.now());
    this.#reply = null;
    this.#resumeTimer?.cancel();
    this.#resumeTimer = null;
    // A reply that ended while it was held leaves nothing behind: the next one must not be held in its place.
    if (!this.#options.playout.busy && !this.#suspended) this.#options.playout.resume();
  }

  /** Silences the agent for good. What the caller heard of it stands in the record. */
  #stopReply(): void {
    const reply = this.#reply;
    if (reply === null) return;
    const { playout, leg } = this.#options;
    const audible = playout.busy && !playout.held;
    this.#turns.cancel('the agent is to be silent');
    playout.clear(leg.canClear);
    if (audible) leg.clear();
    this.#agent.record(reply, true);
    // What an interrupted answer has announced is not done: the caller wants something else.
    this.#later.forget();
    this.#endReply(reply);
  }

  // --- the caller speaks over the agent ------------------------------------------------------------------------

  /** The agent falls silent at once, and keeps what was not heard until it is known what the caller says. */
  #holdReply(): void {
    const { playout, leg } = this.#options;
    if (this.#reply === null) return;
    this.#resumeTimer?.cancel();
    if (playout.held) return;
    playout.hold(leg.canClear);
    leg.clear();
  }

  /** If no words come of what the agent fell silent for, it goes on. */
  #resumeLater(): void {
    const { clock, agent } = this.#options;
    this.#resumeTimer?.cancel();
    this.#resumeTimer = clock.after(agent.interruption.resumeMs, () => this.#resume('nothing', ''));
  }

  #resume(because: OverlapKind | 'nothing', text: string): void {
    const { playout, events } = this.#options;
    this.#resumeTimer?.cancel();
    if (!playout.held || this.#sound.speaks || this.#suspended) return;
    events.emit({ type: 'overlap', outcome: 'resumed', because, text });
    playout.resume();
  }

  #interrupt(because: OverlapKind, text: string): void {
    const { events } = this.#options;
    this.#holdReply();
    if (this.#reply !== null && this.#mayReopen(this.#reply) && this.#callerTurn.reopen()) {
      events.emit({ type: 'turn.reopened' });
    } else {
      events.emit({ type: 'overlap', outcome: 'interrupted', because, text });
    }
    this.#stopReply();
    events.emit({ type: 'thinking', turn: this.#turns.nextId });
  }

  /** Whether `reply` answers the caller's last turn, and he has heard no word of it: what he says now belongs to that turn. */
  #mayReopen(reply: Reply): boolean {
    const { spoken } = reply;
    const unheard = spoken.heard === null && (this.#options.leg.canClear || !spoken.begun);
    return reply === this.#answerReply && unheard && this.#record.lastIsCallers;
  }

  /** What words mean that come over `reply`. To one who is asked whether he is there, every word is an answer. */
  #overlapOf(text: string, reply: Reply): OverlapKind {
    const kind = overlapKind(text, reply.spoken.latest);
    // Nobody says "uh-huh" to what he has not heard.
    const isAnswer = reply === this.#silenceReply || this.#mayReopen(reply);
    return kind === 'backchannel' && isAnswer ? 'speech' : kind;
  }

  /** The caller speaks, or it is not yet known what was said. */
  get #callerPending(): boolean {
    return this.#sound.speaks || this.#awaited > 0;
  }

  /** Nothing is known of what the caller said, for too long: the line is not left dead. */
  #holdLineIfLate(since: number, waitMs = this.#options.agent.silence.holdLineMs): void {
    const { clock, agent } = this.#options;
    const { holdLine } = agent.silence;
    this.#lateTimer?.cancel();
    if (holdLine === '' || this.#suspended) return;
    this.#lateTimer = clock.after(since + waitMs - clock.now(), () => {
      if (this.#reply !== null || this.#awaited === 0 || this.#sound.speaks) return;
      // Each further line comes after twice the silence.
      this.#speak(holdLine, true, () => this.#awaited > 0 && this.#holdLineIfLate(clock.now(), waitMs * 2));
    });
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
    if (this.#reply !== null || this.#callerPending || this.#callerTurn.open) return;
    this.#options.events.emit({ type: 'listening' });
    this.#silence.start();
  }

  #fail(error: ProviderError): void {
    // A provider that is left alone after a failure is passed over, sentence after sentence, because of that one.
    const failure = error.cause instanceof ProviderError ? error.cause : error;
    if (this.#told.has(failure)) return;
    this.#told.add(failure);
    this.#options.events.emit(providerFailure(error));
  }
}
