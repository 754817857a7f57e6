import type { Opus } from '../../audio/opus.ts';
import type { Clock } from '../../call/clock.ts';
import type { StartedCallFacts } from '../../call/events.ts';
import { type RecordingShape, recordingContentType, recordingKey, recordingRate } from './format.ts';
import { Gate, waited } from './gate.ts';
import type { RecordingPlan, RecordingPlans } from './plan.ts';
import { recordingFile } from './recording-file.ts';
import { recordingSamples, type Spool, spooledAudio } from './spooled-audio.ts';
import { partBytes, uploadRecording } from './upload.ts';

/**
 * Recordings of this isolate that may hold a part in memory at once: four of 5 MiB are a sixth of its 128 MB. Such
 * recordings also take the most of its time.
 */
const gate = new Gate({
  places: 4,
  // Twice as long as the outbox gives a delivery.
  holdMs: 120_000,
  lookMs: 200,
});

export interface StoreRecordingOptions {
  bucket: R2Bucket;
  spool: Spool;
  plans: RecordingPlans;
  call: StartedCallFacts;
  /** The call's id in the database, so far as it is known. */
  rowId: string;
  /** What the settings say now; a decision made before stands. */
  shape: RecordingShape;
  /** The codec; loaded for Ogg Opus only. */
  opus: () => Opus;
  clock: Clock;
  signal: AbortSignal;
}

/**
 * Assembles a call's recording from its spool and stores it: the call is never in memory as a whole, and other calls of the
 * isolate have their turns between slices of work. Idempotent; what an attempt that was cut off left in the bucket is
 * removed. Rejects with R2's error, or with the signal's reason.
 */
export async function storeRecording(options: StoreRecordingOptions): Promise<void> {
  const { bucket, spool, plans, call, opus, clock, signal } = options;
  const plan = plans.read() ?? (await decide(options));
  const samples = recordingSamples(spool, call);
  if (await isStoredLonger(bucket, plan.key, call, samples)) return;
  const file = recordingFile(plan, samples, spooledAudio(spool, call, plan.channels), opus);
  const wait = (ms: number, until: AbortSignal) => waited(clock, ms, until);
  const upload = () =>
    uploadRecording({
      bucket,
      key: plan.key,
      object: {
        httpMetadata: { contentType: recordingContentType(plan.format) },
        customMetadata: {
          callId: call.callId,
          userId: call.userId,
          startTime: String(call.startTime),
          durationSeconds: secondsOf(samples),
          channels: String(plan.channels),
        },
      },
      file,
      open: { read: () => plans.read()?.upload ?? null, write: (id) => plans.setUpload(id) },
      rest: () => wait(0, signal),
      wait,
      signal,
    });
  const streamed = file.bytes !== null && file.bytes <= partBytes;
  await (streamed ? upload() : gate.run(clock, signal, upload));
}

/**
 * Where the row has not been written yet, nobody has looked whether the call's id names an older call, whose recording would be
 * overwritten: the bucket tells.
 */
async function decide({ bucket, plans, call, rowId, shape }: StoreRecordingOptions): Promise<RecordingPlan> {
  const key = recordingKey(rowId, call.startTime, shape.format);
  const there = await bucket.head(key);
  const others = there !== null && there.customMetadata?.startTime !== String(call.startTime);
  return plans.decide(others ? recordingKey(renamedRow(call), call.startTime, shape.format) : key, shape);
}

const secondsOf = (samples: number) => (samples / recordingRate).toFixed(3);

/**
 * Whether the bucket has more of this call's recording than the spool: where the storage took no writes, it was delivered from the memory
 * of an object that was lost before it could write that down.
 */
async function isStoredLonger(
  bucket: R2Bucket,
  key: string,
  { startTime }: StartedCallFacts,
  samples: number,
): Promise<boolean> {
  const stored = (await bucket.head(key))?.customMetadata;
  return (
    stored?.startTime === String(startTime) && Number(stored.durationSeconds) > Number(secondsOf(samples))
  );
}

/** The id of a row whose call's own id names another call: `{callId}.{startTime}`, as long as an id may be. */
export function renamedRow({ callId, startTime }: Pick<StartedCallFacts, 'callId' | 'startTime'>): string {
  return `${callId.slice(0, 112)}.${startTime}`;
}
