import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import type { AgentConfig } from './agent-config.ts';
import { AnswerWait } from './answer-wait.ts';
import { CallerEar, type CallerEarHandler } from './caller-ear.ts';
import { CallerSound } from './caller-sound.ts';
import { CallerTranscript } from './caller-transcript.ts';
import type { Clock } from './clock.ts';
import type { TextFragment } from './duplex-speech.ts';
import type { DuplexVoice } from './duplex-voice.ts';
import type { EngineLeg } from './engine.ts';
import type { CallEvents } from './events.ts';
import type { LatencyLedger } from './latency.ts';
import type { OverlapKind } from './overlap.ts';
import type { Playout } from './playout.ts';
import { TalkOver } from './talk-over.ts';
import type { TurnRecord } from './turn-record.ts';

/** What follows of what the caller does. */
export interface DuplexCallerHandler {
  /** The conversation is over: nothing follows any more. */
  isOver(): boolean;
  /** The caller begins to speak, or goes on after a short pause. */
  voiceBegins(): void;
  /** Words of the caller's were understood. */
  wordsHeard(): void;
  /** The caller has been silent for so long that a turn is over. */
  turnIsOver(at: number): void;
  /** It was written down, or came to nothing. */
  turnIsClosed(words: boolean): void;
  /** The caller wants to speak, and the agent does. */
  interrupts(because: OverlapKind, text: string): void;
}

export interface DuplexCallerOptions {
  clock: Clock;
  events: CallEvents;
  agent: Pick<AgentConfig, 'endpointing' | 'interruption'>;
  sampleRate: 8000 | 16000;
  /** Sample 0 of the recording, in milliseconds since the epoch. */
  startTime: number;
  detector: VoiceActivityDetector;
  playout: Playout;
  leg: EngineLeg;
  record: TurnRecord;
  /** What the agent says. */
  voice(): DuplexVoice;
  handler: DuplexCallerHandler;
}

/**
 * The caller's side of a conversation with a model that listens and speaks at the same time: when he speaks and when his turn is over, by
 * his voice; what he says, by the model's transcript; and what becomes of the agent's words over which he says it.
 */
export class DuplexCaller implements CallerEarHandler {
  /** Takes the caller's audio. */
  readonly ear: CallerEar;
  readonly #options: DuplexCallerOptions;
  readonly #sound: CallerSound;
  readonly #transcript: CallerTranscript;
  readonly #talkOver: TalkOver;
  readonly #wait = new AnswerWait();

