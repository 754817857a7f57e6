import type { VoiceActivityDetector } from '../audio/voice-activity.ts';
import type { LegHandler, StartRequest } from '../dialects/dialect.ts';
import type { ErrorCode, SampleRate } from '../dialects/native-messages.ts';
import type { Providers } from '../providers/registry.ts';
import type { CallActions, ToolCallFacts, ToolRun } from '../tools/tool.ts';
import type { CallTools } from './agent.ts';
import type { AgentConfig } from './agent-config.ts';
import {
  type AnswerDetection,
  type AnswerVerdict,
  type CreateAnswerDetection,
  wordsAndTime,
} from './answer-detection.ts';
import { CallCounter, type CallCounts } from './call-counts.ts';
import type { CallSlots } from './call-slots.ts';
import { CallTimers } from './call-timers.ts';
import type { Clock, Timer } from './clock.ts';
import { DuplexEngine } from './duplex-engine.ts';
import type { Engine } from './engine.ts';
import type { CallEvents, EndReason, FailureCode, StartedCallFacts } from './events.ts';
import type { CallFunds } from './funds.ts';
import type { AudioChunk } from './journal.ts';
import type { Closing, Leg } from './leg.ts';
import { MessageRate } from './message-rate.ts';
import type { PastCall } from './past-call.ts';
import { Pipeline, type PipelineOptions } from './pipeline.ts';
import { Playout } from './playout.ts';
import { mayStartCall, type Principal, principalName } from './principal.ts';
import { RecordingTimeline } from './recording-timeline.ts';
import { type Refusal, refusalToReturn } from './returning-leg.ts';
import { type TransferReport, Transfers } from './transfer.ts';
import { Turns } from './turn.ts';

export interface CallLimits {
  /** The longest call. */
  callMs: number;
  /** The longest wait for `start_call`. */
  startMs: number;
  /** The longest silence of the socket. */
  idleMs: number;
  /** How far the caller's audio may run ahead of real time. */
  aheadMs: number;
  /** How long a call whose socket was lost waits for its client. 0: not at all. */
  graceMs: number;
  /** Messages a second that a leg may send for long. */
  messagesPerSecond: number;
}

export interface CallOptions {
  clock: Clock;
  leg: Leg;
  events: CallEvents;
  principal: Principal;
  providers: Providers;
  speechCache: PipelineOptions['speechCache'];
  /** The id in the URL, or the minted one. */
  callId: string;
  /** The client chose `callId` in the URL: `start_call` must name the same. */
  callIdBound: boolean;
  resumeToken: string;
  /** The call was there before, and its object has lost its memory of it. */
  past?: PastCall;
  limits: CallLimits;
  /** The most of the recording that is in memory alone, in milliseconds: what a crash may cost. */
  spoolMs: number;
  createDetector(sampleRate: SampleRate): VoiceActivityDetector;
  resolveAgent(campaignId: string | null): Promise<AgentConfig>;
  /** The agent's tools for this call, or null. `onRun` is told of each run before its result is used. */
  createTools(
    agent: AgentConfig,
    call: ToolCallFacts,
    actions: CallActions,
    onRun: OnToolRun,
    earlier: readonly ToolRun[],
  ): CallTools | null;
  /** Takes the id for this call. False: it is, or was, another's. */
  claimCallId(callId: string): Promise<boolean>;
  /** Gives an id back of which no call came. */
  releaseCallId(callId: string): void;
  /** Whether calls of this user may be kept where this one is. */
  mayBeHere(userId: string): boolean;
  /** Whether the user's account is blocked, as far as is known. Never rejects. */
  isBlocked(userId: string): Promise<boolean>;
  /** Who pays for the call; null: it costs nothing. */
  funds: CallFunds | null;
  /** How many calls its user has at once; null: nobody counts. */
  slots: CallSlots | null;
  storeAudio(chunk: AudioChunk): void;
  /** What a call that we placed was given along with its request: for its user's call alone. */
  given?: { userId: string; metadata: Record<string, unknown> } | null;
  /** Judges who answers a call that we placed. Default: by words and time. */
  createAnswerDetection?: CreateAnswerDetection;
}

