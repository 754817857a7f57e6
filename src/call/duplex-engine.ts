import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import type { Duplex, DuplexEvent, DuplexSession } from '../providers/duplex.ts';
import { ProviderError, type TextToSpeechRequest } from '../providers/ports.ts';
import type { Providers } from '../providers/registry.ts';
import type { AgentOptions, CallTools } from './agent.ts';
import { AgentSpeech } from './agent-speech.ts';
import type { Afterwards } from './answer-writer.ts';
import { CallerEar, type CallerEarHandler } from './caller-ear.ts';
import { CallerSound } from './caller-sound.ts';
import { CallerWords } from './caller-words.ts';
import type { Timer } from './clock.ts';
import { Delegations } from './delegations.ts';
import { DtmfCollector, spokenKeys } from './dtmf.ts';
import { delegatedPrompt, duplexInstructions, internalNote } from './duplex-prompts.ts';
import { DuplexSpeech, type TextFragment } from './duplex-speech.ts';
import type { Engine } from './engine.ts';
import type { FailureCode } from './events.ts';
import { LatencyLedger } from './latency.ts';
import { tierFor } from './model-rule.ts';
import { type OverlapKind, overlapKind } from './overlap.ts';
import type { PipelineLeg } from './pipeline.ts';
import { Reply } from './reply.ts';
import { ReplyWatchdog, STUCK_MS } from './reply-watchdog.ts';
import { SilenceWatch } from './silence-watch.ts';
import { type SpokenAudio, SpeechGate } from './speech-gate.ts';
import { Turns } from './turn.ts';
import { TurnRecord } from './turn-record.ts';

export interface DuplexEngineOptions extends Omit<AgentOptions, 'record' | 'onUsage' | 'onFailure' | 'providers'> {
  duplex: Duplex;
  /** Speaks the agent's fixed lines, and does what the duplex model delegates. */
  providers: Pick<Providers, 'languageModel' | 'textToSpeech'>;
  detector: VoiceActivityDetector;
  /** Sample 0 of the recording, in milliseconds since the epoch. */
  startTime: number;
  leg: PipelineLeg;
  /**
   * Makes the engine that goes on with the call where the model is lost for good. It is begun at once: what it says first takes the
   * place of the apology. `record` holds the conversation so far, and numbers its turns. Absent: the agent apologises and the call ends.
   */
  fallback?(record: TurnRecord): Engine;
}

/** The caller's words come some time after the voice: a turn is written down so long after it seems to be over. */
const SETTLE_MS = 1_000;
/** What is done after a speech is done without it, if none comes. */
const AFTERWARDS_MS = 10_000;
/** The model's speech that waits for a line of the call's own, in samples of its line: 15 s. */
const MOST_WAITING_MS = 15_000;
/** Words that are not placed yet. */
const MOST_FRAGMENTS = 200;
/** Words said over the agent are known by their place; no vendor promises to the millisecond. */
const MISALIGNED_MS = 500;

/**
 * A call held by one model that listens and speaks at the same time. The model decides when to speak and when to stop, so this engine
 * does not take turns: it plays what the model says, and writes down who said what.
 *
 * - **Turns.** A speech of the model is a turn of the agent's: until its audio is heard and some quiet has followed. The caller's turn is
 *   what was said until the agent answers, or until the end-of-turn silence; its words follow within a second.
 * - **Barge-in.** The call's own voice activity silences the agent at once, as in the pipeline; the caller's words decide whether it goes
 *   on, or what it had left to say is thrown away. The record holds what was heard. What the model itself believes it has said
 *   cannot be truncated: no duplex API has that. It hears the caller as well and stops by itself; what was heard is told it in a note.
 * - **Fixed lines** (the greeting, the question to a silent caller, the goodbye, the hold line, the apology) are spoken by
 *   text-to-speech, word for word, as ready audio where there is some, also before the model has a session. The price is that they are in
 *   the text-to-speech provider's voice: configure the same one for both. A model asked to greet would choose its own words.
 * - **Latency.** Nobody but the model knows when it decided that the caller's turn was over. Up to the call's own end-of-turn
 *   silence, or the first audio where that came before, the wait counts as endpoint wait; the rest is the provider's.
 * - **Tools** are used by the call's language model, to which the model delegates; see {@link Delegations}.
 * - **The hold line** is said only where it is known that something is missing: a session, or the result of a delegation. A model
 *   that is silent may have reason to be.
 */
