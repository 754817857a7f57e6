import type { Clock, Random, Timer } from '../call/clock.ts';
import type { CallEvent, StartedCallFacts } from '../call/events.ts';
import type { AudioChunk, CallFact } from '../call/journal.ts';
import type { PastCall } from '../call/past-call.ts';
import { type Config, LEASE_MARGIN_MS } from '../config.ts';
import type { Env } from '../env.ts';
import { log } from '../log.ts';
import { REPORT_MS } from '../metrics/call-report.ts';
import { connectBooks, connectRecords } from '../records/connect.ts';
import type { Jurisdiction } from '../regions/settings.ts';
import type { Alarms } from './alarms.ts';
import { CallAnalytics } from './call-analytics.ts';
import { callDeliveries } from './call-deliveries.ts';
import { CallProgress } from './call-progress.ts';
import { KeptEntries } from './kept-entries.ts';
import type { Writes } from './kept-writes.ts';
import { type Delivery, Outbox } from './outbox.ts';
import { RecordingPlans } from './recordings/plan.ts';
import { SqliteJournal } from './sqlite-journal.ts';
import { dropTables, hasTables, migrate } from './storage.ts';
import { WriteBehind } from './write-behind.ts';

type ClosedCall = Extract<CallEvent, { type: 'call.closed' }>;

export interface CallArchiveOptions {
  storage: DurableObjectStorage;
  writes: Writes;
  alarms: Alarms;
  env: Env;
  config: Config;
  /** Where the call's recording has to be; null: anywhere. */
  jurisdiction: () => Jurisdiction | null;
  clock: Clock;
  random: Random;
}

/**
 * The durable half of a call: writes its events down as facts, its audio as chunks, and sees to it that they reach
 * the database, the bucket and the metrics, however often the object is restarted meanwhile.
 */
export class CallArchive {
  readonly #options: CallArchiveOptions;
  readonly #journal: SqliteJournal;
  readonly #outbox: Outbox;
  readonly #progress: CallProgress;
  readonly #plans: RecordingPlans;
  /** Null: there is no data set. */
  readonly #analytics: CallAnalytics | null;
  /** What was said and is to be said: written before any audio of it goes out. */
  readonly #words: WriteBehind;
  /** What is charged: written with whatever is written next, so that it costs no row of its own. A crash may cost as much of it as of the audio. */
  #bills: CallFact[] = [];
  #billsTimer: Timer | null = null;
  #conversationTimer: Timer | null = null;
  #reportTimer: Timer | null = null;
  /** Samples of the recording that the storage did not take, and memory had no room for. */
  #lostSamples = 0;
  #ended = false;
  #delivered = false;

  constructor(options: CallArchiveOptions) {
    this.#options = options;
    const { storage, writes, alarms, env, config, jurisdiction, clock, random } = options;
    // As a whole or not at all: half of the tables could not be made again.
    writes.write('call/tables', () => storage.transactionSync(() => migrate(storage.sql)));
    const entries = new KeptEntries(storage.kv, writes, 'call/entry/');
    this.#journal = new SqliteJournal(storage.sql, writes);
    this.#progress = new CallProgress(entries);
    this.#plans = new RecordingPlans(entries);
    this.#analytics =
      env.ANALYTICS === undefined
        ? null
        : // Of a data set nobody can say where it is kept.
          new CallAnalytics(env.ANALYTICS, entries, config, () => jurisdiction() !== null);
    this.#words = new WriteBehind(clock);
    const deliver = callDeliveries({
      env,
      config,
      jurisdiction,
      clock,
      journal: this.#journal,
      plans: this.#plans,
      records: connectRecords(config),
      books: connectBooks(config),
      analytics: this.#analytics,
      counts: () => this.#progress.counts,
      waiting: () => this.#outbox.waiting,
    });
    const trace = () => this.#journal.read()?.call.trace?.traceId;
    this.#outbox = new Outbox({ sql: storage.sql, writes, alarms, clock, random, deliver, trace });
  }

  /** True where the call has begun and its end is not written down. */
  get unfinished(): boolean {
    this.#flush();
    const journaled = this.#journal.read();
    return journaled !== null && journaled.end === null;
  }

  /** True: nobody needs the chunk's arrays any more. */
  storeAudio(chunk: AudioChunk): boolean {
    const stored = this.#journal.appendAudio(chunk);
    if (stored === 'lost') this.#lostSamples += chunk.length;
    this.#append();
    return stored !== 'kept';
  }

  /** What a client needs to come back to a call that the object has lost; null where there is none. */
  get lost(): { call: StartedCallFacts; resumeToken: string } | null {
    this.#flush();
    const journaled = this.#journal.read();
    return journaled === null || journaled.end !== null ? null : journaled;
  }

