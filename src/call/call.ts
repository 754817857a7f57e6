import type { LegHandler, StartRequest } from '../dialects/dialect.ts';
import type { ErrorCode } from '../dialects/native-messages.ts';
import { ActiveCall, type StoredRecording } from './active-call.ts';
import type { AgentConfig } from './agent-config.ts';
import { AnswerJudgement } from './answer-judgement.ts';
import { CallCounter } from './call-counts.ts';
import type { CallOptions } from './call-options.ts';
import { admissionOf, CallSetup, startedCall } from './call-setup.ts';
import { CallTimers } from './call-timers.ts';
import type { Timer } from './clock.ts';
import { createEngine } from './create-engine.ts';
import type { Engine } from './engine.ts';
import type { EndReason, FailureCode, StartedCallFacts } from './events.ts';
import type { Closing, Leg } from './leg.ts';
import { MessageRate } from './message-rate.ts';
import type { PastCall } from './past-call.ts';
import type { Principal } from './principal.ts';
import { type RequestedCall, refusalToStart, requestedCall } from './requested-call.ts';
import { type Refusal, refusalToReturn } from './returning-leg.ts';
import { type TransferReport, Transfers } from './transfer.ts';

/** How long agent and call id may take to be found before the call is given up. */
const SETUP_TIMEOUT_MS = 10_000;
const SETTING_UP = 'Setting up the call';
/** How long words that are still being transcribed are waited for after the call's end. */
const FINISH_TIMEOUT_MS = 30_000;
/** Errors that a leg may make before it is cut off. */
const MOST_PROTOCOL_ERRORS = 100;
/** The caller's audio kept while the call is being set up. */
const EARLY_AUDIO_MS = 5_000;
/** Keys kept meanwhile. */
const EARLY_DIGITS = 32;

/**
 * One call on one leg, from the accepted socket to the end: who may start it, what is recorded, when it is over.
 * The conversation itself is the engine's. Nothing here knows Cloudflare: the Durable Object lends a socket,
 * storage and a clock.
 */
export class Call implements LegHandler {
  readonly #options: CallOptions;
  /** The one that counts: messages of any other are ignored. */
  #leg: Leg;
  /** When the socket was lost; null while there is one. */
  #lostAt: number | null = null;
  #graceTimer: Timer | null = null;
  #state: 'accepted' | 'starting' | 'active' | 'ended' = 'accepted';
  #active: ActiveCall | null = null;
  #engine: Engine | null = null;
  #early: { samples: Int16Array; position: number; arrivedAt: number }[] = [];
  #earlySamples = 0;
  #earlyDigits = '';
  readonly #timers: CallTimers;
  readonly #counter: CallCounter;
  readonly #transfers: Transfers;
  #lastMessageAt: number;
  #protocolErrors = 0;
  #rate: MessageRate;
  /** Who has answered, where that is judged. */
  #answer: AnswerJudgement | null = null;
  /** What was told last of a speech under way. */
  #toldHeard = '';