export class DuplexEngine implements Engine, CallerEarHandler {
  readonly #options: DuplexEngineOptions;
  readonly #record: TurnRecord;
  readonly #turns = new Turns();
  readonly #ear: CallerEar;
  readonly #sound: CallerSound;
  readonly #words = new CallerWords();
  readonly #gate: SpeechGate;
  readonly #speech: AgentSpeech;
  readonly #tools: CallTools | null;
  readonly #delegations: Delegations;
  readonly #silence: SilenceWatch;
  readonly #dtmf: DtmfCollector;
  readonly #watchdog: ReplyWatchdog;
  readonly #abort = new AbortController();
  #session: DuplexSession | null = null;
  #over: Promise<void> = Promise.resolve();
  #sessions = 0;
  /** The model has a session. */
  #connected = false;
  /** What the agent says: the model, or a fixed line. Never both. */
  #talk: DuplexSpeech | null = null;
  #line: Reply | null = null;
  /** The question to a silent caller: every word is an answer to it. */
  #silenceLine: Reply | null = null;
  #holdLine: Reply | null = null;
  /** What the model says while a fixed line is being said. */
  #waiting: SpokenAudio[] = [];
  #speeches = 0;
  /** Words of the model that belong to no speech yet. */
  #fragments: TextFragment[] = [];
  /** How far the model's line has come. */
  #lineMs = 0;
  /** What the caller says over the agent, and from where on. */
  #overlap: { text: string; fromMs: number } | null = null;
  /** When the caller's turn was over by the silence after it; null while it goes on. */
  #decidedAt: number | null = null;
  /** When the caller said something that the agent has not answered. */
  #unanswered: number | null = null;
  #settleTimer: Timer | null = null;
  #resumeTimer: Timer | null = null;
  #lateTimer: Timer | null = null;
  #afterwards: { acts: readonly Afterwards[]; after: number; timer: Timer } | null = null;
  #other: Engine | null = null;
  #finished = false;

