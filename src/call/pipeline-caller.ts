import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import type { ProviderError, Usage } from '../providers/ports.ts';
import type { Agent } from './agent.ts';
import type { AgentConfig } from './agent-config.ts';
import { BargeIn } from './barge-in.ts';
import { CallerSound } from './caller-sound.ts';
import { CallerTurn, type FinishedTurn, utteranceOfKeys } from './caller-turn.ts';
import type { Clock } from './clock.ts';
import { DtmfCollector, spokenKeys } from './dtmf.ts';
import type { EngineLeg } from './engine.ts';
import type { CallEvents } from './events.ts';
import { LastWords } from './last-words.ts';
import { LateLine } from './late-line.ts';
import { LatencyLedger } from './latency.ts';
import { Listener, type ListenerHandler, type Utterance } from './listener.ts';
import { isTooEarly } from './overlap.ts';
import { type PastCall, unrecordedAudio } from './past-call.ts';
import type { Playout } from './playout.ts';
import type { ProviderFailures } from './provider-failure.ts';
import type { Replies } from './replies.ts';
import type { Reply } from './reply.ts';
import type { SilenceWatch } from './silence-watch.ts';
import type { Turns } from './turn.ts';
import { TurnEnd } from './turn-end.ts';
import type { TurnRecord } from './turn-record.ts';

/** What follows of what the caller does. */
export interface PipelineCallerHandler {
  /** The call is over: what is still understood is written down, and nothing follows. */
  isOver(): boolean;
  /** The line is down. */
  isSuspended(): boolean;
  /** Nobody listens: nothing is answered. */
  isHushed(): boolean;
  /** Something is known of what the caller said, or that it was nothing: his turn may be over. */
  mayFinish(): void;
  /** His turn is over, and to be answered. */
  turnIsOver(turn: FinishedTurn): void;
  /** The language of the fixed lines is another one now. */
  languageChanged(): void;
  /** Says a fixed text that may be interrupted; `afterwards` follows if it was heard to its end. */
  say(text: string, afterwards?: () => void): void;
}

export interface PipelineCallerOptions {
  clock: Clock;
  events: CallEvents;
  config: AgentConfig;
  sampleRate: 8000 | 16000;
  /** Sample 0 of the recording, in milliseconds since the epoch. */
  startTime: number;
  detector: VoiceActivityDetector;
  playout: Playout;
  leg: EngineLeg;
  turns: Turns;
  record: TurnRecord;
  agent: Agent;
  replies: Replies;
  silence: SilenceWatch;
  failures: ProviderFailures;
  handler: PipelineCallerHandler;
}

/**
 * The caller's side of a conversation in turns: his utterances and their transcripts, the keys that he presses, the turn that comes of them, and
 * what becomes of a reply over which he speaks.
 */
export class PipelineCaller implements ListenerHandler {
  /** Takes the caller's audio. */
  readonly listener: Listener;
  readonly #options: PipelineCallerOptions;
  readonly #turn: CallerTurn;
  readonly #sound: CallerSound;
  readonly #bargeIn: BargeIn;
  readonly #lateLine: LateLine;
  readonly #dtmf: DtmfCollector;
  readonly #lastWords = new LastWords();
  /** Utterances that are over and not yet transcribed. */
  #awaited = 0;
  /** Who has transcribed since his last turn. */
  readonly #heardBy = new Set<string>();

