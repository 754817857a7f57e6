import { DurableObject } from 'cloudflare:workers';
import fvadWasm from '@echogarden/fvad-wasm/fvad.wasm';
import { resolveAgent } from './agents.ts';
import { lineDetector } from './audio/line-detector.ts';
import { loadVoiceActivity, type VoiceActivityFactory } from './audio/voice-activity.ts';
import { isBlocked, unauthorized } from './auth/authenticate.ts';
import { subprotocolHeaders } from './auth/credential.ts';
import { Call } from './call/call.ts';
import type { CallOptions } from './call/call-options.ts';
import { systemClock, systemRandom } from './call/clock.ts';
import { type CallEvent, CallEvents } from './call/events.ts';
import { type CallFunds, callFunds } from './call/funds.ts';
import type { Leg } from './call/leg.ts';
import type { PastCall } from './call/past-call.ts';
import type { CallGrant, Principal } from './call/principal.ts';
import { type Refusal, ReturningLeg, refusalToReturn } from './call/returning-leg.ts';
import { within } from './call/within.ts';
import { type Config, loadConfig } from './config.ts';
import type { DialectEntry, LegContext } from './dialects/carrier.ts';
import type { StartRequest } from './dialects/dialect.ts';
import { closeCodes, type ErrorCode } from './dialects/native-messages.ts';
import { dialectAt } from './dialects/registry.ts';
import { Alarms } from './durable/alarms.ts';
import { CallArchive } from './durable/call-archive.ts';
import { metadataOf } from './durable/dial-deliveries.ts';
import { KeptEntries } from './durable/kept-entries.ts';
import { KeptWrites } from './durable/kept-writes.ts';
import { LegSocket } from './durable/leg-socket.ts';
import { ObjectLimits } from './durable/object-limits.ts';
import { speechStore } from './durable/speech-store.ts';
import { hasTables } from './durable/storage.ts';
import { traceOf } from './durable/traced-call.ts';
import type { Env } from './env.ts';
import { countRefusal } from './http/count-refusals.ts';
import { dialsOf, orNull } from './http/dials.ts';
import { apiError } from './http/errors.ts';
import { type LegRequest, readLegRequest } from './http/leg-request.ts';
import { describeError, log, logCallEvent, personalId } from './log.ts';
import { providerSettings } from './provider-settings.ts';
import { createProviders } from './providers/registry.ts';
import { connectBooks } from './records/connect.ts';
import { homeOf, type Jurisdiction, jurisdictionOf } from './regions/settings.ts';
import { callTools } from './tools/call-tools.ts';
import type { CallTrace } from './tracing/call-trace.ts';
import { readTraceparent } from './tracing/trace-context.ts';

/** An ended call whose deliveries found no end is taken up again after this. */
const UNDELIVERED_MS = 1_000;

/** The longest wait for what a placed call was given: whoever has answered hears nothing meanwhile. */
const GIVEN_MS = 1_000;

/** Storage that could not be deleted is tried again after this. */
const UNDELETED_MS = 60_000;

/** Sockets that have not shown yet that the call is theirs. A client that comes back has one; over a bad line, a few. */
const MOST_RETURNING = 8;

/** One WebAssembly module an isolate; each call has a detector of its own. */
let voiceActivity: Promise<VoiceActivityFactory> | null = null;

