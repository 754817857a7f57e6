import type { Clock, Random } from '../call/clock.ts';
import type { Config } from '../config.ts';
import { describeError, log } from '../log.ts';
import { RecordsError } from '../records/call-records.ts';
import type { DialRecords, EndedDial } from '../records/dials.ts';
import type { DialQueue } from './dial-queue.ts';
import type { Dial } from './dial-tables.ts';
import { storedCall } from './stored-call.ts';

/** Dials in one request to the database. */
const AT_ONCE = 100;
/** Requests in one run; the alarm brings the next. */
const MOST_REQUESTS = 20;
/** An answered call whose row has not come by then has had no stream: its row is written here. A database that was down has got it before. */
const NO_STREAM_MS = 10 * 60_000;

export interface DialDeliveriesOptions {
  queue: Pick<DialQueue, 'untold' | 'told' | 'untoldAgain'>;
  /** Connected when it is needed. */
  records: () => Pick<DialRecords, 'ended'>;
  config: Config;
  clock: Clock;
  random: Random;
}

/** Tells the database how calls that we placed have ended, or that they were answered, until it knows. */
export class DialDeliveries {
  readonly #options: DialDeliveriesOptions;

  constructor(options: DialDeliveriesOptions) {
    this.#options = options;
  }

  /** Delivers what is due. Never rejects. */
  async run(): Promise<void> {
    const { queue, clock } = this.#options;
    for (let request = 0; request < MOST_REQUESTS; request++) {
      const dials = queue.untold(AT_ONCE, clock.now()).map(({ dial }) => dial);
      if (dials.length === 0) return;
      await this.#deliver(dials);
    }
  }

  async #deliver(dials: readonly Dial[]): Promise<void> {
    const { queue, records, clock, random } = this.#options;
    try {
      const ended = await Promise.all(dials.map((dial) => this.#recordOf(dial)));
      const missing = new Set(await records().ended(ended, new AbortController().signal));
      for (const { callId } of dials) {
        if (missing.has(callId)) queue.untoldAgain(callId, random.fraction(), clock.now());
        else queue.told(callId, clock.now());
      }
    } catch (error) {
      // One that the database refuses must not keep back the others.
      if (dials.length > 1 && error instanceof RecordsError && !error.retryable) {
        for (const dial of dials) await this.#deliver([dial]);
        return;
      }
      log('error', 'the end of dialled calls could not be written', {
        dials: dials.length,
        error: describeError(error),
      });
      for (const { callId } of dials) queue.untoldAgain(callId, random.fraction(), clock.now());
    }
  }

  async #recordOf(dial: Dial): Promise<EndedDial> {
    const { clock, config } = this.#options;
    const endTime = dial.overAt ?? clock.now();
    const record = endedDial(dial, endTime, clock.now() - endTime >= NO_STREAM_MS);
    const { phoneNumber, metadata } = await storedCall(record, config);
    return { ...record, phoneNumber, metadata };
  }
}

/** What the client gave along with its request. */
export function metadataOf({ metadata }: Pick<Dial, 'metadata'>): Record<string, unknown> {
  return metadata === null ? {} : (JSON.parse(metadata) as Record<string, unknown>);
}

/** @param streamless whether an answered call is taken for one that had no stream, unless it has a row. */
export function endedDial(dial: Dial, endTime: number, streamless: boolean): EndedDial {
  const { callId, userId, campaignId, to, callerId, state, queuedAt, begunAt, ringingAt } = dial;
  const answered = state === 'answered';
  const reason = answered ? (streamless ? 'no stream' : null) : (dial.reason ?? state);
  return {
    callId,
    userId,
    campaignId,
    phoneNumber: to,
    startTime: queuedAt,
    metadata: { ...metadataOf(dial), direction: 'outbound', from: callerId, to, phoneNumber: to },
    endTime,
    end: reason === null ? null : { status: state === 'cancelled' ? 'ended' : 'failed', reason },
    dial: {
      state,
      reason,
      queuedMs: begunAt === null ? null : begunAt - queuedAt,
      ringMs: ringingAt === null ? null : endTime - ringingAt,
      node: begunAt === null ? null : dial.node,
      trunk: dial.trunk,
      callerId,
      cause: dial.cause,
      sipStatus: dial.sipStatus,
      q850: dial.q850,
    },
  };
}