type OnToolRun = (run: ToolRun) => void;

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
  /** What tools did in this call, whichever engine asked for it. */
  readonly #runs: ToolRun[] = [];
  #recording = false;
  /** Judges who has answered. */
  #answerDetection: AnswerDetection | null = null;
  #answerJudged: 'service' | 'node' | null = null;
  #agent: AgentConfig | null = null;
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
    const { callId, callIdBound, principal, clock, mayBeHere } = this.#options;
    const campaignId = textOf(request.metadata.campaignId);
    if (callIdBound && request.callId !== callId) {
      this.#refuse('CALL_ID_MISMATCH', `callId must be ${callId}, as in the URL`, 'refused');
    } else if (!mayStartCall(principal, { callId: request.callId, userId: request.userId, campaignId })) {
      this.#refuse('UNAUTHORIZED', notYours, 'refused');
    } else if (!mayBeHere(request.userId)) {
      this.#refuse('WRONG_REGION', 'This user’s calls are kept in another region; see REGIONS', 'refused');
    } else {
      this.#state = 'starting';
      const call = {
        callId: request.callId,
        userId: request.userId,
        campaignId,
        phoneNumber: textOf(request.metadata.phoneNumber),
        startTime: clock.now() - (request.earlyMs ?? 0),
        metadata: this.#metadataOf(request),
        sampleRate: request.sampleRate,
        startedBy: principalName(principal),
      };
      this.#active = this.#activate(call);
      void this.#setUp(call, this.#active);
    }
  }

  /** What the leg tells counts before what the call was given. */
  #metadataOf({ userId, metadata }: StartRequest): Record<string, unknown> {
    const { given } = this.#options;
    return given?.userId === userId ? { ...given.metadata, ...metadata } : metadata;
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
    if (this.#state !== 'active' || this.#answerDetection === null || this.#answerJudged === 'node') return;
    this.#answerDetection.decided(verdict);
    this.#judged({ verdict, confidence, because: 'told' }, 'node');
  }

  protocolError(code: ErrorCode, message: string): void {
    this.#error(code, message);
    if (++this.#protocolErrors >= MOST_PROTOCOL_ERRORS) this.#end('protocol');
  }

  refuse(code: ErrorCode, message: string): void {
    if (this.#state === 'accepted') this.#refuse(code, message, 'refused');
  }

  // --- setting up --------------------------------------------------------------------------------------------

  /** Takes up a call from what was written down of it. It has lost its socket; `attach` brings another one. */
  #recall(past: PastCall): void {
    const { clock, limits } = this.#options;
    this.#state = 'active';
    this.#lostAt = past.lostAt;
    const { recording, chunkSamples, funds: _, ...call } = past.call;
    this.#runs.push(...past.history.flatMap((entry) => ('run' in entry ? [entry.run] : [])));
    this.#recording = recording;
    const active = this.#activate(call, { chunkSamples, spooledSamples: past.spooledSamples });
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
      this.#engine = this.#createEngine(agent, active);
      this.#engine.recall(past);
      this.#judgeAnswer(agent, active.call, past.counts);
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

  #activate(call: RequestedCall, spool: { chunkSamples?: number; spooledSamples?: number } = {}): ActiveCall {
    const { clock, limits, spoolMs, storeAudio } = this.#options;
    const { pieceMs, leadMs } = this.#leg.dialect;
    // A chunk is stored at the first look after its end, and its last frames may come late, or the look: so no more than `spoolMs` is
    // in memory alone.
    const checkMs = spoolMs / 10;
    const timeline = new RecordingTimeline({
      sampleRate: call.sampleRate,
      startTime: call.startTime,
      chunkMs: spoolMs - 2 * checkMs,
      ...spool,
      store: (chunk) => {
        if (this.#recording) storeAudio(chunk);
      },
    });
    const playout = new Playout({
      clock,
      sampleRate: call.sampleRate,
      pieceMs,
      leadMs,
      send: (samples, text) => this.#leg.dialect.say(samples, text),
      flush: () => this.#leg.dialect.flush(),
      mark: (name) => {
        const { dialect } = this.#leg;
        if (dialect.canMark) dialect.mark(name);
        return dialect.canMark;
      },
      onHeard: (samples, startedAt) => timeline.agent(samples, startedAt),
    });
    this.#timers.after(call.startTime + limits.callMs - clock.now(), () => this.#end('time limit'));
    // Timers are dear: there is one for each chunk, and more only for one whose audio is late.
    const untilChunk = () => Math.max(0, timeline.nextChunkEndsAt - clock.now()) + checkMs;
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
    return { call, timeline, playout };
  }

  /** What was heard of a model that speaks by itself is written down with the audio: a crash costs as much of either. */
  #tellHeard(): void {
    const heard = this.#engine?.heardOfSpeech ?? null;
    if (heard === null || heard.text === this.#toldHeard || this.#state !== 'active') return;
    this.#toldHeard = heard.text;
    this.#options.events.emit({ type: 'agent.sentence', state: 'partly', ...heard });
  }

  async #setUp(call: RequestedCall, active: ActiveCall): Promise<void> {
    const { claimCallId, releaseCallId, resolveAgent, isBlocked, funds, slots, events } = this.#options;
    let began = false;
    const claim = claimCallId(call.callId);
    // Only who holds the id: another attempt with the same one would find, and give back, what is set aside for this call.
    const paid = claim.then((claimed) => (claimed && funds !== null ? funds.reserve(call) : null));
    const counted = claim.then((claimed) => (claimed && slots !== null ? slots.take(call) : null));
    try {
      const [claimed, agent, payment, slot, blocked] = await this.#timers.within(
        SETUP_TIMEOUT_MS,
        SETTING_UP,
        Promise.all([claim, resolveAgent(call.campaignId), paid, counted, isBlocked(call.userId)]),
      );
      if (this.#state !== 'starting') return;
      if (!claimed) {
        this.#refuse('CALL_ID_IN_USE', 'This call id is in use, or was used before', 'id in use');
        return;
      }
      if (blocked || (agent.owner !== null && agent.owner !== call.userId)) {
        this.#refuse('UNAUTHORIZED', notYours, 'refused');
        return;
      }
      if (slot?.granted === false) {
        const { code, message, closing } = slot.refusal;
        this.#refuse(code, message, closing);
        return;
      }
      const failure = payment?.failure ?? null;
      if (payment?.granted === false) {
        if (failure !== null) this.#unreserved(failure);
        const { code, message, closing } = payment.refusal;
        this.#refuse(code, message, closing);
        return;
      }
      this.#state = 'active';
      began = true;
      this.#recording = agent.recording;
      const { chunkSamples } = active.timeline;
      const started = {
        ...call,
        recording: agent.recording,
        redaction: agent.redaction,
        chunkSamples,
        ...(payment === null ? {} : { funds: { limitMs: payment.limitMs } }),
      };
      events.emit({ type: 'call.started', call: started });
      if (failure !== null) this.#unreserved(failure);
      const uncounted = slot?.failure ?? null;
      if (uncounted !== null) this.#failure('UNCOUNTED', uncounted);
      this.#keepSlot(started);
      this.#endWhenSpent(started);
      this.#engine = this.#createEngine(agent, active);
      this.#judgeAnswer(agent, call);
      this.#engine.begin();
      this.#deliverEarly();
    } catch (error) {
      if (this.#state === 'ended') return;
      this.#internalError(error);
      this.#end('error');
    } finally {
      // Also what is granted only after the call was given up.
      if (!began) {
        claim.then((claimed) => claimed && releaseCallId(call.callId)).catch(() => {});
        paid.then((payment) => payment?.granted && funds?.release(call)).catch(() => {});
        counted.then((slot) => slot?.granted && slots?.release(call)).catch(() => {});
      }
    }
  }

  /**
   * Who has answered a call that we placed: a person, or a machine to which nobody wants to talk.
   *
   * @param before what an object before this one has come to; whoever was judged is not judged again.
   */
  #judgeAnswer(agent: AgentConfig, { metadata }: RequestedCall, before: CallCounts | null = null): void {
    if (agent.machineDetection === null || metadata.direction !== 'outbound') return;
    const { clock, events, createAnswerDetection = wordsAndTime } = this.#options;
    const { message, onMachine } = agent.machineDetection;
    this.#agent = agent;
    const detection = createAnswerDetection({
      clock,
      onVerdict: (verdict) => this.#judged(verdict, 'service'),
      onGreetingEnded: () => {
        if (this.#state !== 'active' || onMachine !== 'leave message') return;
        if (message === '') this.#end('answering machine');
        else this.#engine?.leave(message);
      },
    });
    this.#answerDetection = detection;
    events.listen((event) => {
      if (event.type === 'caller.voice') detection.voice(event.speaking);
      else if (event.type === 'transcript' && event.role === 'caller')
        detection.words(event.text, event.final);
      else if (event.type === 'turn.recorded' && event.turn.role === 'caller')
        detection.words(event.turn.text, true);
    });
    if (before?.answeredBy === undefined) return;
    this.#answerJudged = before.answeredByJudge ?? null;
    detection.decided(before.answeredBy);
    this.#heed(before.answeredBy);
  }

  #judged(verdict: AnswerVerdict, by: 'service' | 'node'): void {
    const { clock, events } = this.#options;
    const startTime = this.#active?.call.startTime ?? clock.now();
    this.#answerJudged = by;
    events.emit({ type: 'answer.judged', ...verdict, by, afterMs: clock.now() - startTime });
    this.#heed(verdict.verdict);
  }

  #heed(verdict: AnswerVerdict['verdict']): void {
    const onMachine = this.#agent?.machineDetection?.onMachine;
    if (verdict === 'human') this.#engine?.unhush();
    if (verdict !== 'machine') return;
    if (onMachine === 'hang up') this.#end('answering machine');
    else if (onMachine === 'leave message') this.#engine?.hush();
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
    const { clock, events, providers, speechCache, createDetector, createTools } = this.#options;
    const dialect = () => this.#leg.dialect;
    const actions: CallActions = {
      hangUp: () => this.#end('agent hangup'),
      // On a dead line nothing is done.
      transfer: (to, ringSeconds) => this.#lostAt === null && this.#transfers.begin(to, ringSeconds),
      pressDigits: (digits) => this.#lostAt === null && dialect().pressDigits(digits),
    };
    const { sampleRate, startTime } = call;
    const common = {
      clock,
      events,
      playout,
      providers,
      speechCache,
      createTools: (onRun: OnToolRun) =>
        createTools(
          agent,
          call,
          actions,
          (run) => {
            this.#runs.push(run);
            onRun(run);
          },
          [...this.#runs],
        ),
      agent,
      sampleRate,
      startTime,
      languageHeard: this.#options.past?.language ?? null,
      // One count for the whole call, whichever engine holds it and however often its object was lost.
      turns: new Turns(this.#options.past?.nextTurn ?? 0),
      actions,
      leg: {
        get canClear() {
          return dialect().canClear;
        },
        clear: () => dialect().clear(),
        hangUp: (reason: EndReason) => this.#end(reason),
      },
    };
    const detector = () => createDetector(sampleRate);
    if (providers.duplex === null) return new Pipeline({ ...common, detector: detector() });
    return new DuplexEngine({
      ...common,
      duplex: providers.duplex,
      detector: detector(),
      // What it says first takes the place of the apology.
      fallback: (record) =>
        new Pipeline({
          ...common,
          record,
          detector: detector(),
          agent: { ...agent, greeting: agent.apology },
        }),
    });
  }

  // --- the end -----------------------------------------------------------------------------------------------

  /** Turns the leg away: no call has been. */
  #refuse(code: ErrorCode, message: string, closing: Closing): void {
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
    this.#answerDetection?.stop();
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

  #unreserved(message: string): void {
    this.#failure('UNRESERVED', message);
  }

  #failure(code: FailureCode, message: string): void {
    this.#options.events.emit({ type: 'failure', code, provider: null, message });
  }
}

/** A call that was asked for, before its agent is known. */
type RequestedCall = Omit<StartedCallFacts, 'recording' | 'chunkSamples' | 'funds'>;

interface ActiveCall {
  call: RequestedCall;
  timeline: RecordingTimeline;
  playout: Playout;
}

const notYours = 'This user or campaign is not yours to call for';

/** Metadata is whatever JSON the client sent. */
function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= 256 ? value : null;
}
