import { runInDurableObject } from 'cloudflare:test';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/call/clock.ts';
import type { StartedCallFacts } from '../../src/call/events.ts';
import { isolateOpus } from '../../src/durable/recordings/opus-wasm.ts';
import { RecordingPlans } from '../../src/durable/recordings/plan.ts';
import type { Spool } from '../../src/durable/recordings/spooled-audio.ts';
import { storeRecording } from '../../src/durable/recordings/store.ts';
import {
  ask,
  begin,
  connected,
  expectDeliveredOnce,
  greeting,
  hangUp,
  nextId,
  objectOf,
  question,
  recordOf,
  ringAfter,
  untilTried,
} from './outage-support.ts';
import { bindings, scriptVendor } from './support.ts';

afterEach(() => vi.restoreAllMocks());

const bucket = bindings.RECORDINGS;
const chunkSamples = 16_000;

/** A call of which the recording has two parts and a rest. */
const seconds = 400;
/** No two chunks are alike. */
const material = Int16Array.from({ length: chunkSamples + seconds }, (_, i) => (i * 7919) % 20_011);
const spool: Spool = {
  audioExtent: () => ({ chunks: (seconds * 8000) / chunkSamples, samples: seconds * 8000 }),
  audioChunk(index) {
    const caller = material.subarray(index, index + chunkSamples);
    const agent = material.subarray(seconds - index, seconds - index + chunkSamples);
    return { index, length: chunkSamples, caller, agent };
  },
};

/** Waits a fiftieth of the time: between attempts nothing happens. */
const hurried: Clock = { now: systemClock.now, after: (ms, task) => systemClock.after(ms / 50, task) };

const newCall = (): StartedCallFacts => ({
  callId: nextId(),
  userId: 'user-1',
  campaignId: null,
  phoneNumber: null,
  startTime: Date.UTC(2026, 10, 21, 12),
  metadata: {},
  sampleRate: 8000,
  recording: true,
  chunkSamples,
});

type Step = 'create' | 'part 1' | 'part 2' | 'part 3' | 'complete' | 'abort';

/** The real bucket; `before` may refuse a step or hold it up. Remembers the uploads that are open. */
function faulty(before: (step: Step, attempt: number) => void | Promise<void>) {
  const open = new Set<string>();
  const counts = new Map<Step, number>();
  const at = async (step: Step) => {
    const attempt = (counts.get(step) ?? 0) + 1;
    counts.set(step, attempt);
    await before(step, attempt);
  };
  const wrap = (upload: R2MultipartUpload): R2MultipartUpload => {
    const { key, uploadId } = upload;
    return {
      key,
      uploadId,
      async uploadPart(number, value: Uint8Array) {
        // A view of a buffer that is used again: what is held up is copied, as R2 does.
        const bytes = value.slice();
        await at(`part ${number}` as Step);
        return upload.uploadPart(number, bytes);
      },
      async complete(parts) {
        await at('complete');
        const object = await upload.complete(parts);
        open.delete(uploadId);
        return object;
      },
      async abort() {
        await at('abort');
        await upload.abort();
        open.delete(uploadId);
      },
    } as R2MultipartUpload;
  };
  const through = {
    head: (key: string) => bucket.head(key),
    async createMultipartUpload(key: string, options: R2MultipartOptions) {
      await at('create');
      const upload = await bucket.createMultipartUpload(key, options);
      open.add(upload.uploadId);
      return wrap(upload);
    },
    resumeMultipartUpload: (key: string, id: string) => wrap(bucket.resumeMultipartUpload(key, id)),
  };
  return { open, counts, through: through as unknown as R2Bucket };
}

function withPlans<T>(test: (plans: RecordingPlans) => Promise<T>): Promise<T> {
  return runInDurableObject(objectOf(nextId()), (_, { storage }) => test(new RecordingPlans(storage.kv)));
}

async function store(
  plans: RecordingPlans,
  call: StartedCallFacts,
  through: R2Bucket,
  signal = new AbortController().signal,
): Promise<void> {
  await storeRecording({
    bucket: through,
    spool,
    plans,
    call,
    rowId: call.callId,
    shape: { format: 'wav', channels: 2 },
    opus: isolateOpus,
    clock: hurried,
    signal,
  });
}

async function digestOf(key: string): Promise<string> {
  const bytes = await (await bucket.get(key))!.arrayBuffer();
  return `${bytes.byteLength} ${btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))))}`;
}

