import { DurableObject } from 'cloudflare:workers';
import fvadWasm from '@echogarden/fvad-wasm/fvad.wasm';
import { loadVoiceActivity, type VoiceActivityFactory } from './audio/voice-activity.ts';
import { unauthorized } from './auth/authenticate.ts';
import { subprotocolHeaders } from './auth/credential.ts';
import { Call } from './call/call.ts';
import type { CallOptions } from './call/call-options.ts';
import { systemClock, systemRandom } from './call/clock.ts';
import { type CallEvent, CallEvents } from './call/events.ts';
import type { AudioChunk } from './call/journal.ts';
import type { Leg } from './call/leg.ts';
import type { PastCall } from './call/past-call.ts';
import type { Principal } from './call/principal.ts';
import { type Refusal, refusalToReturn } from './call/returning-leg.ts';
import { type Config, loadConfig } from './config.ts';
import type { StartRequest } from './dialects/dialect.ts';
import { closeCodes, type ErrorCode } from './dialects/native-messages.ts';
import { dialectAt } from './dialects/registry.ts';
import { Alarms } from './durable/alarms.ts';
import { CallArchive } from './durable/call-archive.ts';
import { CallIdClaim, callIdOf } from './durable/call-id-claim.ts';
import { callOptions } from './durable/call-options.ts';
import { KeptEntries } from './durable/kept-entries.ts';
import { KeptWrites } from './durable/kept-writes.ts';
import { connectLeg } from './durable/leg-connection.ts';
import { LegSocket } from './durable/leg-socket.ts';
import { ObjectLimits } from './durable/object-limits.ts';
import { givenToPlacedCall } from './durable/placed-call.ts';
import { ReturningLegs } from './durable/returning-legs.ts';
import { SpentToken } from './durable/spent-token.ts';
import { hasTables } from './durable/storage.ts';
import { traceOf } from './durable/traced-call.ts';
import type { Env } from './env.ts';
import { countRefusal } from './http/count-refusals.ts';
import { apiError } from './http/errors.ts';
import { type LegRequest, readLegRequest } from './http/leg-request.ts';
import { describeError, log, logCallEvent, personalId } from './log.ts';
import { type Jurisdiction, jurisdictionOf } from './regions/settings.ts';
import type { CallTrace } from './tracing/call-trace.ts';
import { readTraceparent } from './tracing/trace-context.ts';

/** An ended call whose deliveries found no end is taken up again after this. */
const UNDELIVERED_MS = 1_000;

/** Storage that could not be deleted is tried again after this. */
const UNDELETED_MS = 60_000;

/** One WebAssembly module an isolate; each call has a detector of its own. */
let voiceActivity: Promise<VoiceActivityFactory> | null = null;

/**
 * One call. A thin shell: it lends the call (`Call`) a socket, a clock and storage, and the call's archive
 * (`CallArchive`) its alarms. Under the name of a call id it also remembers who holds that id.
 */