  /** The call as it was written down, to be taken up again. Throws where there is none. */
  past(): PastCall & { resumeToken: string } {
    this.#flush();
    const journaled = this.#journal.read();
    if (journaled === null || journaled.end !== null) throw new Error('there is no call to take up');
    const { call, resumeToken, history, language } = journaled;
    const { chunks, samples } = this.#journal.audioExtent(call.chunkSamples);
    const progress = this.#progress.read();
    const lastMs = Math.max(
      (samples * 1000) / call.sampleRate,
      ...journaled.turns.map((turn) => turn.endMs),
      ...progress.heard.map((sentence) => sentence.until - call.startTime),
    );
    return {
      call,
      resumeToken,
      history,
      // Copies: the progress goes on with what is said next.
      heard: [...progress.heard],
      unheard: [...progress.unheard],
      acts: progress.acts,
      transfers: {
        pending: progress.transfer,
        untold: progress.untold,
        tried: journaled.transfers.length + (progress.transfer === null ? 0 : 1),
      },
      written: progress.written,
      owed: progress.owed,
      keys: progress.keys,
      language,
      counts: progress.counts,
      nextTurn: Math.max(progress.nextTurn, journaled.nextTurn),
      spooledSamples: samples,
      callerAudio: (fromSample) => this.#callerAudio(fromSample, chunks, call.chunkSamples),
      lostAt: call.startTime + Math.round(lastMs),
    };
  }

  /** The call was taken up again: it has its whole time. */
  takenUp(): void {
    const lost = this.lost;
    if (lost === null) return;
    this.#expectEnd(lost.call.startTime);
    this.#report();
  }

