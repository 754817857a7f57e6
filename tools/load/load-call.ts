import type { Clock } from '../../src/call/clock.ts';
import { closeCodes, type SampleRate } from '../../src/dialects/native-messages.ts';
import type { FarEndName } from '../caller/ends/registry.ts';
import { type CallError, UpgradeRefusedError } from '../caller/errors.ts';
import { CallerLeg } from '../caller/leg.ts';
import type { ReceivedMessage } from '../caller/server-messages.ts';
import { Earpiece } from './earpiece.ts';
import type { Speaker } from './speaker.ts';
import type { Fault, Tally } from './tally.ts';

/** The longest waits for the socket, for the service to take the call, and for its close after the caller has hung up. */
const CONNECT_MS = 10_000;
const START_MS = 20_000;
const END_MS = 30_000;
/** How often each call pings, and how long an answer is waited for. */
const PING_EVERY_MS = 1_000;
const PING_LIMIT_MS = 10_000;

/** With these the service refuses a call of a dialect that cannot be told why. */
const refusals: ReadonlySet<number> = new Set([
  closeCodes.refused,
  closeCodes.fundsUsedUp,
  closeCodes.callIdInUse,
]);

export interface LoadCallOptions {
  clock: Clock;
  url: string;
  headers: Record<string, string>;
  dialect: 'native' | FarEndName;
  transport: 'json' | 'binary';
  sampleRate: SampleRate;
  userId: string;
  /** In the native dialect; the other ends make their own. */
  callId: string;
  metadata: Record<string, string>;
  speaker: Speaker;
  /** After which the caller hangs up. */
  lengthMs: number;
  tally: Tally;
}

/**
 * One call of a load test: keeps no audio, has no timer of its own, and counts what happens. Whoever paces it calls `tick` every 20 ms,
 * from its making to its end.
 */
export class LoadCall {
  readonly #options: LoadCallOptions;
  readonly #leg: CallerLeg;
  readonly #earpiece = new Earpiece();
  readonly #placedAt: number;
  readonly #pings = new Map<number, number>();
  #state: 'connecting' | 'starting' | 'up' | 'ending' | 'over' = 'connecting';
  /** When the state that it is in began. */
  #since: number;
  #nextPingAt: number;
  #pinged = 0;
  #lastError: string | null = null;
  #fault: Fault | null = null;
  #heard = false;
  #spoke = false;
  /** Something was said to its end and not answered before the caller went on. */
  #unanswered = false;
  /** When the caller's last utterance ended that is not answered yet. */
  #awaiting: number | null = null;
  /** Whether what comes now is an answer: the native dialect tells when one begins. */
  #announced = false;

