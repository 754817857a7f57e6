import { encodeBase64 } from '../audio/base64.ts';
import type { CallCounts } from '../call/call-counts.ts';
import type { Clock } from '../call/clock.ts';
import { type Books, billedSeconds } from '../call/funds.ts';
import type { JournaledCall } from '../call/journal.ts';
import type { Config } from '../config.ts';
import { callCost, knownCosts } from '../cost/call-cost.ts';
import { configuredPrices } from '../cost/price-list.ts';
import { perProvider } from '../cost/usage.ts';
import type { Env } from '../env.ts';
import { log, personalId } from '../log.ts';
import { REPORT_LEASE_MS, sumsOf } from '../metrics/call-report.ts';
import { metricsShard } from '../metrics/read.ts';
import { shardOf } from '../metrics/totals.ts';
import { type CallRecords, RecordsError } from '../records/call-records.ts';
import { recordingsIn } from '../regions/namespaces.ts';
import type { Jurisdiction } from '../regions/settings.ts';
import type { CallAnalytics } from './call-analytics.ts';
import { type Deliver, type Delivery, WAITING_MS } from './outbox.ts';
import { recordingKey } from './recordings/format.ts';
import { isolateOpus } from './recordings/opus-wasm.ts';
import type { RecordingPlans } from './recordings/plan.ts';
import { renamedRow, storeRecording } from './recordings/store.ts';
import type { SqliteJournal } from './sqlite-journal.ts';
import { storedCall, storedTransfers, transcriptToStore, turnsToStore } from './stored-call.ts';

/** Postgres' unique_violation: the id names another call (`call_started` in the migrations). */
const ID_TAKEN = '23505';