  constructor(options: DuplexEngineOptions) {
    this.#options = options;
    const { clock, agent, providers, events, sampleRate } = options;
    this.#record = new TurnRecord(options);
    this.#gate = new SpeechGate({ sampleRate });
    this.#ear = new CallerEar({
      clock,
      sampleRate,
      endpointing: agent.endpointing,
      detector: options.detector,
      handler: this,
    });
    this.#sound = new CallerSound({
      clock,
      options: agent.interruption,
      audible: () => this.#ear.speaking,
      onIgnored: () => this.#resume('nothing', ''),
    });
    this.#speech = new AgentSpeech({
      agent,
      textToSpeech: providers.textToSpeech,
      cache: options.speechCache,
      onLookup: (hit) => events.emit({ type: 'cache', hit }),
    });
    this.#tools = options.createTools((run) => this.#record.tool(run));
    this.#delegations = new Delegations({
      clock,
      languageModel: providers.languageModel,
      tools: this.#tools,
      request: () => {
        const messages = this.#messages(delegatedPrompt(agent));
        return { messages, maxOutputTokens: agent.maxOutputTokens, tier: tierFor(agent.model, messages) };
      },
      answer: (delegation, text) => this.#session?.answer(delegation, text),
      onAfterwards: (acts) => this.#doAfterwards(acts),
      onDone: () => this.#listenIfIdle(),
      onUsage: (usage) => events.emit({ type: 'usage', usage }),
      onFailure: (error) => this.#tell(error),
    });
    this.#watchdog = new ReplyWatchdog(clock, options.playout);
    this.#dtmf = new DtmfCollector(clock, agent.dtmf, (keys) => this.#takeKeys(keys));
    this.#silence = new SilenceWatch({
      clock,
      options: agent.silence,
      say: (text, then) => {
        this.#say(text, true, then);
        this.#silenceLine = this.#line;
      },
      hangUp: () => {
        // Somebody is there after all.
        if (this.#ear.speaking || this.#words.text !== '') this.#silence.reset();
        else options.leg.hangUp('caller silent');
      },
    });
  }

  begin(): void {
    const { duplex, agent, providers, sampleRate } = this.#options;
    for (const provider of [duplex, providers.languageModel, providers.textToSpeech]) provider.warm?.();
    this.#session = duplex.open({
      sampleRate,
      voice: agent.voice,
      instructions: duplexInstructions(agent, this.#tools?.definitions ?? []),
      history: () => this.#messages(''),
      signal: this.#abort.signal,
    });
    this.#over = this.#listen(this.#session);
    if (agent.greeting === '') this.#listenIfIdle();
    else this.#say(agent.greeting, agent.interruption.greeting);
  }

  audio(samples: Int16Array, position: number, arrivedAt: number): void {
    if (this.#other !== null) {
      this.#other.audio(samples, position, arrivedAt);
    } else if (!this.#finished) {
      this.#session?.push(samples);
      this.#ear.push(samples, position, arrivedAt);
    }
  }

  dtmf(digit: string): void {
    if (this.#other !== null) {
      this.#other.dtmf(digit);
      return;
    }
    this.#silence.reset();
    // Keys are no backchannel: who presses them has heard enough.
    if (this.#interruptible) this.#interrupt('speech', digit);
    this.#dtmf.press(digit);
  }

  async finish(timeoutMs: number): Promise<void> {
    if (this.#other !== null) {
      await this.#other.finish(timeoutMs);
      return;
    }
    this.#finished = true;
    this.#stop();
    const session = this.#session;
    if (session !== null) {
      session.end();
      await this.#within(timeoutMs, this.#over);
    }
    this.#closeCaller();
    this.#abort.abort();
    const { duplex, providers } = this.#options;
    for (const provider of [duplex, providers.languageModel, providers.textToSpeech]) provider.close?.();
  }

  // --- CallerEarHandler: the caller ------------------------------------------------------------------------------

  voiceStarted(): void {
    this.#silence.suspend();
    this.#lateTimer?.cancel();
    this.#settleTimer?.cancel();
    this.#settleTimer = null;
    this.#decidedAt = null;
    // What is left of it is quiet.
    if (this.#talk?.audible === false) this.#endTalk(false);
    const over = this.#interruptible;
    this.#overlap = over ? { text: '', fromMs: this.#lineMs } : null;
    this.#sound.begins(over || this.#words.text !== '', over ? () => this.#hold() : null);
  }

  voicePaused(): void {
    this.#words.voiced(this.#ear.voicedFrom, this.#ear.voicedUntil);
    this.#sound.ends();
    this.#judge();
    if (this.#options.playout.held) this.#resumeLater();
  }

  turnSilence(): void {
    const { clock, events } = this.#options;
    this.#decidedAt = clock.now();
    if (this.#line === null && this.#talk === null) {
      events.emit({ type: 'thinking', turn: this.#turns.nextId });
      this.#holdLineIfMissing();
    }
    this.#settle();
  }

  // --- the model -------------------------------------------------------------------------------------------------

  async #listen(session: DuplexSession): Promise<void> {
    try {
      for await (const event of session.events) this.#take(event);
      if (!this.#finished) this.#lose(new ProviderError('duplex', 'unavailable', 'The session ended'));
    } catch (error) {
      const lost =
        error instanceof ProviderError
          ? error
          : new ProviderError('duplex', 'malformed', 'The session failed', { cause: error });
      if (!this.#finished) this.#lose(lost);
    }
  }

  #take(event: DuplexEvent): void {
    const { events } = this.#options;
    switch (event.type) {
      case 'usage':
        events.emit({ type: 'usage', usage: event.usage });
        return;
      case 'callerText':
        this.#hear(event);
        return;
      case 'begun':
        this.#connected = true;
        this.#quiet();
        this.#gate.reset();
        if (this.#sessions++ > 0 && !this.#finished) this.#session?.instruct(goOn);
        return;
      case 'lost':
        this.#connected = false;
        this.#tell(event.error);
        this.#gate.reset();
        this.#quiet();
        if (this.#decidedAt !== null) this.#holdLineIfMissing();
        return;
      case 'refused':
        this.#tell(event.error);
        return;
    }
    if (this.#finished) return;
    if (event.type === 'delegated') this.#delegations.begin(event.delegation);
    else if (event.type === 'agentText') this.#place(event);
    else this.#hearModel(event.samples, event.atMs);
  }

  #hearModel(samples: Int16Array, atMs: number): void {
    this.#lineMs = atMs + (samples.length * 1000) / this.#options.sampleRate;
    for (const part of this.#gate.push(samples, atMs)) {
      if (part === 'end') this.#quiet();
      else this.#play(part);
    }
  }

  #play(part: SpokenAudio): void {
    const { sampleRate } = this.#options;
    // The answer is there: a line that only says that it is late has nothing more to say.
    if (this.#line !== null && this.#line === this.#holdLine && this.#line.spoken.latest === '') this.#stopTalking();
    if (this.#line !== null) {
      const waiting = this.#waiting.reduce((sum, { samples }) => sum + samples.length, 0);
      if ((waiting * 1000) / sampleRate < MOST_WAITING_MS) this.#waiting.push(part);
      return;
    }
    if (this.#talk === null && !part.voiced) return;
    this.#talk ??= this.#beginTalk(part.atMs);
    this.#talk.push(part);
  }

  #beginTalk(fromMs: number): DuplexSpeech {
    const { playout, clock, events, sampleRate } = this.#options;
    this.#silence.agentSpeaks();
    this.#lateTimer?.cancel();
    const now = clock.now();
    const ledger = new LatencyLedger();
    // A sound that the model makes while the caller speaks is no answer.
    const answers = this.#unanswered !== null && !this.#ear.speaking;
    if (answers) {
      const lastVoiced = Math.max(this.#unanswered ?? 0, this.#ear.lastVoicedAt);
      const decided = Math.min(now, this.#decidedAt ?? now);
      ledger.mark('lastVoiced', lastVoiced);
      ledger.mark('decided', decided);
      ledger.mark('modelRequested', decided);
      ledger.mark('firstSentence', now);
      ledger.mark('firstAudio', now);
      this.#unanswered = null;
      this.#settle();
    }
    const turn = this.#turns.begin(ledger);
    const speech: DuplexSpeech = new DuplexSpeech({
      playout,
      turn,
      sampleRate,
      fromMs,
      number: this.#speeches++,
      onFirstSent: () => {
        ledger.mark('firstSent', clock.now());
        this.#sound.agentSpeaks();
        const parts = ledger.parts();
        if (parts !== null) events.emit({ type: 'latency', turn: turn.id, ...parts });
      },
    });
    const fragments = this.#fragments.filter((fragment) => speech.holds(fragment, true));
    this.#fragments = [];
    for (const fragment of fragments) this.#addText(speech, fragment);
    return speech;
  }

  /** Words of the model's, which come before, with or after their audio. */
  #place(fragment: TextFragment): void {
    if (this.#talk?.holds(fragment, this.#gate.open)) this.#addText(this.#talk, fragment);
    else if (this.#fragments.length < MOST_FRAGMENTS) this.#fragments.push(fragment);
  }

  #addText(speech: DuplexSpeech, fragment: TextFragment): void {
    this.#tellSentences(speech, speech.add(fragment));
  }

  #tellSentences(speech: DuplexSpeech, sentences: readonly string[]): void {
    for (const text of sentences) {
      this.#options.events.emit({ type: 'transcript', role: 'agent', turn: speech.turn.id, text, final: false });
    }
  }

  /** The model's line is quiet: its speech is over once it was heard, unless it goes on before. */
  #quiet(): void {
    const speech = this.#talk;
    if (speech === null) return;
    void this.#options.playout.waitUntilQueued(1).then(() => {
      if (this.#talk === speech && !this.#gate.open) this.#endTalk(false);
    });
  }

  #endTalk(interrupted: boolean): void {
    const speech = this.#talk;
    if (speech === null) return;
    this.#talk = null;
    this.#tellSentences(speech, speech.end(!interrupted));
    // What it answers comes before it.
    if (this.#settleTimer !== null) this.#closeCaller(speech.turn.id);
    this.#record.agent(speech, interrupted);
    this.#turns.cancel('the speech is over');
    this.#said = { text: speech.text, at: this.#options.clock.now() };
    if (interrupted) return;
    const due = this.#afterwards;
    if (due !== null && speech.number >= due.after) this.#act(due.acts);
    this.#listenIfIdle();
  }