  constructor(options: CallOptions) {
    this.#options = options;
    this.#timers = new CallTimers(options.clock);
    this.#leg = options.leg;
    this.#lastMessageAt = options.clock.now();
    this.#rate = new MessageRate(options.limits.messagesPerSecond, this.#lastMessageAt);
    this.#counter = new CallCounter(options.past?.counts ?? null);
    options.events.listen((event) => this.#counter.hear(event));
    this.#transfers = new Transfers({
      clock: options.clock,
      events: options.events,
      past: options.past?.transfers ?? null,
      leg: () => this.#leg.dialect,
      onBegun: () => this.#engine?.suspend(),
      onOver: (answered) => {
        if (answered) this.#end('transferred');
        else this.#takeBack();
      },
    });
    if (options.past !== undefined) {
      this.#recall(options.past);
      return;
    }
    this.#timers.after(options.limits.startMs, () => {
      if (this.#state !== 'accepted') return;
      this.#error('TIMEOUT', 'start_call did not come in time');
      this.#end('idle');
    });
    options.events.emit({ type: 'leg.accepted', callId: options.callId, resumeToken: options.resumeToken });
  }

  /** The connection that counts. */
  get leg(): Leg {
    return this.#leg;
  }

  /** Takes one WebSocket message of a leg. Never throws. */
  receive(message: string | ArrayBuffer, leg: Leg): void {
    if (this.#state === 'ended' || leg !== this.#leg) return;
    const now = this.#options.clock.now();
    this.#lastMessageAt = now;
    if (this.#rate.take(now)) leg.dialect.receive(message, this);
    else this.#tooFast('Messages come faster than the service takes them');
  }

  /**
   * A leg's socket is gone. A call that has begun waits for its client to come back.
   *
   * @param inOrder its peer has closed it, and nothing broke.
   */
  disconnected(leg: Leg, inOrder = false): void {
    if (leg !== this.#leg) return;
    const { clock, events, limits } = this.#options;
    if (inOrder && leg.dialect.hangsUpByClosing && this.#state !== 'accepted') {
      this.#end('hangup');
    } else if (this.#state !== 'active' || limits.graceMs <= 0) {
      this.#end('disconnected');
    } else if (this.#lostAt === null) {
      this.#lostAt = clock.now();
      if (!this.#transfers.pending) this.#engine?.suspend();
      this.#transfers.suspend();
      events.emit({ type: 'leg.lost' });
      this.#graceTimer = clock.after(limits.graceMs, () => this.#end('disconnected'));
    }
  }

  /** Why a client may not come back with this; null: it may. */
  refusalOf(request: StartRequest, principal: Principal): Refusal | null {
    const { resumeToken } = this.#options;
    const call = this.#active?.call;
    if (this.#state !== 'active' || call === undefined) {
      return { code: 'CALL_ID_IN_USE', message: 'This call id is in use', closing: 'id in use' };
    }
    return refusalToReturn({ call, resumeToken }, request, principal);
  }

  /**
   * The client has come back on another socket, its request accepted (`refusalOf`): the newest one counts, and the conversation
   * goes on on it.
   */
  attach(leg: Leg): void {
    const { clock, events, limits } = this.#options;
    const now = clock.now();
    if (this.#lostAt === null) {
      if (!this.#transfers.pending) this.#engine?.suspend();
      this.#leg.close('replaced');
    }
    this.#graceTimer?.cancel();
    this.#graceTimer = null;
    const afterMs = now - (this.#lostAt ?? now);
    this.#lostAt = null;
    this.#leg = leg;
    this.#lastMessageAt = now;
    this.#protocolErrors = 0;
    this.#rate = new MessageRate(limits.messagesPerSecond, now);
    const { callId } = this.#active?.call ?? this.#options;
    events.emit({ type: 'leg.resumed', callId, afterMs });
    if (this.#transfers.connected) {
      this.#end('transferred');
      return;
    }
    this.#transfers.resume();
    this.#goOnTalking();
  }

  /** The service itself failed under the call. */
  failed(): void {
    this.#end('error');
  }

  // --- LegHandler: what comes from the leg -----------------------------------------------------------------

  start(request: StartRequest): void {
    const refusal = refusalToStart(request, this.#options);
    if (refusal !== null) {
      this.#refuse(refusal);
      return;
    }
    this.#state = 'starting';
    const call = requestedCall(request, this.#options);
    this.#active = this.#activate(call);
    void this.#setUp(call, this.#active);
  }

  audio(samples: Int16Array): void {
    const active = this.#active;
    // What is said while the caller waits for somebody else is not for us: it is silence in the recording.
    if (active === null || this.#transfers.pending) return;
    // Reading the clock is one of the dearer things on this path: once a message.
    const now = this.#lastMessageAt;
    const position = active.timeline.caller(samples, now);
    if (this.#engine !== null) {
      this.#engine.audio(samples, position, now);
    } else if (this.#earlySamples * 1000 < EARLY_AUDIO_MS * active.call.sampleRate) {
      this.#early.push({ samples: samples.slice(), position, arrivedAt: now });
      this.#earlySamples += samples.length;
    }
    if (active.timeline.callerAheadMs(now) > this.#options.limits.aheadMs) {
      this.#tooFast('Audio comes faster than real time');
    }
  }

  dtmf(digit: string, durationMs: number): void {
    if (this.#active === null) this.protocolError('NOT_STARTED', 'dtmf came before start_call');
    else if (!this.#transfers.pending) {
      this.#options.events.emit({ type: 'dtmf', digit, durationMs });
      if (this.#engine !== null) this.#engine.dtmf(digit);
      else if (this.#earlyDigits.length < EARLY_DIGITS) this.#earlyDigits += digit;
    }
  }

  markPlayed(name: string): void {
    this.#active?.playout.markPlayed(name);
    this.#options.events.emit({ type: 'mark.played', name });
  }

  interrupt(): void {
    if (this.#active === null) this.protocolError('NOT_STARTED', 'interrupt came before start_call');
    else if (!this.#transfers.pending) this.#engine?.interrupt();
  }

  transfer(report: TransferReport): void {
    if (this.#state === 'active' && this.#transfers.report(report)) return;
    this.protocolError('BAD_MESSAGE', `transfer: ${report.state}, but no such transfer is being tried`);
  }

  hangUp(): void {
    this.#end('hangup');
  }

  answeredBy(verdict: 'human' | 'machine', confidence: number): void {
    if (this.#state === 'active') this.#answer?.told(verdict, confidence);
  }

  protocolError(code: ErrorCode, message: string): void {
    this.#error(code, message);
    if (++this.#protocolErrors >= MOST_PROTOCOL_ERRORS) this.#end('protocol');
  }

  refuse(code: ErrorCode, message: string): void {
    if (this.#state === 'accepted') this.#refuse({ code, message, closing: 'refused' });
  }

  // --- setting up --------------------------------------------------------------------------------------------

  /** Takes up a call from what was written down of it. It has lost its socket; `attach` brings another one. */
  #recall(past: PastCall): void {
    const { clock, limits } = this.#options;
    this.#state = 'active';
    this.#lostAt = past.lostAt;
    const { recording, chunkSamples, funds: _, ...call } = past.call;
    const active = this.#activate(call, { chunkSamples, spooledSamples: past.spooledSamples });
    active.recording = recording;
    this.#active = active;
    this.#endWhenSpent(past.call);
    // The lease may have run out meanwhile.
    this.#options.slots?.renew(past.call);
    this.#keepSlot(past.call);
    this.#graceTimer = clock.after(limits.graceMs, () => this.#end('disconnected'));
    void this.#goOn(past, active);
  }

  async #goOn(past: PastCall, active: ActiveCall): Promise<void> {
    try {
      const agent = await this.#timers.within(
        SETUP_TIMEOUT_MS,
        SETTING_UP,
        this.#options.resolveAgent(active.call.campaignId),
      );
      if (this.#state !== 'active') return;
      const engine = this.#createEngine(agent, active);
      this.#engine = engine;
      engine.recall(past);
      this.#judgeAnswer(agent, active.call, engine);
      this.#answer?.recall(past.counts);
      this.#takeBack();
      this.#deliverEarly();
    } catch (error) {
      if (this.#state !== 'active') return;
      this.#internalError(error);
      this.#end('error');
    }
  }

  /** The conversation goes on, if the line stands and nobody else is to have the caller. */
  #goOnTalking(): void {
    if (this.#lostAt === null && !this.#transfers.pending) this.#engine?.resume();
  }

  /** A caller who is back from a transfer is told so first. */
  #takeBack(): void {
    this.#lastMessageAt = this.#options.clock.now();
    // Without an engine yet it stays untold until there is one.
    const fact = this.#engine === null ? null : this.#transfers.takeUntold();
    if (fact !== null) this.#engine?.transferFailed(fact);
    this.#goOnTalking();
  }

  /** What came before the engine was there. */
  #deliverEarly(): void {
    for (const { samples, position, arrivedAt } of this.#early) {
      this.#engine?.audio(samples, position, arrivedAt);
    }
    this.#early = [];
    for (const digit of this.#earlyDigits) this.#engine?.dtmf(digit);
    this.#earlyDigits = '';
  }

  #activate(call: RequestedCall, stored?: StoredRecording): ActiveCall {
    const { clock, limits } = this.#options;
    const active = new ActiveCall(call, this.#options, () => this.#leg.dialect, stored);
    const { playout, timeline } = active;
    this.#timers.after(call.startTime + limits.callMs - clock.now(), () => this.#end('time limit'));
    // Timers are dear: there is one for each chunk, and more only for one whose audio is late.
    const untilChunk = () => Math.max(0, timeline.nextChunkEndsAt - clock.now()) + active.checkMs;
    this.#timers.every(untilChunk, () => {
      if (this.#state !== 'active') return;
      playout.settle();
      timeline.storeUntil(Math.min(this.#lostAt ?? clock.now(), playout.heardUntil));
      this.#tellHeard();
    });
    this.#timers.every(limits.idleMs / 4, () => {
      const silent = clock.now() - this.#lastMessageAt >= limits.idleMs;
      if (silent && this.#lostAt === null && !this.#transfers.pending) this.#end('idle');
    });
    return active;
  }

  /** What was heard of a model that speaks by itself is written down with the audio: a crash costs as much of either. */
  #tellHeard(): void {
    const heard = this.#engine?.heardOfSpeech ?? null;
    if (heard === null || heard.text === this.#toldHeard || this.#state !== 'active') return;
    this.#toldHeard = heard.text;
    this.#options.events.emit({ type: 'agent.sentence', state: 'partly', ...heard });
  }

  async #setUp(call: RequestedCall, active: ActiveCall): Promise<void> {
    const setup = new CallSetup(call, this.#options);
    let began = false;
    try {
      const answers = await this.#timers.within(SETUP_TIMEOUT_MS, SETTING_UP, setup.answers());
      if (this.#state !== 'starting') return;
      const admission = admissionOf(call, answers);
      if (!admission.granted) {
        this.#failures(admission.failures);
        this.#refuse(admission.refusal);
        return;
      }
      const { agent, failures } = admission;
      this.#state = 'active';
      began = true;
      active.recording = agent.recording;
      const started = startedCall(call, admission, active.timeline.chunkSamples);
      this.#options.events.emit({ type: 'call.started', call: started });
      this.#failures(failures);
      this.#keepSlot(started);
      this.#endWhenSpent(started);
      const engine = this.#createEngine(agent, active);
      this.#engine = engine;
      this.#judgeAnswer(agent, call, engine);
      engine.begin();
      this.#deliverEarly();
    } catch (error) {
      if (this.#state === 'ended') return;
      this.#internalError(error);
      this.#end('error');
    } finally {
      if (!began) setup.giveBack();
    }
  }

  /** Who has answered a call that we placed: a person, or a machine to which nobody wants to talk. */
  #judgeAnswer(
    { machineDetection }: AgentConfig,
    { metadata, startTime }: RequestedCall,
    engine: Engine,
  ): void {
    if (machineDetection === null || metadata.direction !== 'outbound') return;
    const { clock, events, createAnswerDetection } = this.#options;
    this.#answer = new AnswerJudgement({
      ...{ clock, events, engine, startTime, createAnswerDetection },
      ...machineDetection,
      hangUp: () => this.#end('answering machine'),
    });
  }

  /** A call that lives is counted among its user's. */
  #keepSlot(call: StartedCallFacts): void {
    const { slots } = this.#options;
    if (slots !== null) this.#timers.every(slots.renewMs, () => slots.renew(call));
  }

  /** A call that is paid for up to a moment before its longest time ends then. */
  #endWhenSpent({ startTime, funds }: StartedCallFacts): void {
    const { clock, limits } = this.#options;
    if (funds === undefined || funds.limitMs >= limits.callMs) return;
    this.#timers.after(startTime + funds.limitMs - clock.now(), () => this.#end('funds used up'));
  }

  #createEngine(agent: AgentConfig, { call, playout }: ActiveCall): Engine {
    const dialect = () => this.#leg.dialect;
    return createEngine({
      ...{ options: this.#options, agent, call, playout, dialect },
      actions: {
        hangUp: () => this.#end('agent hangup'),
        // On a dead line nothing is done.
        transfer: (to, ringSeconds) => this.#lostAt === null && this.#transfers.begin(to, ringSeconds),
        pressDigits: (digits) => this.#lostAt === null && dialect().pressDigits(digits),
      },
      hangUp: (reason) => this.#end(reason),
    });
  }

  // --- the end -----------------------------------------------------------------------------------------------

  /** Turns the leg away: no call has been. */
  #refuse({ code, message, closing }: Refusal): void {
    this.#error(code, message);
    this.#state = 'ended';
    this.#active?.playout.close();
    this.#active = null;
    this.#timers.end();
    this.#leg.dialect.hangUp();
    this.#leg.close(closing);
    this.#options.events.emit({ type: 'leg.closed', closing, refusal: { code, message } });
  }

  #end(reason: EndReason, closing: Closing = reason): void {
    if (this.#state === 'ended') return;
    const started = this.#state === 'active';
    this.#state = 'ended';
    this.#timers.end();
    this.#answer?.stop();
    const { clock, events, slots } = this.#options;
    // A caller who was cut off and did not come back was there until then.
    const endTime = this.#lostAt ?? clock.now();
    this.#graceTimer?.cancel();
    const status = reason === 'error' ? 'failed' : 'ended';
    if (started) this.#transfers.callEnds(reason);
    if (started) events.emit({ type: 'call.ended', reason, status });
    if (started && this.#active !== null) slots?.release(this.#active.call);
    // Before the socket closes: what the caller heard is settled here, and nothing more is sent.
    const engineFinished = this.#engine?.finish(FINISH_TIMEOUT_MS);
    this.#active?.playout.close();
    // Whoever has the caller now keeps them.
    if (reason !== 'transferred') this.#leg.dialect.hangUp();
    this.#leg.close(closing);
    if (started) void this.#close(engineFinished, { reason, status, endTime });
    else events.emit({ type: 'leg.closed', closing });
  }

  async #close(
    engineFinished: Promise<void> | undefined,
    end: { reason: EndReason; status: 'ended' | 'failed'; endTime: number },
  ): Promise<void> {
    try {
      await engineFinished;
      this.#active?.timeline.finish(end.endTime);
    } catch (error) {
      this.#internalError(error);
    } finally {
      this.#options.events.emit({ type: 'call.counted', counts: this.#counter.counts });
      this.#options.events.emit({ type: 'call.closed', ...end });
    }
  }

  #tooFast(message: string): void {
    this.#error('TOO_FAST', message);
    this.#end('protocol', 'too fast');
  }

  // --- small things ------------------------------------------------------------------------------------------

  #error(code: ErrorCode, message: string): void {
    this.#options.events.emit({ type: 'leg.error', code, message });
  }

  #internalError(error: unknown): void {
    this.#failure('INTERNAL_ERROR', error instanceof Error ? error.message : String(error));
  }

  #failures(failures: readonly { code: FailureCode; message: string }[]): void {
    for (const { code, message } of failures) this.#failure(code, message);
  }

  #failure(code: FailureCode, message: string): void {
    this.#options.events.emit({ type: 'failure', code, provider: null, message });
  }
}