export class CallSessionDO extends DurableObject<Env> {
  readonly #config: Config;
  readonly #writes: KeptWrites;
  readonly #entries: KeptEntries;
  readonly #alarms: Alarms;
  readonly #limits: ObjectLimits;
  #archive: CallArchive | null = null;
  readonly #claim: CallIdClaim;
  readonly #token: SpentToken;
  readonly #returning: ReturningLegs;
  #call: Call | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#config = loadConfig(env);
    this.#writes = new KeptWrites({
      clock: systemClock,
      object: String(ctx.id),
      onRetry: () => ctx.waitUntil(this.#deliver()),
    });
    this.#entries = new KeptEntries(ctx.storage.kv, this.#writes, 'object/');
    this.#alarms = new Alarms(ctx.storage, this.#writes);
    this.#limits = new ObjectLimits(ctx, env, this.#config);
    const kept = { entries: this.#entries, alarms: this.#alarms, clock: systemClock };
    this.#claim = new CallIdClaim(kept);
    this.#token = new SpentToken(kept);
    this.#returning = new ReturningLegs({
      clock: systemClock,
      startMs: this.#config.START_TIMEOUT,
      messagesPerSecond: this.#config.MAX_MESSAGES_PER_SECOND,
      onRefused: (code) => this.#countRefusal(code),
    });
    if (!hasTables(ctx.storage.sql)) return;
    this.#archive = this.#openArchive();
    const now = systemClock.now();
    // A new instance has no socket: a call that it finds unfinished has lost its own. The time is only ever pulled forward:
    // an idle object is evicted and woken again before it is over.
    if (this.#archive.unfinished) this.#alarms.setNoLater('recover', now + this.#config.RESUME_GRACE);
    else this.#alarms.setNoLater('outbox', now + UNDELIVERED_MS);
  }

  /** Takes a leg's WebSocket, handed on by the router. */
  override async fetch(request: Request): Promise<Response> {
    const leg = readLegRequest(request);
    voiceActivity ??= loadVoiceActivity(fvadWasm);
    const detectors = await voiceActivity;
    // A call that is here already is counted.
    if (this.#call === null && !(await this.#limits.mayOpen())) {
      return apiError(503, 'TOO_MANY_CALLS', 'No more calls can be taken at the moment', {
        'Retry-After': '5',
      });
    }
    const settings = { env: this.env, config: this.#config };
    const given = this.#call === null ? await givenToPlacedCall(leg, request.url, settings) : null;
    // From here on nothing waits: of two sockets with the same token one is the first.
    const { call: grant } = leg.principal;
    const comesBack = this.#call !== null || this.#lost() !== null;
    if (grant !== undefined && !comesBack && !this.#token.spend(grant)) {
      log('warn', 'a request was refused', {
        callId: personalId(leg.callId),
        reason: 'the token was used before, or is expired',
      });
      return unauthorized();
    }
    const dialect = dialectAt(leg.dialect, request.headers.get('Sec-WebSocket-Protocol'));
    if (dialect === null) throw new Error(`there is no dialect ${leg.dialect}`);
    const headers = subprotocolHeaders(request, dialect.subprotocols);
    const pair = new WebSocketPair();
    const socket = new LegSocket(pair[1]);
    const connect = () => connectLeg(socket, dialect, leg, request, this.#config);
    const known = this.#call !== null || this.#archive !== null || this.#claim.current !== null;
    if (leg.bound && comesBack) {
      this.#awaitReturn(socket, connect(), leg, detectors);
    } else if (leg.bound && known) {
      this.#countRefusal('CALL_ID_IN_USE');
      socket.refuse('CALL_ID_IN_USE', 'This call id is in use, or was used before', closeCodes.callIdInUse);
    } else {
      this.#accept(socket, connect(), leg, detectors, given);
    }
    return new Response(null, { status: 101, webSocket: pair[0], headers });
  }

  /**
   * Takes the call id that this object is named after for `owner`. False: another holds it, or its call's record
   * has not left this object.
   */
  claim(owner: string, until: number): boolean {
    if (!this.#claim.isFreeFor(owner)) return false;
    if (this.#archive !== null && this.#call === null) return false;
    // What is left of it waits to be dropped: another call would have a part of its audio.
    if (this.#archive === null && hasTables(this.ctx.storage.sql)) return false;
    this.#claim.take(owner, until);
    return true;
  }

  /** Gives the call id back: `owner` claimed it, and no call came of it. What is left of it is deleted: callers may have no end of ids. */
  release(owner: string): void {
    if (this.#claim.giveBack(owner)) this.ctx.waitUntil(this.#deliver());
  }

  override async alarm(): Promise<void> {
    for (const alarm of this.#alarms.takeDue(systemClock.now())) {
      if (alarm === 'recover' && this.#call === null) this.#closeLost();
      if (alarm === 'forget') this.#claim.forget();
      if (alarm === 'token') this.#token.forget();
    }
    await this.#deliver();
  }

  #closeLost(): void {
    const lost = this.#archive?.lost ?? null;
    const end = this.#archive?.closeLost() ?? null;
    if (lost === null || end === null) return;
    this.#limits.slots?.release(lost.call);
    if (lost.call.trace === undefined) return;
    const trace = traceOf(this.#config, (work) => this.ctx.waitUntil(work), null);
    trace.goOn(lost.call, lost.call.trace);
    trace.closeLost(end);
  }

  #accept(
    socket: LegSocket,
    connection: Leg,
    leg: LegRequest,
    detectors: VoiceActivityFactory,
    given: CallOptions['given'],
  ): void {
    const call = this.#createCall(connection, leg, detectors, systemRandom.id(), undefined, given);
    socket.listen({
      message: (data) => call.receive(data, connection),
      closed: (inOrder) => call.disconnected(connection, inOrder),
      failed: (error) => this.#failed(call, leg, error),
    });
  }

  #awaitReturn(socket: LegSocket, connection: Leg, leg: LegRequest, detectors: VoiceActivityFactory): void {
    this.#returning.add({
      ...{ socket, connection, callId: leg.callId },
      refusalOf: (request) => this.#refusalOf(request, leg.principal),
      accept: () => {
        const call = this.#takeUp(connection, leg, detectors);
        call.attach(connection);
        return call;
      },
      failed: (error) => {
        if (this.#call === null) return false;
        this.#failed(this.#call, leg, error);
        return true;
      },
    });
  }

  #refusalOf(request: StartRequest, principal: Principal): Refusal | null {
    if (this.#call !== null) return this.#call.refusalOf(request, principal);
    const lost = this.#archive?.lost ?? null;
    if (lost !== null) return refusalToReturn(lost, request, principal);
    return { code: 'CALL_ID_IN_USE', message: 'This call id was used before', closing: 'id in use' };
  }

  /** The call that is there; one that the object has lost is made again from what was written down of it. */
  #takeUp(connection: Leg, leg: LegRequest, detectors: VoiceActivityFactory): Call {
    if (this.#call !== null) return this.#call;
    const archive = this.#archive;
    if (archive === null) throw new Error('there is no call to take up');
    const past = archive.past();
    const call = this.#createCall(connection, leg, detectors, past.resumeToken, past);
    archive.takenUp();
    return call;
  }

  #failed(call: Call, leg: LegRequest, error: unknown): void {
    log('error', 'a message could not be taken', {
      callId: personalId(leg.callId),
      error: describeError(error),
    });
    call.failed();
  }

  #createCall(
    connection: Leg,
    leg: LegRequest,
    detectors: VoiceActivityFactory,
    resumeToken: string,
    past?: PastCall,
    given: CallOptions['given'] = null,
  ): Call {
    const config = this.#config;
    let call: Call | null = null;
    const trace = traceOf(config, (work) => this.ctx.waitUntil(work), readTraceparent(leg.traceparent));
    if (past?.call.trace !== undefined) trace.goOn(past.call, past.call.trace);
    const events = new CallEvents(systemClock.now, (error) =>
      log('error', 'a listener of the call failed', {
        callId: personalId(leg.callId),
        trace: trace.facts?.traceId,
        error: describeError(error),
      }),
    );
    events.listen((event) => (call?.leg ?? connection).dialect.show(event));
    events.listen((event, at) => trace.hear(event, at));
    events.listen((event, at) => this.#archiveEvent(traced(event, trace), at, resumeToken));
    events.listen((event) => logCallEvent(leg.callId, event, trace.facts?.traceId));
    events.listen((event) => {
      if (event.type === 'leg.closed' && event.refusal !== undefined) this.#countRefusal(event.refusal.code);
    });
    const own = {
      ...{ leg: connection, events, resumeToken, given, slots: this.#limits.slots },
      ...this.#callIdOf(leg),
      storeAudio: (chunk: AudioChunk) => this.#archive?.storeAudio(chunk) ?? true,
      ...(past === undefined ? {} : { past }),
    };
    const background = (work: Promise<void>) => this.ctx.waitUntil(work);
    call = new Call(callOptions({ config, env: this.env }, leg, own, { detectors, trace, background }));
    this.#call = call;
    this.#limits.opened();
    return call;
  }

  #countRefusal(code: ErrorCode): void {
    const work = countRefusal(this.env, this.#config.METRICS_SHARDS, 'call', code);
    if (work !== null) this.ctx.waitUntil(work);
  }

  #archiveEvent(event: CallEvent, at: number, resumeToken: string): void {
    try {
      if (event.type === 'call.started') this.#archive = this.#openArchive();
      this.#archive?.hear(event, at, resumeToken);
    } finally {
      if (event.type === 'leg.closed' || event.type === 'call.closed') {
        this.#call = null;
        this.#limits.closed();
        this.ctx.waitUntil(this.#deliver());
      }
    }
  }

  #callIdOf(leg: LegRequest): Pick<CallOptions, 'claimCallId' | 'releaseCallId'> {
    return callIdOf({
      bound: leg.bound,
      jurisdiction: jurisdictionOf(leg.region ?? null),
      claimant: systemRandom.id(),
      holdMs: this.#config.CALL_ID_HOLD,
      clock: systemClock,
      here: this,
      named: (callId) => this.#named(callId),
      keepJurisdiction: (jurisdiction) => this.#entries.put<Jurisdiction>('jurisdiction', jurisdiction),
      background: (work) => this.ctx.waitUntil(work),
    });
  }

  #named(callId: string): DurableObjectStub<CallSessionDO> {
    return this.env.CALL_SESSION.get(this.env.CALL_SESSION.idFromName(callId));
  }

  /** The call that this object has lost, and that its client may come back to. */
  #lost() {
    return this.#config.RESUME_GRACE > 0 ? (this.#archive?.lost ?? null) : null;
  }

  /** Sends what the call has to say; when all has arrived, nothing of it is kept here. */
  async #deliver(): Promise<void> {
    const archive = this.#archive;
    if (archive !== null && (await archive.deliver()) && this.#archive === archive) this.#archive = null;
    if (this.#archive === null && this.#call === null && this.#claim.current === null) {
      await this.#forgetAll();
    }
  }

  async #forgetAll(): Promise<void> {
    // Its alarm comes back here.
    if (this.#token.remembered) return;
    try {
      await this.ctx.storage.deleteAll();
      this.#writes.forget('');
    } catch (error) {
      log('warn', 'the storage could not be deleted', { error: describeError(error) });
      // Whoever has taken the id meanwhile holds it as long as it is theirs.
      if (this.#claim.current === null) this.#alarms.setNoLater('forget', systemClock.now() + UNDELETED_MS);
    }
  }

  #openArchive(): CallArchive {
    return new CallArchive({
      storage: this.ctx.storage,
      writes: this.#writes,
      alarms: this.#alarms,
      env: this.env,
      config: this.#config,
      jurisdiction: () => this.#entries.get<Jurisdiction>('jurisdiction') ?? null,
      clock: systemClock,
      random: systemRandom,
    });
  }
}

/** The start of a call, with the trace that it has from there on: it is kept with the call. */
function traced(event: CallEvent, { facts }: CallTrace): CallEvent {
  if (event.type !== 'call.started' || facts === null) return event;
  return { ...event, call: { ...event.call, trace: facts } };
}