  constructor(options: DuplexCallerOptions) {
    this.#options = options;
    const { clock, events, agent, playout, leg, handler } = options;
    this.ear = new CallerEar({ ...options, endpointing: agent.endpointing, handler: this });
    this.#sound = new CallerSound({
      clock,
      options: agent.interruption,
      audible: () => this.ear.speaking,
      onIgnored: () => this.#talkOver.resume('nothing', ''),
    });
    this.#transcript = new CallerTranscript({
      ...options,
      answeringTurn: () => this.answeringTurn,
      voice: () => (this.ear.speaking ? { from: this.ear.voicedFrom, until: this.ear.voicedUntil } : null),
      onClosed: (words) => handler.turnIsClosed(words),
    });
    this.#talkOver = new TalkOver({
      clock,
      events,
      playout,
      leg,
      options: agent.interruption,
      callerSpeaks: () => this.#sound.speaks,
      agentTalk: () => options.voice().interruptible,
      onInterrupt: (because, text) => handler.interrupts(because, text),
      onEcho: (text) => this.#transcript.withdraw(text),
    });
  }

  /** There is a voice, and it is not known to be a mere noise. */
  get speaks(): boolean {
    return this.#sound.speaks;
  }

  /** What was said of a turn that is not written down. */
  get text(): string {
    return this.#transcript.text;
  }

  /** The turn seems to be over, and its last words are waited for. */
  get settling(): boolean {
    return this.#transcript.settling;
  }

  /** His turn is over, and was not gone on with. */
  get waits(): boolean {
    return this.#wait.decidedAt !== null;
  }

  /** The turn that answers what the caller says, or has said last. */
  get answeringTurn(): number {
    const { speech, turns } = this.#options.voice();
    return (this.#transcript.settling ? speech?.turn.id : undefined) ?? turns.nextId;
  }

  // --- CallerEarHandler ------------------------------------------------------------------------------------------

  voiceStarted(): void {
    const voice = this.#options.voice();
    this.#options.handler.voiceBegins();
    // What comes after the answer has begun is another turn.
    if (this.#transcript.settling && voice.speech !== null) this.#transcript.close();
    this.#transcript.unsettle();
    this.#wait.callerSpeaks();
    // What is left of it is quiet.
    voice.endQuietSpeech();
    const over = this.#talkOver.begins(voice.lineMs);
    this.#sound.begins(over || this.#transcript.text !== '', over ? () => this.#talkOver.hold() : null);
  }

  voicePaused(): void {
    this.#transcript.voiced({ from: this.ear.voicedFrom, until: this.ear.voicedUntil });
    this.#sound.ends();
    this.#talkOver.pauses();
  }

  turnSilence(): void {
    const now = this.#options.clock.now();
    this.#wait.turnOver(now);
    this.#options.handler.turnIsOver(now);
    this.#transcript.settle();
  }

  // --- his words -------------------------------------------------------------------------------------------------

  /** Words that the model has understood, some time after they were said. */
  hears({ text, untilMs }: TextFragment): void {
    const { clock, voice, handler } = this.#options;
    // Late words of a turn whose answer has begun.
    const late = this.#transcript.settling && voice().speech !== null;
    this.#transcript.add(text);
    if (text.trim() === '' || handler.isOver()) return;
    this.#sound.hasWords();
    handler.wordsHeard();
    if (!late) this.#wait.said(this.ear.lastVoicedAt || clock.now());
    this.#talkOver.hears(text, untilMs);
    if (!this.ear.speaking) this.#transcript.settle();
  }

  /** An entry of keys is a turn of his. */
  presses(keys: string): void {
    this.#transcript.keys(keys);
    if (!this.#options.handler.isOver()) this.#wait.pressed(this.#options.clock.now());
  }

  /** Writes down what was said so far. */
  close(): void {
    this.#transcript.close();
  }

  // --- the agent -------------------------------------------------------------------------------------------------

  /** The model begins to speak: what is known of the wait for it; null where it answers nothing. */
  answered(): LatencyLedger | null {
    // A sound that the model makes while the caller speaks is no answer.
    if (this.ear.speaking) return null;
    const ledger = this.#wait.answered(this.#options.clock.now(), this.ear.lastVoicedAt);
    if (ledger !== null) this.#transcript.settle();
    return ledger;
  }

  /** What this turn of the agent's answers is written down now. */
  answeredBy(turn: number): void {
    if (this.#transcript.settling) this.#transcript.close(turn);
  }

  /** The first audio of something of the agent's goes out. */
  agentAudible(): void {
    this.#sound.agentSpeaks();
  }

  /** The agent was silenced in the middle of something. */
  agentSilenced(): void {
    this.#talkOver.stop();
  }

  /** The agent says nothing any more. @param said the words that were heard last, or were still to be. */
  agentRests(said: string): void {
    this.#transcript.agentSaid(said);
    this.#talkOver.rests();
  }

  // --- the line --------------------------------------------------------------------------------------------------

  /** The line is down: what was sent and cannot have been heard is heard later. */
  suspend(): void {
    this.#talkOver.suspend();
  }

  /** The line is back. */
  restore(): void {
    this.#talkOver.restore();
  }

  /** The conversation is over. */
  stop(): void {
    this.#sound.stop();
    this.ear.close();
    this.#talkOver.stop();
  }
}