let undisturbed: Promise<string> | null = null;
/** What a bucket that never failed has. */
function wholeFile(): Promise<string> {
  undisturbed ??= withPlans(async (plans) => {
    await store(plans, newCall(), bucket);
    return await digestOf(plans.read()!.key);
  });
  return undisturbed;
}

const refusal = () => {
  throw new Error('put: We encountered an internal error. Please try again. (10001)');
};

describe('a bucket that refuses', () => {
  it.each([
    ['to begin an upload, five times', 'create', 5],
    ['the first part once', 'part 1', 1],
    ['the second part nine times', 'part 2', 9],
    ['the last part four times', 'part 3', 4],
    ['to complete the upload, three times', 'complete', 3],
  ] as const)('%s: the file is whole in the end, as one that was never disturbed', async (_, step, times) => {
    const call = newCall();
    const { open, counts, through } = faulty((at, attempt) => {
      if (at === step && attempt <= times) refusal();
    });
    await withPlans(async (plans) => {
      // As the outbox does: again and again.
      for (let attempt = 0; attempt < 10; attempt++) {
        const stored = await store(plans, call, through).then(
          () => true,
          () => false,
        );
        // What was begun in vain is not left open.
        expect(open).toEqual(new Set());
        if (stored) break;
      }
      expect(counts.get(step)).toBeGreaterThan(times);
      expect(plans.read()?.upload).toBeNull();
      expect(await digestOf(plans.read()!.key)).toBe(await wholeFile());
    });
  });

  it('also to abort what it refused: the next attempt aborts it', async () => {
    const call = newCall();
    const { open, through } = faulty((at, attempt) => {
      if (at === 'complete' && attempt === 1) refusal();
      if (at === 'abort' && attempt === 1) refusal();
    });
    await withPlans(async (plans) => {
      await expect(store(plans, call, through)).rejects.toThrow('10001');
      expect(plans.read()?.upload).toBe([...open][0]);
      await store(plans, call, through);
      expect(open).toEqual(new Set());
      expect(await digestOf(plans.read()!.key)).toBe(await wholeFile());
    });
  });
});

describe('a bucket that hangs', () => {
  it.each(['create', 'part 2', 'complete'] as const)(
    'at %s, and answers when the next attempt is under way: that one is not disturbed',
    async (step) => {
      const call = newCall();
      let answer: () => void = () => {};
      const hung = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const asked = Promise.withResolvers<void>();
      const underWay = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      let second = false;
      const { open, through } = faulty(async (at) => {
        if (at === step && !second) {
          asked.resolve();
          await hung;
        } else if (at === 'part 3' && second) {
          underWay.resolve();
          await goOn.promise;
        }
      });
      await withPlans(async (plans) => {
        const controller = new AbortController();
        const first = store(plans, call, through, controller.signal).catch((error: unknown) => String(error));
        await asked.promise;
        // The outbox gives the delivery up, and begins it again.
        controller.abort(new Error('the delivery took too long'));
        second = true;
        const again = store(plans, call, through);
        await underWay.promise;
        const begun = plans.read()?.upload;
        answer();
        await first;
        // If the object dies now, the next one knows what to abort.
        expect(plans.read()?.upload).toBe(begun);
        goOn.resolve();
        await again;
        expect(plans.read()?.upload).toBeNull();
        expect(open).toEqual(new Set());
        expect(await digestOf(plans.read()!.key)).toBe(await wholeFile());
      });
    },
  );
});

describe('a bucket that is down for longer than a call', () => {
  it('has the recording when it is back; the row had not to wait', async () => {
    const answer = 'We open at nine.';
    scriptVendor({ transcripts: [question], answer });
    const callId = nextId();
    const client = await connected(callId);
    await begin(client, callId);
    const down = await bucketOf(callId, async () => refusal());
    await ask(client);
    await hangUp(client);
    await untilTried(callId, ['recording']);
    for (let hour = 1; hour <= 40; hour += 13) await ringAfter(callId, hour * 3_600_000);
    const { row, recording } = await recordOf(callId);
    expect(row.status).toBe('ended');
    expect(await bucket.head(recording)).toBeNull();
    await down.up();
    await expectDeliveredOnce(callId, [greeting, question, answer]);
  });
});

/** From now on the bucket of this call's object does that with what is put. */
async function bucketOf(callId: string, put: () => Promise<never>) {
  const change = (task: (own: { put?: unknown }) => void) =>
    runInDurableObject(objectOf(callId), (instance) =>
      task((instance as unknown as { env: { RECORDINGS: object } }).env.RECORDINGS),
    );
  await change((own) => {
    own.put = put;
  });
  return {
    up: () =>
      change((own) => {
        delete own.put;
      }),
  };
}
