import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import type { Duplex, DuplexEvent } from '../providers/duplex.ts';
import type { ProviderError } from '../providers/ports.ts';
import type { Providers } from '../providers/registry.ts';
import type { CallActions } from '../tools/tool.ts';
import { AfterSpeech } from './after-speech.ts';
import type { AgentOptions, CallTools } from './agent.ts';
import { AnswerWait } from './answer-wait.ts';
import { CallerEar, type CallerEarHandler } from './caller-ear.ts';
import { CallerSound } from './caller-sound.ts';
import { CallerTranscript } from './caller-transcript.ts';
import { Delegations } from './delegations.ts';
import { DtmfCollector, spokenKeys } from './dtmf.ts';
import { DuplexModel } from './duplex-model.ts';
import { delegatedPrompt, duplexInstructions } from './duplex-prompts.ts';
import type { DuplexSpeech, TextFragment } from './duplex-speech.ts';
import { DuplexTalk } from './duplex-talk.ts';
import type { Engine } from './engine.ts';
import type { FailureCode } from './events.ts';
import { FixedLines } from './fixed-lines.ts';
import { LatencyLedger } from './latency.ts';
import { LaterActs } from './later-acts.ts';
import { MissingLine } from './missing-line.ts';
import { tierFor } from './model-rule.ts';
import type { OverlapKind } from './overlap.ts';
import type { PastCall } from './past-call.ts';
import type { PipelineLeg } from './pipeline.ts';
import type { Reply } from './reply.ts';
import { SilenceWatch } from './silence-watch.ts';
import { TalkOver } from './talk-over.ts';
import { Turns } from './turn.ts';
import { TurnRecord } from './turn-record.ts';

export interface DuplexConversationOptions
  extends Omit<AgentOptions, 'record' | 'later' | 'onUsage' | 'onFailure' | 'providers' | 'languageHeard'> {
  /** What tools may do to the call. */
  actions: CallActions;
  duplex: Duplex;
  /** Speaks the agent's fixed lines, and does what the duplex model delegates. */
  providers: Pick<Providers, 'languageModel' | 'textToSpeech'>;
  detector: VoiceActivityDetector;
  /** Sample 0 of the recording, in milliseconds since the epoch. */
  startTime: number;
  leg: PipelineLeg;
  /**
   * The model is lost for good, and this conversation with it. Whoever takes the call over gets what was said so far, and numbers the turns
   * after it. Null: nobody does; the agent apologises and the call ends.
   */
  onGone: ((record: TurnRecord) => void) | null;
}

/**
 * The conversation with a model that listens and speaks at the same time. The model decides when to speak and when to stop, so nobody
 * takes turns here: what the model says is played, and who said what is written down.
 *
 * - **Turns.** A speech of the model is a turn of the agent's: until its audio is heard and some quiet has followed. The caller's turn is
 *   what was said until the agent answers, or until the end-of-turn silence; its words follow within a second.
 * - **Barge-in.** The call's own voice activity silences the agent at once, as in the pipeline; the caller's words decide whether it goes
 *   on, or what it had left to say is thrown away. The record holds what was heard. What the model itself believes it has said
 *   cannot be truncated: no duplex API has that. It hears the caller as well and stops by itself; what was heard is told it in a note.
 * - **Fixed lines** (the greeting, the question to a silent caller, the goodbye, the hold line, the apology) are spoken by
 *   text-to-speech, word for word, as ready audio where there is some, also before the model has a session. The price is that they are in
 *   the text-to-speech provider's voice: configure the same one for both. A model asked to greet would choose its own words.
 * - **Tools** are used by the call's language model, to which the model delegates; see {@link Delegations}.
 */
