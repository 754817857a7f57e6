import type { Config } from '../config.ts';
import type { Env } from '../env.ts';
import { metricsShard } from '../metrics/read.ts';
import { shardOf } from '../metrics/totals.ts';
import type { CallRecords } from '../records/call-records.ts';
import type { Deliver } from './outbox.ts';
import { recordingKey, storeRecording } from './recording.ts';
import type { SqliteJournal } from './sqlite-journal.ts';

/** A call's object may outlive its longest call by setting up, finishing and a restart. */
export const LEASE_MARGIN_MS = 60_000;

/** Carries the call's facts to the database, the recordings bucket and the metrics. */
export function callDeliveries(options: {
  env: Env;
  config: Config;
  journal: SqliteJournal;
  records: () => CallRecords;
}): Deliver {
  const { env, config, journal, records } = options;
  return async (delivery, signal) => {
    const journaled = journal.read();
    if (journaled === null) throw new Error('the journal has no call');
    const { call, turns, failures, usage, end } = journaled;
    const { sampleRate: _, recording: recorded, ...started } = call;
    const shards = config.METRICS_SHARDS;
    const metrics = () => metricsShard(env, shardOf(call.callId, shards), shards);
    switch (delivery) {
      case 'metrics started':
        await metrics().started(
          call.callId,
          call.startTime,
          call.startTime + config.WEBSOCKET_TIMEOUT + LEASE_MARGIN_MS,
        );
        return;
      case 'log started':
        await records().started(started, signal);
        return;
      case 'log conversation':
        if (end === null && turns.length > 0) await records().conversation(call.callId, turns, signal);
        return;
      case 'recording':
        await storeRecording(env.RECORDINGS, journal, call, config.SPOOL_INTERVAL, signal);
        return;
    }
    if (end === null) throw new Error('the call has not ended');
    if (delivery === 'log ended') {
      const recording = recorded ? recordingKey(call) : null;
      const { status, reason, endTime } = end;
      await records().ended(
        { ...started, status, endReason: reason, endTime, recording, turns, failures, usage },
        signal,
      );
    } else {
      const latencies = turns.flatMap((turn) => turn.latency?.totalMs ?? []);
      await metrics().ended({
        callId: call.callId,
        startedAt: call.startTime,
        endedAt: end.endTime,
        durationMs: end.endTime - call.startTime,
        failed: end.status === 'failed',
        latencyMsSum: Math.round(latencies.reduce((sum, ms) => sum + ms, 0)),
        latencyCount: latencies.length,
      });
    }
  };
}