  /** Tells the objects that count how the call stands, now and every minute until it ends. */
  #report(): void {
    this.#outbox.put(...this.#counting);
    void this.#outbox.run();
    this.#reportLater();
  }

  get #counting(): Delivery[] {
    return this.#analytics === null ? ['metrics'] : ['metrics', 'analytics'];
  }

  #reportLater(): void {
    this.#reportTimer?.cancel();
    this.#reportTimer = this.#options.clock.after(REPORT_MS, () => this.#report());
  }

  *#callerAudio(
    fromSample: number,
    chunks: number,
    chunkSamples: number,
  ): Generator<{ samples: Int16Array; position: number }> {
    for (let index = Math.floor(fromSample / chunkSamples); index < chunks; index++) {
      const samples = this.#journal.audioChunk(index)?.caller;
      if (samples === null || samples === undefined) continue;
      const position = index * chunkSamples;
      const skip = Math.max(0, fromSample - position);
      if (skip < samples.length) yield { samples: samples.subarray(skip), position: position + skip };
    }
  }

  #expectEnd(startTime: number): void {
    const { config, alarms } = this.#options;
    alarms.set('recover', startTime + config.WEBSOCKET_TIMEOUT + LEASE_MARGIN_MS);
  }

  /** The object lost the call, by a crash or an update: it ended with its last trace. Null: there is none that was lost. */
  closeLost(): Pick<ClosedCall, 'reason' | 'status' | 'endTime'> | null {
    const journaled = this.#journal.read();
    if (journaled === null || journaled.end !== null) return null;
    const { call, turns } = journaled;
    const audioMs = (this.#journal.audioExtent(call.chunkSamples).samples * 1000) / call.sampleRate;
    const { heard, counts, transfer } = this.#progress.read();
    const heardMs = heard.map((sentence) => sentence.until - call.startTime);
    const lastMs = Math.max(audioMs, ...turns.map((turn) => turn.endMs), ...heardMs);
    if (heard.length > 0) {
      const text = heard.map((sentence) => sentence.text).join(' ');
      const startMs = heard[0]!.from - call.startTime;
      const turn = {
        role: 'agent' as const,
        text,
        startMs,
        endMs: heardMs.at(-1)!,
        interrupted: true,
        latency: null,
      };
      this.#journal.append({ type: 'turn', turn: { ...turn, position: turns.length } });
    }
    if (counts !== null) this.#journal.append({ type: 'counted', counts });
    const endTime = call.startTime + Math.round(lastMs);
    if (transfer !== null) {
      const { until: _, ...asked } = transfer;
      const lost = { ...asked, endedAt: Math.max(endTime, asked.at), outcome: 'unknown' as const };
      this.#journal.append({ type: 'transfer', transfer: { ...lost, cause: null, sipStatus: null } });
    }
    // The last thing that it did was to hand the caller on.
    const transferred = journaled.transfers.at(-1)?.outcome === 'answered';
    const end: ClosedCall = transferred
      ? { type: 'call.closed', reason: 'transferred', status: 'ended', endTime }
      : { type: 'call.closed', reason: 'disconnected', status: 'failed', endTime };
    this.#end(end);
    return end;
  }

  /** Delivers what is due. Once all of an ended call is delivered, deletes it and resolves to true. */
  async deliver(): Promise<boolean> {
    await this.#outbox.run();
    // Another that waited for the same run was first.
    if (this.#delivered) return true;
    if (this.#outbox.depth > 0 || this.unfinished) return false;
    this.#delivered = true;
    const { storage, writes } = this.#options;
    writes.forget('call/');
    if (hasTables(storage.sql)) {
      writes.write('call/tables', () => storage.transactionSync(() => dropTables(storage.sql)));
    }
    this.#progress.forget();
    this.#plans.forget();
    this.#analytics?.forget();
    this.#options.alarms.set('recover', null);
    return true;
  }

  /** Takes one event of the call. `resumeToken` is the proof with which a client may come back to it. */
  hear(event: CallEvent, at: number, resumeToken: string): void {
    if (event.type === 'usage') {
      const { usage, turn } = event;
      this.#bills.push({ type: 'usage', usage, turn });
      // Of a call that is over nothing else will be written, and what it cost is told next.
      if (this.#ended) this.#append();
      else {
        this.#billsTimer ??= this.#options.clock.after(this.#options.config.SPOOL_INTERVAL, () =>
          this.#append(),
        );
      }
    } else if (precedesRequest(event)) {
      this.#words.add(() => this.#write(event, at, resumeToken));
    } else {
      if (!passing.has(event.type) && !isCallersTranscript(event)) this.#words.flush();
      this.#write(event, at, resumeToken);
    }
  }

  #flush(): void {
    this.#words.flush();
    this.#append();
  }

  #write(event: CallEvent, at: number, resumeToken: string): void {
    this.#progress.hear(event);
    switch (event.type) {
      case 'call.started': {
        this.#append({ type: 'started', call: event.call, resumeToken });
        this.#expectEnd(event.call.startTime);
        this.#outbox.put(...this.#counting, 'log started');
        void this.#outbox.run();
        this.#reportLater();
        return;
      }
      case 'turn.recorded':
        this.#append({ type: 'turn', turn: event.turn });
        this.#conversationTimer ??= this.#options.clock.after(
          this.#options.config.CONVERSATION_INTERVAL,
          () => {
            this.#conversationTimer = null;
            this.#outbox.put('log conversation');
            void this.#outbox.run();
          },
        );
        return;
      case 'failure': {
        const { code, provider, message } = event;
        this.#append({ type: 'failure', failure: { at, code, provider, message } });
        return;
      }
      case 'language.heard':
        this.#append({ type: 'language', language: event.language });
        return;
      case 'tool.ran':
        this.#append({ type: 'tool', run: event.run });
        return;
      case 'transfer':
        if (event.state === 'over') this.#append({ type: 'transfer', transfer: event.transfer });
        return;
      case 'call.counted':
        this.#append({ type: 'counted', counts: event.counts });
        return;
      case 'call.closed':
        this.#end(event);
        return;
    }
  }

  /** Writes it down, and what is charged with it. */
  #append(...facts: CallFact[]): void {
    this.#billsTimer?.cancel();
    this.#billsTimer = null;
    this.#journal.append(...facts, ...this.#bills.splice(0));
  }

  #end({ reason, status, endTime }: ClosedCall): void {
    this.#ended = true;
    this.#conversationTimer?.cancel();
    this.#reportTimer?.cancel();
    const call = this.#journal.read()?.call;
    if (call !== undefined && this.#lostSamples > 0) {
      this.#tellLoss(this.#lostSamples / call.sampleRate, call.trace?.traceId);
    }
    this.#append({ type: 'ended', reason, status, endTime });
    const deliveries: Delivery[] = [...this.#counting, 'log ended', 'log cost'];
    if (call?.funds !== undefined) deliveries.push('payment');
    if (call?.recording === true) deliveries.push('recording');
    this.#outbox.put(...deliveries);
  }

  #tellLoss(seconds: number, trace: string | undefined): void {
    const message = `The storage took no audio: ${seconds.toFixed(1)} s of the recording are missing`;
    const failure = { at: this.#options.clock.now(), code: 'INTERNAL_ERROR', provider: null, message };
    this.#journal.append({ type: 'failure', failure });
    log('error', 'a part of a recording is lost', { trace, seconds });
  }
}

/** Whether a vendor is asked at once for what follows from it: for the answer to the caller's turn, for the speech of a sentence. */
function precedesRequest(event: CallEvent): boolean {
  if (event.type === 'turn.recorded') return event.turn.role === 'caller';
  return event.type === 'agent.sentence' && (event.state === 'planned' || event.state === 'written');
}

/** Events of which nothing is written at once, and that no audio follows. */
const passing: ReadonlySet<CallEvent['type']> = new Set([
  'listening',
  'thinking',
  'overlap',
  'turn.reopened',
  'latency',
  'speculation',
  'cache',
  'wording',
]);

/** The agent's tells that the first audio of a sentence goes out. */
function isCallersTranscript(event: CallEvent): boolean {
  return event.type === 'transcript' && event.role === 'caller';
}