export class DuplexConversation implements Engine, CallerEarHandler {
  readonly #options: DuplexConversationOptions;
  readonly #record: TurnRecord;
  readonly #turns = new Turns();
  readonly #ear: CallerEar;
  readonly #sound: CallerSound;
  readonly #caller: CallerTranscript;
  readonly #talkOver: TalkOver;
  /** What the model says. Never heard at the same time as a fixed line. */
  readonly #talk: DuplexTalk;
  readonly #lines: FixedLines;
  readonly #tools: CallTools | null;
  readonly #delegations: Delegations;
  readonly #afterwards: AfterSpeech;
  readonly #silence: SilenceWatch;
  readonly #dtmf: DtmfCollector;
  readonly #model: DuplexModel;
  readonly #missing: MissingLine;
  readonly #wait = new AnswerWait();
  /** The question to a silent caller: every word is an answer to it. */
  #silenceLine: Reply | null = null;
  /** The line is down. */
  #suspended = false;
  #finished = false;

  constructor(options: DuplexConversationOptions) {
    this.#options = options;
    const { clock, agent, providers, events, sampleRate, playout, leg } = options;
    const onUsage: AgentOptions['onUsage'] = (usage) => events.emit({ type: 'usage', usage });
    const onFailure = (error: ProviderError) => this.#tell(error);
    this.#record = new TurnRecord(options);
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
      onIgnored: () => this.#talkOver.resume('nothing', ''),
    });
    this.#caller = new CallerTranscript({
      ...options,
      record: this.#record,
      answeringTurn: () =>
        (this.#caller.settling ? this.#talk.speech?.turn.id : undefined) ?? this.#turns.nextId,
      voice: () => (this.#ear.speaking ? { from: this.#ear.voicedFrom, until: this.#ear.voicedUntil } : null),
      onClosed: (words) => {
        if (words) this.#silence.reset();
        this.#listenIfIdle();
      },
    });
    this.#talkOver = new TalkOver({
      clock,
      events,
      playout,
      leg,
      options: agent.interruption,
      callerSpeaks: () => this.#sound.speaks,
      agentTalk: () => this.#agentTalk(),
      onInterrupt: (because, text) => this.#interrupt(because, text),
      onEcho: (text) => this.#caller.withdraw(text),
    });
    this.#lines = new FixedLines({
      ...options,
      turns: this.#turns,
      waitsForCaller: () => this.#ear.speaking || this.#suspended,
      onSentence: () => this.#sound.agentSpeaks(),
      onUsage,
      onFailure,
    });
    this.#talk = new DuplexTalk({
      ...options,
      turns: this.#turns,
      mayPlay: () => this.#modelMaySpeak(),
      onBegin: () => this.#beginTalk(),
      onFirstSent: () => this.#sound.agentSpeaks(),
      onEnding: ({ turn }) => this.#caller.settling && this.#caller.close(turn.id),
      onOver: (speech, interrupted) => this.#endTalk(speech, interrupted),
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
      answer: (delegation, text) => this.#model.answer(delegation, text),
      onAfterwards: (act) => this.#afterwards.plan(act),
      onTold: () => this.#afterwards.tell(this.#talk.speeches),
      onDone: () => this.#listenIfIdle(),
      onUsage,
      onFailure,
    });
    this.#afterwards = new AfterSpeech(clock, new LaterActs(options), (problem) =>
      this.#model.instruct(`Tell the caller now: ${problem}`),
    );
    this.#missing = new MissingLine({
      clock,
      options: agent.silence,
      isMissing: () => {
        const speaks = this.#lines.line !== null || this.#talk.speech !== null || this.#sound.speaks;
        return !speaks && (!this.#model.connected || this.#delegations.busy);
      },
      say: (text, then) => this.#say(text, true, then),
    });
    this.#model = new DuplexModel({
      clock,
      duplex: options.duplex,
      session: {
        sampleRate,
        // A session keeps its voice. The Live API tells no language, so it is that of the language that is set.
        voice: this.#lines.spokenAs.voice,
        instructions: duplexInstructions(agent, this.#tools?.definitions ?? []),
        history: () => this.#messages(''),
      },
      mayGoOn: () => !this.#suspended && !this.#finished,
      onEvent: (event) => this.#take(event),
      onGone: (error) => this.#lose(error),
    });
    this.#dtmf = new DtmfCollector(clock, agent.dtmf, (keys) => this.#takeKeys(keys));
    this.#silence = new SilenceWatch({
      clock,
      options: agent.silence,
      say: (text, then) => {
        this.#silenceLine = this.#say(text, true, then);
      },
      hangUp: () => {
        // Somebody is there after all.
        if (this.#ear.speaking || this.#caller.text !== '') this.#silence.reset();
        else leg.hangUp('caller silent');
      },
    });
  }

  begin(): void {
    const { agent } = this.#options;
    this.#open(false);
    if (agent.greeting === '') this.#listenIfIdle();
    else this.#say(agent.greeting, agent.interruption.greeting);
  }

  recall(past: PastCall): void {
    const { greeting, interruption } = this.#options.agent;
    this.#suspended = true;
    this.#talkOver.suspend();
    for (const entry of past.history) this.#record.recall(entry);
    this.#record.heardBefore(past.heard);
    // That turn is in the record now: another restart must not add it again.
    this.#options.events.emit({ type: 'agent.sentence', state: 'over' });
    for (const act of past.acts) this.#afterwards.plan(act);
    // The conversation that it begins with tells the model of them.
    this.#afterwards.suspend();
    this.#afterwards.tell(this.#talk.speeches);
    this.#open(true);
    const begun = past.history.length > 0 || past.heard.length > 0;
    if (past.unheard.length > 0) this.#say(past.unheard.join(' '), true);
    else if (!begun && greeting !== '') this.#say(greeting, interruption.greeting);
    // What the caller said, and nobody wrote down, is in the recording.
    const known = past.history.flatMap((entry) =>
      'turn' in entry && entry.turn.role === 'caller' ? [entry.turn.endMs] : [],
    );
    const { sampleRate, startTime } = past.call;
    const fromSample = Math.round((Math.max(0, ...known) * sampleRate) / 1000);
    for (const { samples, position } of past.callerAudio(fromSample)) {
      this.#model.push(samples);
      this.#ear.push(samples, position, startTime + ((position + samples.length) * 1000) / sampleRate);
    }
    this.#ear.lineLost();
  }

  #open(again: boolean): void {
    const { providers } = this.#options;
    this.#model.open(again);
    providers.languageModel.warm?.();
    providers.textToSpeech.warm?.(this.#lines.spokenAs);
  }

  audio(samples: Int16Array, position: number, arrivedAt: number): void {
    if (this.#finished) return;
    this.#model.push(samples);
    this.#ear.push(samples, position, arrivedAt);
  }

  dtmf(digit: string): void {
    if (this.#finished) return;
    this.#silence.reset();
    // Keys are no backchannel: who presses them has heard enough.
    if (this.#agentTalk() !== null) this.#interrupt('speech', digit);
    this.#dtmf.press(digit);
  }

  interrupt(): void {
    if (this.#finished || this.#agentTalk() === null) return;
    this.#silence.reset();
    this.#interrupt('speech', '');
    // Nothing was said that would have to be answered.
    this.#listenIfIdle();
  }

  suspend(): void {
    this.#suspended = true;
    this.#silence.suspend();
    this.#missing.cancel();
    this.#dtmf.suspend();
    this.#afterwards.suspend();
    this.#ear.lineLost();
    this.#talkOver.suspend();
  }

  resume(): void {
    this.#suspended = false;
    this.#dtmf.resume();
    this.#afterwards.resume();
    this.#talkOver.restore();
    this.#model.goOn();
    this.#listenIfIdle();
  }

  async finish(timeoutMs: number): Promise<void> {
    this.#finished = true;
    this.#stop();
    await this.#model.end(timeoutMs);
    this.#caller.close();
    this.#model.close();
    const { duplex, providers } = this.#options;
    for (const provider of [duplex, providers.languageModel, providers.textToSpeech]) provider.close?.();
  }

  // --- CallerEarHandler: the caller ------------------------------------------------------------------------------

  voiceStarted(): void {
    this.#silence.suspend();
    this.#missing.cancel();
    // What comes after the answer has begun is another turn.
    if (this.#caller.settling && this.#talk.speech !== null) this.#caller.close();
    this.#caller.unsettle();
    this.#wait.callerSpeaks();
    // What is left of it is quiet.
    if (this.#talk.speech?.audible === false) this.#talk.end(false);
    const over = this.#talkOver.begins(this.#talk.lineMs);
    this.#sound.begins(over || this.#caller.text !== '', over ? () => this.#talkOver.hold() : null);
  }

  voicePaused(): void {
    this.#caller.voiced({ from: this.#ear.voicedFrom, until: this.#ear.voicedUntil });
    this.#sound.ends();
    this.#talkOver.pauses();
  }

  turnSilence(): void {
    const { clock, events } = this.#options;
    const now = clock.now();
    this.#wait.turnOver(now);
    if (this.#lines.line === null && this.#talk.speech === null) {
      events.emit({ type: 'thinking', turn: this.#turns.nextId });
      this.#missing.reset();
      this.#holdLineIfMissing(now);
    }
    this.#caller.settle();
  }

  #hear({ text, untilMs }: TextFragment): void {
    // Late words of a turn whose answer has begun.
    const late = this.#caller.settling && this.#talk.speech !== null;
    this.#caller.add(text);
    if (text.trim() === '' || this.#finished) return;
    this.#sound.hasWords();
    this.#silence.suspend();
    if (!late) this.#wait.said(this.#ear.lastVoicedAt || this.#options.clock.now());
    this.#talkOver.hears(text, untilMs);
    if (!this.#ear.speaking) this.#caller.settle();
  }

  /** An entry of keys is a turn of the caller's. */
  #takeKeys(keys: string): void {
    this.#silence.reset();
    this.#caller.keys(keys);
    if (this.#finished) return;
    this.#wait.pressed(this.#options.clock.now());
    this.#model.instruct(
      `The caller has pressed keys on the telephone. ${spokenKeys(keys)}. Take this as what the caller says, and answer it now.`,
    );
    this.#listenIfIdle();
  }

  /** What the agent is saying, if the caller may interrupt it. */
  #agentTalk(): { text: string; asked: boolean } | null {
    const { line } = this.#lines;
    if (line !== null) {
      const asked = line === this.#silenceLine;
      return line.interruptible ? { text: line.spoken.latest, asked } : null;
    }
    const { speech } = this.#talk;
    return speech?.audible ? { text: speech.text, asked: false } : null;
  }

  #interrupt(because: OverlapKind, text: string): void {
    const { events } = this.#options;
    const { speech } = this.#talk;
    events.emit({ type: 'overlap', outcome: 'interrupted', because, text });
    this.#stopTalking();
    events.emit({ type: 'thinking', turn: this.#turns.nextId });
    if (speech === null) return;
    const { heardText } = speech.spoken;
    if (heardText === speech.text.trim()) return;
    const heard = heardText === '' ? 'nothing' : `only: "${heardText}"`;
    this.#model.note(`the caller interrupted you, and of what you last said heard ${heard}`);
  }

  // --- the model -------------------------------------------------------------------------------------------------

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
        this.#talk.reset();
        return;
      case 'lost':
        this.#tell(event.error);
        this.#talk.reset();
        if (this.#wait.decidedAt !== null) this.#holdLineIfMissing(this.#options.clock.now());
        return;
      case 'refused':
        this.#tell(event.error);
        return;
    }
    if (this.#finished) return;
    if (event.type === 'delegated') this.#delegations.begin(event.delegation);
    else if (event.type === 'agentText') this.#talk.text(event);
    else this.#talk.audio(event.samples, event.atMs);
  }

  /** A speech of the model's begins. */
  #beginTalk(): LatencyLedger {
    this.#silence.agentSpeaks();
    this.#missing.cancel();
    // A sound that the model makes while the caller speaks is no answer.
    const ledger = this.#ear.speaking
      ? null
      : this.#wait.answered(this.#options.clock.now(), this.#ear.lastVoicedAt);
    if (ledger === null) return new LatencyLedger();
    ledger.served(this.#options.duplex.provider);
    this.#caller.settle();
    return ledger;
  }

  #endTalk(speech: DuplexSpeech, interrupted: boolean): void {
    this.#record.agent(speech, interrupted);
    this.#turns.cancel('the speech is over');
    this.#rest(speech.text);
    this.#afterwards.heard(speech.number, !interrupted);
    if (interrupted) return;
    if (this.#delegations.busy) this.#holdLineIfMissing(this.#options.clock.now());
    this.#listenIfIdle();
  }

  /** Whether the model may be heard: not while a fixed line is said. */
  #modelMaySpeak(): boolean {
    const { line } = this.#lines;
    // The answer is there: a line that only says that it is late has nothing more to say.
    if (line !== null && this.#missing.isSilent(line)) this.#stopTalking();
    return this.#lines.line === null;
  }

  // --- fixed lines -----------------------------------------------------------------------------------------------

  /** Says a fixed text; `then` follows if it was not interrupted. */
  #say(text: string, interruptible: boolean, then?: () => void): Reply {
    this.#stopTalking();
    this.#silence.agentSpeaks();
    this.#missing.cancel();
    if (this.#suspended) this.#talkOver.suspend();
    return this.#lines.say(text, interruptible, () => {
      this.#endLine(false);
      then?.();
      if (this.#finished) return;
      void this.#lines.prepare(this.#model.signal);
      this.#talk.playWaiting();
      this.#listenIfIdle();
    });
  }

  #endLine(interrupted: boolean): void {
    const line = this.#lines.take();
    if (line === null) return;
    if (this.#caller.settling) this.#caller.close(line.turn.id);
    this.#record.agent(line, interrupted || line.spoken.cutShort);
    const { heardText, latest } = line.spoken;
    this.#rest(latest);
    if (heardText !== '') {
      this.#model.note(`the caller has just heard you say: "${heardText}"`);
    }
  }

  /** Something is missing without which there is no answer, for too long: the line is not left dead. */
  #holdLineIfMissing(since: number): void {
    if (!this.#finished && !this.#suspended) this.#missing.await(since);
  }

  /** Silences the agent for good. What the caller heard of it stands in the record. */
  #stopTalking(): void {
    const { playout, leg } = this.#options;
    this.#talk.forgetWaiting();
    if (this.#lines.line === null && this.#talk.speech === null) return;
    const audible = playout.busy && !playout.held;
    this.#turns.cancel('the agent is to be silent');
    playout.clear(leg.canClear);
    if (audible) leg.clear();
    this.#talkOver.stop();
    this.#endLine(true);
    this.#talk.end(true);
  }

  /** The agent says nothing any more. */
  #rest(said: string): void {
    this.#caller.agentSaid(said);
    this.#talkOver.rests();
  }

  #listenIfIdle(): void {
    const talking = this.#lines.line !== null || this.#talk.speech !== null || this.#delegations.busy;
    const hearing = this.#ear.speaking || this.#caller.settling || this.#caller.text !== '';
    if (this.#finished || this.#suspended || talking || hearing) return;
    this.#options.events.emit({ type: 'listening' });
    this.#silence.start();
  }

  // --- the end ---------------------------------------------------------------------------------------------------

  /** The model is lost for good. */
  #lose(error: ProviderError): void {
    const { onGone, agent, leg } = this.#options;
    this.#tell(error);
    if (onGone !== null) {
      this.#stop();
      this.#finished = true;
      this.#caller.close();
      this.#model.close();
      onGone(this.#record);
    } else if (agent.apology === '') {
      leg.hangUp('error');
    } else {
      this.#say(agent.apology, false, () => leg.hangUp('error'));
    }
  }

  /** Ends everything that could still do something. What was heard is written down. */
  #stop(): void {
    this.#sound.stop();
    this.#afterwards.stop();
    this.#stopTalking();
    const keys = this.#dtmf.take();
    if (keys !== '') this.#takeKeys(keys);
    this.#delegations.close();
    this.#tools?.close();
    this.#ear.close();
    this.#talkOver.stop();
    this.#missing.cancel();
    this.#silence.stop();
  }

  #tell(error: ProviderError): void {
    this.#options.events.emit({
      type: 'failure',
      code: `PROVIDER_${error.failure.toUpperCase()}` as FailureCode,
      provider: error.provider,
      message: error.message,
    });
  }

  /** What was said so far, with what the caller is saying. */
  #messages(prompt: string) {
    const { text } = this.#caller;
    return this.#record.messages(prompt, this.#options.agent.historyMessages, text === '' ? undefined : text);
  }
}