  constructor(options: LoadCallOptions) {
    const { clock, dialect, transport, sampleRate, headers, tally } = options;
    this.#options = options;
    this.#placedAt = clock.now();
    this.#since = this.#placedAt;
    this.#nextPingAt = this.#placedAt;
    tally.count('placed');
    const url = new URL(options.url);
    if (dialect === 'native') url.searchParams.set('callId', options.callId);
    this.#leg = new CallerLeg(
      {
        url: url.href,
        headers,
        transport,
        encoding: 'mulaw',
        sampleRate,
        connectMs: CONNECT_MS,
        ...(dialect === 'native' ? {} : { as: dialect }),
      },
      {
        message: (message) => this.#message(message),
        audio: (samples) => this.#audio(samples.length),
        failed: (error) => this.#failed(error),
        closed: (code) => this.#closed(code),
        pong: (payload) => this.#pong(payload),
      },
    );
  }

  get up(): boolean {
    return this.#state === 'up';
  }

  get over(): boolean {
    return this.#state === 'over';
  }

  /** It was refused, dropped or failed. */
  get faulty(): boolean {
    return this.#fault !== null;
  }

  /** Milliseconds since it was placed. */
  get ageMs(): number {
    return this.#options.clock.now() - this.#placedAt;
  }

  /** True if a frame was sent. */
  tick(): boolean {
    const now = this.#options.clock.now();
    switch (this.#state) {
      case 'connecting':
        if (now - this.#since > CONNECT_MS) this.#end('failed', 'CONNECT_TIMEOUT');
        return false;
      case 'starting':
        if (now - this.#since > START_MS) this.#end('failed', 'START_TIMEOUT');
        return false;
      case 'ending':
        if (now - this.#since > END_MS) this.#end('failed', 'END_TIMEOUT');
        return false;
      case 'over':
        return false;
    }
    if (now - this.#since > this.#options.lengthMs) {
      this.hangUp();
      return false;
    }
    for (const name of this.#earpiece.played(now)) this.#leg.send({ type: 'mark', name });
    this.#ping(now);
    return this.#speak();
  }

  /** Ends it in order; what the service has not taken yet is given up. Idempotent. */
  hangUp(): void {
    if (this.#state === 'connecting' || this.#state === 'starting') {
      this.#options.tally.count('cancelled');
      this.#finish();
    } else if (this.#state === 'up') {
      this.#enter('ending');
      this.#leg.send({ type: 'end_call' });
    }
  }

  // --- what comes -------------------------------------------------------------------------------------------

  #message(message: ReceivedMessage): void {
    const now = this.#options.clock.now();
    switch (message.type) {
      case 'status':
        if (message.status === 'processing') this.#announced = true;
        if (message.status === 'ready') this.#ready(message.callId);
        return;
      case 'error':
        this.#lastError = message.code;
        if (this.#state === 'connecting' || this.#state === 'starting') this.#end('refused', message.code);
        else if (this.#state === 'up') this.#options.tally.error(message.code);
        return;
      case 'mark':
        this.#earpiece.mark(message.name, now);
        return;
      case 'clear':
        this.#earpiece.clear(now);
        // An answer so far is none, and a new one will be announced.
        this.#announced = false;
        return;
      case 'transfer':
        this.#leg.send({ type: 'transfer', state: 'failed', cause: 'UNALLOCATED_NUMBER', sipStatus: 404 });
        return;
    }
  }

  #ready(announcedId: string | undefined): void {
    const { dialect, callId, userId, metadata, transport, sampleRate, tally } = this.#options;
    if (this.#state === 'connecting') {
      this.#enter('starting');
      this.#leg.send({
        type: 'start_call',
        callId: dialect === 'native' ? callId : (announcedId ?? callId),
        userId,
        metadata,
        audio: { transport, encoding: 'mulaw', sampleRate },
        features: ['clear', 'mark'],
      });
    } else if (this.#state === 'starting') {
      tally.count('accepted');
      tally.measure('setUpMs', this.ageMs);
      this.#enter('up');
    }
  }

  #audio(samples: number): void {
    if (this.#state !== 'up') return;
    const { clock, sampleRate, dialect, tally } = this.#options;
    const now = clock.now();
    const ms = (samples / sampleRate) * 1000;
    tally.count('audioMessages');
    tally.count('audioMs', ms);
    this.#earpiece.audio(ms, now);
    if (!this.#heard) {
      this.#heard = true;
      if (!this.#spoke) {
        tally.count('greeted');
        tally.measure('greetingMs', now - this.#placedAt);
      }
    }
    if (this.#awaiting !== null && (this.#announced || dialect !== 'native')) {
      tally.count('said');
      tally.count('answered');
      tally.measure('answerMs', now - this.#awaiting);
      this.#awaiting = null;
    }
  }

  #pong(payload: Uint8Array): void {
    if (payload.length !== 4) return;
    const number = new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0);
    const sentAt = this.#pings.get(number);
    if (sentAt === undefined) return;
    this.#pings.delete(number);
    this.#options.tally.measure('roundTripMs', this.#options.clock.now() - sentAt);
  }

  #failed(error: CallError): void {
    if (error instanceof UpgradeRefusedError) this.#end('refused', error.serviceCode ?? `HTTP_${error.code}`);
    else if (error.failure === 'timeout') this.#end('failed', 'NOT_READ');
    else if (error.failure === 'protocol') this.#end('failed', 'PROTOCOL');
    else if (this.#state === 'connecting') this.#end('failed', systemCode(error) ?? 'CONNECT');
    // Of a connection that stood the close, which follows, tells.
  }

  #closed(code: number): void {
    const { tally } = this.#options;
    const reason = this.#lastError ?? `CLOSE_${code}`;
    if (this.#state === 'ending' && (code === closeCodes.ended || code === noCode)) {
      tally.count('ended');
      this.#finish();
    } else if (this.#state === 'connecting' || this.#state === 'starting' || this.#refusedWithoutWord(code)) {
      this.#end('refused', reason);
    } else if (this.#state === 'up' && code === closeCodes.ended) {
      tally.count('endedByService');
      this.#finish();
    } else {
      this.#end('dropped', reason);
    }
  }

  #refusedWithoutWord(code: number): boolean {
    return refusals.has(code) && !this.#heard;
  }

  // --- what goes --------------------------------------------------------------------------------------------

  #speak(): boolean {
    const { speaker, tally, clock } = this.#options;
    const { samples, speech, begins, ends } = speaker.next();
    if (begins) {
      if (this.#awaiting !== null) {
        tally.count('said');
        this.#unanswered = true;
      }
      this.#awaiting = null;
      this.#announced = false;
      this.#spoke = true;
    }
    this.#leg.sendAudio(samples);
    tally.count('framesSent');
    if (speech) tally.count('framesSpoken');
    if (ends) this.#awaiting = clock.now();
    return true;
  }

  #ping(now: number): void {
    if (now < this.#nextPingAt) return;
    this.#nextPingAt = now + PING_EVERY_MS;
    const { tally } = this.#options;
    for (const [number, sentAt] of this.#pings) {
      if (now - sentAt <= PING_LIMIT_MS) break;
      this.#pings.delete(number);
      tally.count('pingsLost');
    }
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, this.#pinged);
    this.#pings.set(this.#pinged, now);
    this.#pinged += 1;
    tally.count('pings');
    this.#leg.ping(payload);
  }

  #enter(state: 'starting' | 'up' | 'ending'): void {
    this.#state = state;
    this.#since = this.#options.clock.now();
  }

  #end(fault: Fault, reason: string): void {
    if (this.#state === 'over') return;
    this.#fault = fault;
    this.#options.tally.fault(fault, reason);
    this.#finish();
  }

  /** The socket is gone, or is not waited for any more. */
  #finish(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    if (this.#fault === null && this.#unanswered && !this.#heard) {
      this.#fault = 'failed';
      this.#options.tally.fault('failed', 'SILENT');
    }
    this.#leg.terminate();
  }
}

/** What the WebSocket's library tells of a close frame without a code (RFC 6455 section 7.4.1). */
const noCode = 1005;

/** What the system calls the failure of a connection, e.g. `ECONNREFUSED`. */
function systemCode({ cause }: CallError): string | null {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
}