  constructor(options: PipelineCallerOptions) {
    this.#options = options;
    const { clock, config, agent, detector, sampleRate, handler } = options;
    const { endpointing, language, keywords, interruption } = config;
    this.listener = new Listener({
      ...{ clock, sampleRate, endpointing, language, keywords, detector },
      speechToText: agent.speechToText,
      handler: this,
    });
    this.#turn = new CallerTurn({
      clock,
      end: new TurnEnd(endpointing),
      language,
      onFinished: (turn) => handler.turnIsOver(turn),
    });
    this.#sound = new CallerSound({
      clock,
      options: interruption,
      audible: () => this.listener.speaking,
      onIgnored: (hadWords) => {
        // What was said before the noise is a turn, although the noise goes on.
        if (hadWords) this.listener.lineLost();
        this.#bargeIn.resume('nothing', '');
        handler.mayFinish();
      },
    });
    this.#bargeIn = new BargeIn({
      ...options,
      callerTurn: this.#turn,
      resumeMs: interruption.resumeMs,
      callerSpeaks: () => this.#sound.speaks,
      isSuspended: () => handler.isSuspended(),
    });
    this.#lateLine = new LateLine({
      clock,
      options: config.silence,
      isSuspended: () => handler.isSuspended(),
      isAwaited: () => this.#awaited > 0,
      isQuiet: () => this.#reply === null && !this.#sound.speaks,
      say: (text, afterwards) => handler.say(text, afterwards),
    });
    this.#dtmf = new DtmfCollector(clock, config.dtmf, (keys) => this.#takeKeys(keys));
  }

  /** What is being said to him, or being made to be said. */
  get #reply(): Reply | null {
    return this.#options.replies.current;
  }

  /** He speaks, as far as can be told from the sound. */
  get speaks(): boolean {
    return this.#sound.speaks;
  }

  /** He speaks, or it is not yet known what was said. */
  get pending(): boolean {
    return this.#sound.speaks || this.#awaited > 0;
  }

  /** Something was said that has not become a turn. */
  get turnOpen(): boolean {
    return this.#turn.open;
  }

  /** He has begun an entry of keys. */
  get pressesKeys(): boolean {
    return this.#dtmf.pending !== '';
  }

  // --- ListenerHandler -------------------------------------------------------------------------------------------

  speechStarted(): void {
    const { events, silence } = this.#options;
    events.emit({ type: 'caller.voice', speaking: true });
    silence.suspend();
    this.#lateLine.cancel();
    this.#turn.hold();
    const awaited = this.#reply !== null || this.#turn.open;
    this.#sound.begins(awaited, this.#reply?.interruptible === true ? () => this.#bargeIn.hold() : null);
  }

  utteranceEnded(utterance: Utterance): void {
    const { events, turns, handler } = this.#options;
    this.#awaited++;
    events.emit({ type: 'caller.voice', speaking: false });
    this.#sound.ends();
    if (handler.isOver()) return;
    if (this.#reply === null) {
      events.emit({ type: 'thinking', turn: turns.nextId });
      this.#lateLine.await(utterance.decidedAt);
    } else {
      this.#bargeIn.resumeLater();
    }
  }

  interim(text: string, stable: boolean): void {
    const { events, turns } = this.#options;
    events.emit({ type: 'transcript', role: 'caller', turn: turns.nextId, text, final: false });
    if (text === '') return;
    this.#sound.hasWords();
    // Words that are no backchannel interrupt before the caller has finished.
    const reply = this.#reply;
    // What comes of an utterance that is over was said before the reply, or is judged with its final text.
    if (reply?.interruptible === true && this.listener.speaking && !isTooEarly(text, reply.spoken.latest)) {
      if (this.#bargeIn.overlapOf(text, reply) === 'speech') this.#bargeIn.interrupt('speech', text);
    }
    this.#thinkAhead(text, stable);
  }

  turnJudgedOver(number: number): void {
    this.#turn.judgedOver(number);
  }

  languageHeard(language: string): void {
    this.#options.agent.languageHeard(language);
    this.#options.handler.languageChanged();
  }

  transcribed(utterance: Utterance, text: string, lost: ProviderError | null): void {
    const { agent, replies, failures, handler } = this.#options;
    this.#awaited--;
    if (lost !== null) failures.tell(lost);
    const reply = this.#reply;
    if (text === '') {
      if (!this.#turn.open) agent.heardNothing();
      if (reply !== null) this.#bargeIn.resume('nothing', '');
      handler.mayFinish();
      return;
    }
    if (reply === null && this.#lastWords.areEchoedBy(text, utterance.startedAt)) {
      handler.mayFinish();
      return;
    }
    if (reply !== null) {
      // What was said before the reply, and understood only now, was not said over it.
      const before = utterance.lastVoicedAt < replies.since;
      const kind = before ? 'speech' : this.#bargeIn.overlapOf(text, reply);
      if (kind === 'speech' && reply.interruptible) {
        if (before && !this.#bargeIn.mayReopen(reply)) replies.stop();
        else this.#bargeIn.interrupt(kind, text);
      } else if (kind !== 'speech') {
        this.#bargeIn.resume(kind, text);
        // An echo is nothing that the caller said.
        if (kind === 'backchannel') this.#recordWords(utterance, text);
        handler.mayFinish();
        return;
      }
    }
    this.#turn.add(utterance, text);
    handler.mayFinish();
    // More of the turn is waited for.
    if (this.#turn.open) this.#thinkAhead('', !this.pending);
  }

  transcriptionFailed(_utterance: Utterance, error: ProviderError): void {
    const { config, failures, handler } = this.#options;
    this.#awaited--;
    failures.tell(error);
    if (handler.isOver()) return;
    if (this.#reply !== null) this.#bargeIn.resume('nothing', '');
    else if (config.apology !== '' && !this.#turn.open && !this.pending) handler.say(config.apology);
    handler.mayFinish();
  }

  /** What he said. Its turn is the next one until that begins; what is told later was still for it. */
  usage(usage: Usage): void {
    // Whoever was given up has heard nothing.
    if (usage.audioSeconds !== undefined && usage.estimated === undefined) this.#heardBy.add(usage.provider);
    const { events, turns } = this.#options;
    const { nextId } = turns;
    const pending = this.pending || this.#turn.open;
    events.emit({ type: 'usage', usage, turn: pending ? nextId : Math.max(0, nextId - 1) });
  }

  failedOver(error: ProviderError): void {
    this.#options.failures.tell(error);
  }

  /** The answer to what was said so far is begun. @param more what is being said, and in no transcript yet. */
  #thinkAhead(more: string, mayBeOver: boolean): void {
    const { agent, handler } = this.#options;
    if (this.#reply !== null || handler.isOver() || handler.isHushed()) return;
    agent.heardSoFar(this.#turn.textWith(more), mayBeOver);
  }

  // --- his turn --------------------------------------------------------------------------------------------------

  /** He presses a key. */
  presses(digit: string): void {
    this.#options.silence.reset();
    // Keys are no backchannel: who presses them has heard enough.
    if (this.#reply?.interruptible === true) this.#bargeIn.interrupt('speech', digit);
    // With what was said before them the keys are one turn.
    this.#turn.hold();
    this.#dtmf.press(digit);
  }

  /** An entry of keys is a turn of his, in words that the language model understands. */
  #takeKeys(keys: string): void {
    const { clock, sampleRate, startTime, agent, replies, handler } = this.#options;
    const now = clock.now();
    agent.keysPressed(keys);
    const sample = Math.round(((now - startTime) * sampleRate) / 1000);
    const mayInterrupt = this.#reply === null || this.#reply.interruptible;
    const waits = () => !mayInterrupt || this.pending || handler.isOver();
    // With what was said before it, it is one turn: "my pin is" and the keys.
    if (waits()) this.#turn.hold();
    this.#turn.add(utteranceOfKeys(now, sample), spokenKeys(keys));
    if (waits()) return;
    replies.stop();
    this.#turn.finish();
  }

  /** Nothing is in the way of his turn's end any more, but a reply that may not be interrupted. */
  release(): void {
    // A reply that was made while the caller spoke has waited for this.
    if (this.#reply !== null && this.#options.playout.held) this.#bargeIn.resume('nothing', '');
    // What was said over words that may not be interrupted is answered after them.
    if (this.#reply === null) this.#turn.release();
  }

  /** Writes a turn down. */
  record(turn: FinishedTurn): void {
    const { silence, record, turns } = this.#options;
    if (turn.added === null) {
      this.#recordWords(turn, turn.text);
      return;
    }
    silence.reset();
    record.callerWentOn(turns.nextId, turn, turn.text, turn.added);
  }

  #recordWords(span: { startSample: number; endSample: number }, text: string): void {
    const { silence, record, turns } = this.#options;
    silence.reset();
    record.caller(turns.nextId, span, text);
  }

  /** Where the latency of a turn's answer is counted. */
  ledgerOf(turn: FinishedTurn): LatencyLedger {
    const ledger = new LatencyLedger();
    ledger.mark('lastVoiced', turn.lastVoicedAt);
    ledger.mark('decided', turn.decidedAt);
    ledger.mark('transcript', this.#options.clock.now());
    ledger.mark('speakFrom', turn.speakFrom);
    for (const provider of this.#heardBy) ledger.served(provider);
    this.#heardBy.clear();
    return ledger;
  }

  // --- the agent -------------------------------------------------------------------------------------------------

  /** Something is being said to him, or nothing is to be: no line has to say that it is late. */
  stopWaiting(): void {
    this.#lateLine.cancel();
  }

  /** The first audio of a sentence of the agent's goes out. */
  agentAudible(): void {
    this.#sound.agentSpeaks();
  }

  /** What comes back of these words is the agent's echo. */
  agentSaid(text: string): void {
    this.#lastWords.were(text, this.#options.clock.now());
  }

  /** The agent says nothing any more. @param said the words that were heard last, or were still to be. */
  agentRests(said: string): void {
    this.agentSaid(said);
    this.#bargeIn.rests();
  }

  // --- the line --------------------------------------------------------------------------------------------------

  /** What he said, and nobody wrote down, is in the recording. */
  hearAgain(past: PastCall): void {
    // As if it had come just now: nothing has stalled, and it was said before whatever is said next.
    const arrivedAt = this.#options.clock.now() - 1;
    for (const { samples, position } of unrecordedAudio(past)) {
      this.listener.push(samples, position, arrivedAt);
    }
    this.listener.lineLost();
  }

  /** Keys of an entry that was not over. */
  recallKeys(keys: string): void {
    if (keys !== '') this.#turn.hold();
    this.#dtmf.recall(keys);
  }

  /** The line is down. */
  suspend(): void {
    this.#lateLine.cancel();
    this.#bargeIn.suspend();
    this.#dtmf.suspend();
    this.listener.lineLost();
  }

  /** It is back. */
  resume(): void {
    this.#dtmf.resume();
  }

  /** A transcript may still be late. */
  awaitTranscript(): void {
    if (this.#awaited > 0 && this.#reply === null) this.#lateLine.await(this.#options.clock.now());
  }

  /** The call is over: what he has said, and what is still understood of it, waits to be written down. */
  stop(): void {
    this.#sound.stop();
    this.#lateLine.cancel();
    const keys = this.#dtmf.take();
    if (keys !== '') this.#takeKeys(keys);
    this.#turn.hold();
  }

  /** Writes down what has become no turn. */
  recordRest(): void {
    const turn = this.#turn.take();
    if (turn !== null) this.record(turn);
  }
}
