import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import type { Duplex, DuplexEvent } from '../providers/duplex.ts';
import type { ProviderError, Usage } from '../providers/ports.ts';
import type { Providers } from '../providers/registry.ts';
import type { CallActions } from '../tools/tool.ts';
import { AfterSpeech } from './after-speech.ts';
import type { AgentOptions, CallTools } from './agent.ts';
import { failedLineOf } from './agent-config.ts';
import type { CallerEar } from './caller-ear.ts';
import { Delegations } from './delegations.ts';
import { DtmfCollector, spokenKeys } from './dtmf.ts';
import { DuplexCaller, type DuplexCallerHandler } from './duplex-caller.ts';
import { DuplexModel } from './duplex-model.ts';
import { delegatedPrompt, duplexInstructions } from './duplex-prompts.ts';
import type { DuplexSpeech } from './duplex-speech.ts';
import { DuplexVoice, type DuplexVoiceHandler } from './duplex-voice.ts';
import type { Engine, EngineLeg } from './engine.ts';
import { LatencyLedger } from './latency.ts';
import { LaterActs } from './later-acts.ts';
import { MissingLine } from './missing-line.ts';
import { tierFor } from './model-rule.ts';
import { type OpeningLine, openingLeft, openingOf } from './opening.ts';
import type { OverlapKind } from './overlap.ts';
import { type HeardSentence, type PastCall, unrecordedAudio } from './past-call.ts';
import { providerFailure } from './provider-failure.ts';
import type { Reply } from './reply.ts';
import { SilenceWatch } from './silence-watch.ts';
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
  leg: EngineLeg;
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
 * - **Tools** are used by the call's language model, to which the model delegates; see {@link Delegations}.
 */
export class DuplexConversation implements Engine, DuplexCallerHandler, DuplexVoiceHandler {
  readonly #options: DuplexConversationOptions;
  readonly #record: TurnRecord;
  readonly #caller: DuplexCaller;
  /** Its ear: asked for each frame. */
  readonly #ear: CallerEar;
  readonly #voice: DuplexVoice;
  readonly #tools: CallTools | null;
  readonly #delegations: Delegations;
  readonly #afterwards: AfterSpeech;
  readonly #silence: SilenceWatch;
  readonly #dtmf: DtmfCollector;
  readonly #model: DuplexModel;
  readonly #missing: MissingLine;
  /** The line is down. */
  #suspended = false;
  #finished = false;