/** Carries the call's facts to the database, the recordings bucket and the metrics. */
export function callDeliveries(options: {
  env: Env;
  config: Config;
  /** Where the call's recording has to be; null: anywhere. */
  jurisdiction: () => Jurisdiction | null;
  clock: Clock;
  journal: SqliteJournal;
  plans: RecordingPlans;
  records: () => CallRecords;
  books: () => Books;
  /** Null: there is no data set. */
  analytics: CallAnalytics | null;
  /** How the conversation has gone so far. */
  counts: () => CallCounts;
  /** Deliveries that have failed and are to be repeated. */
  waiting: () => readonly Delivery[];
}): Deliver {
  const { env, config, jurisdiction, clock, journal, plans, records, books, analytics, counts, waiting } =
    options;
  const shape = { format: config.RECORDING_FORMAT, channels: config.RECORDING_CHANNELS };
  /** Turns that the database has; after a restart they are sent again, which changes nothing. */
  let turnsSent = 0;

  /** Writes to the database; where the id is taken, under another one. */
  const record = async (write: (journaled: JournaledCall) => Promise<void>): Promise<void> => {
    const journaled = readCall(journal);
    try {
      await write(journaled);
    } catch (error) {
      const { callId } = journaled.call;
      const taken = error instanceof RecordsError && error.code === ID_TAKEN && journaled.rowId === callId;
      if (!taken) throw error;
      journal.append({ type: 'renamed', rowId: renamedRow(journaled.call) });
      await write(readCall(journal));
    }
  };

  return async (delivery, signal) => {
    switch (delivery) {
      case 'log started':
        await record(async ({ call, rowId }) =>
          records().started({ ...(await storedCall(call, config)), callId: rowId }, signal),
        );
        return;
      case 'log conversation': {
        const journaled = readCall(journal);
        if (journaled.end !== null) return;
        const turns = turnsToStore(journaled, turnsSent, config);
        if (turns.length === 0) return;
        await records().conversation(journaled.rowId, turns, signal);
        turnsSent += turns.length;
        return;
      }
      case 'log ended':
        await record(async (journaled) => {
          const { call, rowId, usage, counts, transfers } = journaled;
          const { turns, failures } = await transcriptToStore(journaled, config, clock, signal);
          const { status, reason, endTime } = endOf(journaled);
          const recording = call.recording
            ? (plans.read()?.key ?? recordingKey(rowId, call.startTime, shape.format))
            : null;
          await records().ended(
            {
              ...(await storedCall(call, config)),
              callId: rowId,
              status,
              endReason: reason,
              endTime,
              recording,
              turns,
              failures,
              usage: perProvider(usage),
              transfers: await storedTransfers(transfers, config),
              counts,
            },
            signal,
          );
          // The row says it now.
          if (recording !== null) plans.decide(recording, shape);
        });
        return;
      case 'log cost': {
        const { rowId, usage } = readCall(journal);
        await records().costed(rowId, callCost(usage, configuredPrices(config)), signal);
        return;
      }
      case 'payment':
        await settle(books(), readCall(journal), signal);
        return;
      case 'recording': {
        const { call, rowId } = readCall(journal);
        const bucket = recordingsIn(env, jurisdiction());
        if (bucket === null) throw new Error(`there is no bucket in ${jurisdiction()}`);
        await storeRecording({
          bucket,
          spool: journal,
          plans,
          call,
          rowId,
          shape,
          opus: isolateOpus,
          clock,
          signal,
        });
        return;
      }
      case 'metrics':
        await report(readCall(journal));
        return;
      case 'analytics': {
        const journaled = readCall(journal);
        return await analytics?.write(journaled, costOf(journaled).costMicroUsd);
      }
      case 'metrics waiting': {
        const { shard, call } = await counted(readCall(journal));
        await shard.waiting(call, waiting(), clock.now() + WAITING_MS);
        return;
      }
    }
  };

  function costOf({ usage }: JournaledCall) {
    return callCost(usage, configuredPrices(config));
  }

  async function report(journaled: JournaledCall): Promise<void> {
    const { shard, call } = await counted(journaled);
    const { end } = journaled;
    const at = clock.now();
    await shard.report({
      call,
      startedAt: journaled.call.startTime,
      at,
      aliveUntil: at + REPORT_LEASE_MS,
      end: end === null ? null : { at: end.endTime, reason: end.reason, failed: end.status === 'failed' },
      sums: sumsOf({
        ...journaled,
        counts: journaled.counts ?? counts(),
        costMicroUsd: knownCosts(costOf(journaled)),
      }),
    });
  }

  async function counted(journaled: JournaledCall) {
    const shards = config.METRICS_SHARDS;
    const shard = metricsShard(env, shardOf(journaled.call.callId, shards), shards);
    return { shard, call: await countedAs(journaled) };
  }
}

/**
 * What a call is counted under, for a week: only the same call matches it, and nobody can find the call's id by it, which may be somebody's
 * number. The token is random, and has gone with the call.
 */
async function countedAs({ call, resumeToken }: JournaledCall): Promise<string> {
  const text = JSON.stringify([resumeToken, call.callId, call.startTime]);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return encodeBase64(digest);
}

/** Charges the call. What cannot be collected is no failure of the delivery: a repeat would not collect it either. */
async function settle(books: Books, journaled: JournaledCall, signal: AbortSignal): Promise<void> {
  const { callId, userId, startTime, funds, trace } = journaled.call;
  if (funds === undefined) return;
  const seconds = billedSeconds(startTime, endOf(journaled).endTime, funds.limitMs);
  const settlement = await books.settle({ callId, userId, startTime }, seconds, signal);
  if (settlement.outcome === 'no account') {
    log('error', 'nobody pays for a call', { callId: personalId(callId), trace: trace?.traceId, seconds });
  }
  if (settlement.outcome === 'charged' && settlement.uncollected > 0) {
    log('error', 'an account could not pay for a call', {
      callId: personalId(callId),
      trace: trace?.traceId,
      seconds,
      uncollected: settlement.uncollected,
    });
  }
}

function readCall(journal: SqliteJournal): JournaledCall {
  const journaled = journal.read();
  if (journaled === null) throw new Error('the journal has no call');
  return journaled;
}

function endOf({ end }: JournaledCall): NonNullable<JournaledCall['end']> {
  if (end === null) throw new Error('the call has not ended');
  return end;
}