/** Who holds a call id, and until when it is refused to others. */
interface Claim {
  owner: string;
  until: number;
}

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
  readonly #returning = new Set<ReturningLeg>();
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
    const given = this.#call === null ? await this.#givenFor(leg, request) : null;
    // From here on nothing waits: of two sockets with the same token one is the first.
    const { call: grant } = leg.principal;
    const comesBack = this.#call !== null || this.#lost() !== null;
    if (grant !== undefined && !comesBack && !this.#spend(grant)) {
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
    const connect = () => this.#connect(socket, dialect, leg, request);
    const known = this.#call !== null || this.#archive !== null || this.#claim() !== null;
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
    const claim = this.#claim();
    if (claim !== null && claim.owner !== owner) return false;
    if (this.#archive !== null && this.#call === null) return false;
    // What is left of it waits to be dropped: another call would have a part of its audio.
    if (this.#archive === null && hasTables(this.ctx.storage.sql)) return false;
    this.#entries.put<Claim>('claim', { owner, until });
    this.#alarms.set('forget', until);
    return true;
  }

  /** Gives the call id back: `owner` claimed it, and no call came of it. What is left of it is deleted: callers may have no end of ids. */
  release(owner: string): void {
    if (this.#claim()?.owner !== owner) return;
    this.#entries.delete('claim');
    this.#alarms.set('forget', null);
    this.ctx.waitUntil(this.#deliver());
  }

  override async alarm(): Promise<void> {
    for (const alarm of this.#alarms.takeDue(systemClock.now())) {
      if (alarm === 'recover' && this.#call === null) this.#closeLost();
      if (alarm === 'forget') this.#entries.delete('claim');
      if (alarm === 'token') this.#entries.delete('spent token');
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

  /** A socket that speaks the dialect of its path. */
  #connect(socket: LegSocket, dialect: DialectEntry, leg: LegRequest, request: Request): Leg {
    return {
      dialect: dialect.create({
        send: (message) => socket.send(message),
        callId: leg.callId,
        callIdBound: leg.bound,
        query: new URL(request.url).searchParams,
        headers: request.headers,
        numbers: this.#config.NUMBERS,
        holder: holderOf(leg.principal),
      }),
      close: (closing) => socket.close(closing),
    };
  }

  /** What a call that we have placed was given along with its request. A node says that it is one; where the queue is silent, the call goes without. */
  async #givenFor(leg: LegRequest, request: Request): Promise<CallOptions['given']> {
    if (!leg.bound || new URL(request.url).searchParams.get('dialled') !== 'true') return null;
    const queue = dialsOf(this.env, this.#config, leg.callId);
    const found = await orNull(
      'given',
      within(systemClock, GIVEN_MS, async () => ({ dial: await queue.find(leg.callId) })),
    );
    const dial = found?.dial ?? null;
    return dial === null ? null : { userId: dial.userId, metadata: metadataOf(dial) };
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

  /** A client that comes back to the call of this object, or somebody else: `start_call` will tell. */
  #awaitReturn(socket: LegSocket, connection: Leg, leg: LegRequest, detectors: VoiceActivityFactory): void {
    const { dialect } = connection;
    dialect.show({ type: 'leg.accepted', callId: leg.callId, resumeToken: null });
    const returning: ReturningLeg = new ReturningLeg(connection, systemClock, {
      startMs: this.#config.START_TIMEOUT,
      messagesPerSecond: this.#config.MAX_MESSAGES_PER_SECOND,
      refusalOf: (request) => this.#refusalOf(request, leg.principal),
      accept: () => {
        const call = this.#takeUp(connection, leg, detectors);
        call.attach(connection);
        return call;
      },
      sendError: (code, message) => dialect.show({ type: 'leg.error', code, message }),
      onRefused: (code) => this.#countRefusal(code),
      onOver: () => this.#returning.delete(returning),
    });
    // The owner's proof follows its socket at once: who has waited longest goes.
    if (this.#returning.size >= MOST_RETURNING) {
      const [longest] = this.#returning;
      longest?.turnAway('TOO_MANY_CALLS', 'Too many clients come back to this call', 'refused');
    }
    this.#returning.add(returning);
    socket.listen({
      message: (data) => {
        if (returning.over) this.#call?.receive(data, connection);
        else returning.receive(data);
      },
      closed: (inOrder) => {
        if (returning.over) this.#call?.disconnected(connection, inOrder);
        else returning.closed();
      },
      failed: (error) => {
        if (returning.over && this.#call !== null) this.#failed(this.#call, leg, error);
        else socket.close('error');
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
    const claimant = systemRandom.id();
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
    const settings = providerSettings(config);
    const { vendor, baseUrl, model } = settings.textToSpeech[0];
    call = new Call({
      clock: systemClock,
      leg: connection,
      events,
      principal: leg.principal,
      providers: createProviders(settings, { ai: this.env.AI ?? null }),
      speechCache: {
        store: speechStore(this.env.CACHE_KV),
        identity: JSON.stringify([vendor, baseUrl ?? null, model ?? null]),
      },
      callId: leg.callId,
      callIdBound: leg.bound,
      resumeToken,
      limits: {
        callMs: config.WEBSOCKET_TIMEOUT,
        startMs: config.START_TIMEOUT,
        idleMs: config.IDLE_TIMEOUT,
        aheadMs: config.MAX_AUDIO_AHEAD,
        graceMs: config.RESUME_GRACE,
        messagesPerSecond: config.MAX_MESSAGES_PER_SECOND,
      },
      spoolMs: config.SPOOL_INTERVAL,
      createDetector: (sampleRate) => lineDetector(detectors, sampleRate),
      resolveAgent: (campaignId) => resolveAgent(config, campaignId),
      claimCallId: (callId) => this.#claimFor(leg, callId, claimant),
      releaseCallId: (callId) => {
        if (leg.bound) this.release(claimant);
        if (!leg.bound || jurisdictionOf(leg.region ?? null) !== null) {
          this.ctx.waitUntil(this.#named(callId).release(claimant));
        }
      },
      mayBeHere: (userId) => {
        const home = homeOf(config.REGIONS, userId);
        return home === null || home === jurisdictionOf(leg.region ?? null);
      },
      isBlocked: (userId) => isBlocked(config, userId),
      funds: config.BILLING ? this.#funds(leg) : null,
      slots: this.#limits.slots,
      createTools: (agent, facts, actions, onRun, earlier) =>
        callTools(agent.tools, {
          call: facts,
          actions,
          clock: systemClock,
          secrets: config.AGENT_HTTP_TOOL_SECRETS,
          onRun,
          results: earlier,
          trace,
        }),
      storeAudio: (chunk) => this.#archive?.storeAudio(chunk),
      given,
      ...(past === undefined ? {} : { past }),
    });
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

  /**
   * The object named after the id decides who holds it; a call without an id in the URL lives in another object. So does one that is kept in a
   * jurisdiction, where the same id names another object: the one that is in none decides for them all. It is told a random name, and when.
   */
  async #claimFor(leg: LegRequest, callId: string, claimant: string): Promise<boolean> {
    const until = systemClock.now() + this.#config.CALL_ID_HOLD;
    const jurisdiction = jurisdictionOf(leg.region ?? null);
    // Deliveries go by it, also after a restart.
    if (jurisdiction !== null) this.#entries.put<Jurisdiction>('jurisdiction', jurisdiction);
    if (leg.bound && !this.claim(claimant, until)) return false;
    if (leg.bound && jurisdiction === null) return true;
    let claimed = false;
    try {
      claimed = await this.#named(callId).claim(claimant, until);
      return claimed;
    } finally {
      // Also where nobody answered: the client may try again.
      if (!claimed && leg.bound) this.release(claimant);
    }
  }

  #funds(leg: LegRequest): CallFunds {
    const config = this.#config;
    return callFunds({
      books: connectBooks(config),
      clock: systemClock,
      callMs: config.WEBSOCKET_TIMEOUT,
      leastSeconds: config.BILLING_LEAST_SECONDS,
      timeoutMs: config.BILLING_TIMEOUT,
      withoutAnswer: config.BILLING_WITHOUT_DATABASE,
      background: (work) =>
        this.ctx.waitUntil(
          work.catch((error: unknown) =>
            log('warn', 'a reservation was not given back, and will expire', {
              leg: personalId(leg.callId),
              error: describeError(error),
            }),
          ),
        ),
    });
  }

  #named(callId: string): DurableObjectStub<CallSessionDO> {
    return this.env.CALL_SESSION.get(this.env.CALL_SESSION.idFromName(callId));
  }

  #claim(): Claim | null {
    const claim = this.#entries.get<Claim>('claim');
    return claim !== undefined && claim.until > systemClock.now() ? claim : null;
  }

  /** The call that this object has lost, and that its client may come back to. */
  #lost() {
    return this.#config.RESUME_GRACE > 0 ? (this.#archive?.lost ?? null) : null;
  }

  /** Uses a single-call token up. False: it was used before, or has expired; whatever became of it. */
  #spend({ tokenId, expiresAt }: CallGrant): boolean {
    if (expiresAt <= systemClock.now() || this.#entries.get('spent token') !== undefined) return false;
    this.#entries.put('spent token', tokenId);
    this.#alarms.set('token', expiresAt);
    return true;
  }

  /** Sends what the call has to say; when all has arrived, nothing of it is kept here. */
  async #deliver(): Promise<void> {
    const archive = this.#archive;
    if (archive !== null && (await archive.deliver()) && this.#archive === archive) this.#archive = null;
    if (this.#archive === null && this.#call === null && this.#claim() === null) {
      await this.#forgetAll();
    }
  }

  async #forgetAll(): Promise<void> {
    // Forgotten, it could be used again. Its alarm comes back here.
    if (this.#entries.get('spent token') !== undefined) return;
    try {
      await this.ctx.storage.deleteAll();
      this.#writes.forget('');
    } catch (error) {
      log('warn', 'the storage could not be deleted', { error: describeError(error) });
      // Whoever has taken the id meanwhile holds it as long as it is theirs.
      if (this.#claim() === null) this.#alarms.setNoLater('forget', systemClock.now() + UNDELETED_MS);
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

/** For whom a leg calls that names nobody: a token of a person's, or of one call, is somebody's. */
function holderOf({ kind, id, call }: Principal): LegContext['holder'] {
  if (call !== undefined) return call;
  return kind === 'user' ? { userId: id, campaignId: null } : null;
}