  constructor(options: DuplexConversationOptions) {
    this.#options = options;
    const { clock, agent, providers, sampleRate, leg } = options;
    this.#record = new TurnRecord(options);
    this.#caller = new DuplexCaller({
      ...options,
      record: this.#record,
      voice: () => this.#voice,
      handler: this,
    });
    this.#ear = this.#caller.ear;
    this.#voice = new DuplexVoice({
      ...options,
      record: this.#record,
      signal: () => this.#model.signal,
      handler: this,
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
      onTold: () => this.#afterwards.tell(this.#voice.speeches),
      onDone: () => this.#listenIfIdle(),
      turn: () => this.#caller.answeringTurn,
      onUsage: (usage, turn) => this.usage(usage, turn),
      onFailure: (error) => this.#tell(error),
    });
    this.#afterwards = new AfterSpeech(clock, new LaterActs(options), (problem) =>
      this.#model.instruct(`Tell the caller now: ${problem}`),
    );
    this.#missing = new MissingLine({
      clock,
      options: agent.silence,
      isMissing: () => {
        const speaks = this.#voice.speaks || this.#caller.speaks;
        return !speaks && (!this.#model.connected || this.#delegations.busy);
      },
      say: (text, then) => this.#voice.say(text, true, then),
    });
    this.#model = new DuplexModel({
      clock,
      duplex: options.duplex,
      session: {
        sampleRate,
        // A session keeps its voice. The Live API tells no language, so it is that of the language that is set.
        voice: this.#voice.spokenAs.voice,
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
      say: (text, then) => this.#voice.ask(text, then),
      hangUp: () => {
        // Somebody is there after all.
        if (this.#ear.speaking || this.#caller.text !== '') this.#silence.reset();
        else leg.hangUp('caller silent');
      },
    });
  }

  begin(): void {
    this.#open(false);
    this.#sayOpening(openingOf(this.#options.agent));
    this.#listenIfIdle();
  }

  #sayOpening([line, ...rest]: OpeningLine[]): void {
    // Who has spoken over the line before, or pressed a key, is answered, not greeted.
    const callerSpoke = this.#caller.text !== '' || this.#ear.speaking || this.#dtmf.pending !== '';
    if (line === undefined || (line.interruptible && callerSpoke)) return;
    this.#voice.say(line.text, line.interruptible, () => this.#sayOpening(rest));
  }

  recall(past: PastCall): void {
    this.#suspended = true;
    this.#caller.suspend();
    for (const entry of past.history) this.#record.recall(entry);
    this.#record.heardBefore(past.heard);
    // That turn is in the record now: another restart must not add it again.
    this.#options.events.emit({ type: 'agent.sentence', state: 'over' });
    for (const act of past.acts) this.#afterwards.plan(act);
    // The conversation that it begins with tells the model of them.
    this.#afterwards.suspend();
    this.#afterwards.tell(this.#voice.speeches);
    this.#open(true);
    const { current, rest } = openingLeft(this.#options.agent, past);
    if (past.unheard.length > 0) {
      const interruptible = current?.interruptible ?? true;
      this.#voice.say(past.unheard.join(' '), interruptible, () => this.#sayOpening(rest));
    } else {
      this.#sayOpening(rest);
    }
    // What the caller said, and nobody wrote down, is in the recording.
    const { sampleRate, startTime } = past.call;
    for (const { samples, position } of unrecordedAudio(past)) {
      this.#model.push(samples);
      this.#ear.push(samples, position, startTime + ((position + samples.length) * 1000) / sampleRate);
    }
    this.#ear.lineLost();
    this.#dtmf.recall(past.keys);
  }

  /** What the caller has heard so far of what the model says: it cannot say it again. */
  get heardOfSpeech(): HeardSentence | null {
    return this.#voice.speech?.spoken.heard ?? null;
  }

  #open(again: boolean): void {
    const { providers } = this.#options;
    this.#model.open(again);
    providers.languageModel.warm?.();
    providers.textToSpeech.warm?.(this.#voice.spokenAs);
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
    if (this.#voice.interruptible !== null) this.interrupts('speech', digit);
    this.#dtmf.press(digit);
  }

  interrupt(): void {
    if (this.#finished || this.#voice.interruptible === null) return;
    this.#silence.reset();
    this.interrupts('speech', '');
    // Nothing was said that would have to be answered.
    this.#listenIfIdle();
  }

  transferFailed(fact: string): void {
    const line = failedLineOf(this.#options.agent);
    // What it may have had to say to a caller who was not there.
    this.#voice.stop();
    this.#silence.reset();
    if (line === '') {
      this.#model.instruct(`Tell the caller now: ${fact}`);
      return;
    }
    this.#model.note(fact);
    this.#voice.say(line, true);
  }

  /** A model that speaks when it wants to cannot be had to be silent: the call ends. */
  hush(): void {
    this.#options.leg.hangUp('answering machine');
  }

  unhush(): void {
    // It was never hushed: the call has ended.
  }

  leave(_text: string): void {
    this.hush();
  }

  suspend(): void {
    this.#suspended = true;
    this.#silence.suspend();
    this.#missing.cancel();
    this.#dtmf.suspend();
    this.#afterwards.suspend();
    this.#ear.lineLost();
    this.#caller.suspend();
  }

  resume(): void {
    this.#suspended = false;
    this.#dtmf.resume();
    this.#afterwards.resume();
    this.#caller.restore();
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

  // --- DuplexCallerHandler: the caller ---------------------------------------------------------------------------

  voiceBegins(): void {
    this.#silence.suspend();
    this.#missing.cancel();
  }

  wordsHeard(): void {
    this.#silence.suspend();
  }

  turnIsOver(at: number): void {
    if (this.#voice.speaks) return;
    this.#options.events.emit({ type: 'thinking', turn: this.#voice.turns.nextId });
    this.#missing.reset();
    this.#holdLineIfMissing(at);
  }

  turnIsClosed(words: boolean): void {
    if (words) this.#silence.reset();
    this.#listenIfIdle();
  }

  /** An entry of keys is a turn of the caller's. */
  #takeKeys(keys: string): void {
    this.#silence.reset();
    this.#caller.presses(keys);
    if (this.#finished) return;
    this.#model.instruct(
      `The caller has pressed keys on the telephone. ${spokenKeys(keys)}. Take this as what the caller says, and answer it now.`,
    );
    this.#listenIfIdle();
  }

  interrupts(because: OverlapKind, text: string): void {
    const { events } = this.#options;
    const { speech } = this.#voice;
    events.emit({ type: 'overlap', outcome: 'interrupted', because, text });
    this.#voice.stop();
    events.emit({ type: 'thinking', turn: this.#voice.turns.nextId });
    if (speech === null) return;
    const { heardText } = speech.spoken;
    if (heardText === speech.text.trim()) return;
    const heard = heardText === '' ? 'nothing' : `only: "${heardText}"`;
    this.#model.note(`the caller interrupted you, and of what you last said heard ${heard}`);
  }

  // --- the model -------------------------------------------------------------------------------------------------

  #take(event: DuplexEvent): void {
    switch (event.type) {
      case 'usage':
        // The session is charged by its length, whoever speaks.
        this.usage(event.usage, null);
        return;
      case 'callerText':
        this.#caller.hears(event);
        return;
      case 'begun':
        this.#voice.reset();
        return;
      case 'lost':
        this.#tell(event.error);
        this.#voice.reset();
        if (this.#caller.waits) this.#holdLineIfMissing(this.#options.clock.now());
        return;
      case 'refused':
        this.#tell(event.error);
        return;
    }
    if (this.#finished) return;
    if (event.type === 'delegated') this.#delegations.begin(event.delegation);
    else if (event.type === 'agentText') this.#voice.text(event);
    else this.#voice.audio(event.samples, event.atMs);
  }

  // --- DuplexVoiceHandler: what the agent says -------------------------------------------------------------------

  isOver(): boolean {
    return this.#finished;
  }

  waitsForCaller(): boolean {
    return this.#ear.speaking || this.#suspended;
  }

  lineBegins(): void {
    this.#silence.agentSpeaks();
    this.#missing.cancel();
    if (this.#suspended) this.#caller.suspend();
  }

  speechBegins(): LatencyLedger {
    this.#silence.agentSpeaks();
    this.#missing.cancel();
    const ledger = this.#caller.answered();
    if (ledger === null) return new LatencyLedger();
    ledger.served(this.#options.duplex.provider);
    return ledger;
  }

  audible(): void {
    this.#caller.agentAudible();
  }

  answers(turn: number): void {
    this.#caller.answeredBy(turn);
  }

  isSilentHoldLine(line: Reply): boolean {
    return this.#missing.isSilent(line);
  }

  silenced(): void {
    this.#caller.agentSilenced();
  }

  rests(said: string): void {
    this.#caller.agentRests(said);
  }

  lineHeard(text: string): void {
    this.#model.note(`the caller has just heard you say: "${text}"`);
  }

  speechOver(speech: DuplexSpeech, interrupted: boolean): void {
    this.#afterwards.heard(speech.number, !interrupted);
    if (interrupted) return;
    if (this.#delegations.busy) this.#holdLineIfMissing(this.#options.clock.now());
    this.#listenIfIdle();
  }

  lineOver(): void {
    this.#listenIfIdle();
  }

  usage(usage: Usage, turn: number | null): void {
    this.#options.events.emit({ type: 'usage', usage, turn });
  }

  failed(error: ProviderError): void {
    this.#tell(error);
  }

  /** Something is missing without which there is no answer, for too long: the line is not left dead. */
  #holdLineIfMissing(since: number): void {
    if (!this.#finished && !this.#suspended) this.#missing.await(since);
  }

  #listenIfIdle(): void {
    const talking = this.#voice.speaks || this.#delegations.busy;
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
      this.#voice.say(agent.apology, false, () => leg.hangUp('error'));
    }
  }

  /** Ends everything that could still do something. What was heard is written down. */
  #stop(): void {
    this.#afterwards.stop();
    this.#voice.stop();
    const keys = this.#dtmf.take();
    if (keys !== '') this.#takeKeys(keys);
    this.#delegations.close();
    this.#tools?.close();
    this.#caller.stop();
    this.#missing.cancel();
    this.#silence.stop();
  }

  #tell(error: ProviderError): void {
    this.#options.events.emit(providerFailure(error));
  }

  /** What was said so far, with what the caller is saying. */
  #messages(prompt: string) {
    const { text } = this.#caller;
    return this.#record.messages(prompt, this.#options.agent.historyMessages, text === '' ? undefined : text);
  }
}
