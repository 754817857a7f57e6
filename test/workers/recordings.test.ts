import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it, vi } from 'vitest';
import { decodePcm16 } from '../../src/audio/pcm.ts';
import { parseWav } from '../../src/audio/wav.ts';
import { systemClock } from '../../src/call/clock.ts';
import type { StartedCallFacts } from '../../src/call/events.ts';
import type { RecordingShape } from '../../src/durable/recordings/format.ts';
import { isolateOpus } from '../../src/durable/recordings/opus-wasm.ts';
import { RecordingPlans } from '../../src/durable/recordings/plan.ts';
import type { Spool } from '../../src/durable/recordings/spooled-audio.ts';
import { storeRecording } from '../../src/durable/recordings/store.ts';
import { partBytes } from '../../src/durable/recordings/upload.ts';
import { SqliteJournal } from '../../src/durable/sqlite-journal.ts';
import { hasTables, migrate } from '../../src/durable/storage.ts';
import { bindings, database } from './support.ts';

const bucket = bindings.RECORDINGS;
const chunkSamples = 16_000;
const startTime = Date.UTC(2026, 10, 21, 23, 59, 59);

let calls = 0;
function newCall(): StartedCallFacts {
  return {
    callId: `recorded-${++calls}-${crypto.randomUUID()}`,
    userId: 'user-1',
    campaignId: null,
    phoneNumber: null,
    startTime,
    metadata: {},
    sampleRate: 8000,
    recording: true,
    chunkSamples,
  };
}

/** Where each sample of a call says where it belongs: the caller's by its place, the agent's by the second. */
const callerAt = (sample: number) => (sample % 20_011) - 10_000;
const agentAt = (sample: number) => (Math.floor(sample / 8000) % 30_000) - 15_000;

/** A spool of so many seconds, made when it is read. Counts what is held of it. */
function countingSpool(seconds: number): Spool & { reads: number } {
  const samples = seconds * 8000;
  return {
    reads: 0,
    audioExtent: () => ({ chunks: Math.ceil(samples / chunkSamples), samples }),
    audioChunk(index) {
      this.reads++;
      const from = index * chunkSamples;
      const length = Math.min(chunkSamples, samples - from);
      const caller = new Int16Array(length);
      const agent = new Int16Array(length);
      for (let i = 0; i < length; i++) {
        caller[i] = callerAt(from + i);
        agent[i] = agentAt(from + i);
      }
      return { index, length, caller, agent };
    },
  };
}

/** Runs `test` with the plans of a new object. */
function withPlans<T>(test: (plans: RecordingPlans) => Promise<T>): Promise<T> {
  const id = bindings.CALL_SESSION.idFromName(`recordings-test-${crypto.randomUUID()}`);
  return runInDurableObject(bindings.CALL_SESSION.get(id), (_, { storage }) =>
    test(new RecordingPlans(storage.kv)),
  );
}

interface Storing {
  call?: StartedCallFacts;
  spool?: Spool;
  shape?: Partial<RecordingShape>;
  through?: R2Bucket;
  signal?: AbortSignal;
  rowId?: string;
}

async function store(plans: RecordingPlans, options: Storing = {}): Promise<string> {
  const call = options.call ?? newCall();
  await storeRecording({
    bucket: options.through ?? bucket,
    spool: options.spool ?? countingSpool(3),
    plans,
    call,
    rowId: options.rowId ?? call.callId,
    shape: { format: 'wav', channels: 1, ...options.shape },
    opus: isolateOpus,
    clock: systemClock,
    signal: options.signal ?? new AbortController().signal,
  });
  return plans.read()!.key;
}

const read = async (key: string) => new Uint8Array(await (await bucket.get(key))!.arrayBuffer());

/** The bucket, with what happened to it; `fail` may throw instead of a call. */
function watched(fail: (what: string, attempt: number) => void = () => {}) {
  const seen: string[] = [];
  const parts: { bytes: number; buffer: ArrayBufferLike }[] = [];
  const counts = new Map<string, number>();
  const note = (what: string) => {
    seen.push(what);
    counts.set(what, (counts.get(what) ?? 0) + 1);
    fail(what, counts.get(what)!);
  };
  const watch = (upload: R2MultipartUpload): R2MultipartUpload =>
    ({
      key: upload.key,
      uploadId: upload.uploadId,
      async uploadPart(number: number, value: Uint8Array) {
        note(`part ${number}`);
        parts.push({ bytes: value.byteLength, buffer: value.buffer });
        return upload.uploadPart(number, value);
      },
      async complete(uploaded: R2UploadedPart[]) {
        note('complete');
        return upload.complete(uploaded);
      },
      async abort() {
        note('abort');
        return upload.abort();
      },
    }) as R2MultipartUpload;
  const through = {
    head: (key: string) => bucket.head(key),
    async put(key: string, value: ReadableStream | ArrayBufferView, options: R2PutOptions) {
      note(value instanceof ReadableStream ? 'stream' : 'put');
      return bucket.put(key, value, options);
    },
    async createMultipartUpload(key: string, options: R2MultipartOptions) {
      note('create');
      return watch(await bucket.createMultipartUpload(key, options));
    },
    resumeMultipartUpload: (key: string, id: string) => watch(bucket.resumeMultipartUpload(key, id)),
  };
  return { seen, parts, through: through as unknown as R2Bucket };
}

/** A recording above 5 MiB as WAV: two parts and a rest, in two channels. */
const longSeconds = 400;
const long = { shape: { channels: 2 } } as const;

describe('a recording', () => {
  it('below 5 MiB is one stream, with what it is and whose', async () => {
    const { seen, through } = watched();
    const call = newCall();
    const key = await withPlans((plans) => store(plans, { call, through }));
    expect(seen).toEqual(['stream']);
    expect(key).toBe(`recordings/2026/11/21/${call.callId}.wav`);
    const object = await bucket.head(key);
    expect(object?.size).toBe(44 + 48_000);
    expect(object?.httpMetadata?.contentType).toBe('audio/wav');
    expect(object?.customMetadata).toEqual({
      callId: call.callId,
      userId: 'user-1',
      startTime: String(startTime),
      durationSeconds: '3.000',
      channels: '1',
    });
    const { data } = parseWav(await read(key));
    expect(decodePcm16(data)[8_123]).toBe(callerAt(8_123) + agentAt(8_123));
  });

  it('as μ-law is half of it', async () => {
    const shape = { format: 'mulaw-wav', channels: 2 } as const;
    const key = await withPlans((plans) => store(plans, { shape }));
    const wav = parseWav(await read(key));
    expect(wav).toMatchObject({ encoding: 'mulaw', channels: 2, sampleRate: 8000 });
    expect(wav.data.length).toBe(48_000);
  });

  it('as Ogg Opus is made by the module that the Worker imports', async () => {
    const { seen, through } = watched();
    const shape = { format: 'ogg-opus', channels: 2 } as const;
    const key = await withPlans((plans) => store(plans, { shape, through, spool: countingSpool(30) }));
    expect(seen).toEqual(['put']);
    expect(key.endsWith('.opus')).toBe(true);
    const file = await read(key);
    const text = new TextDecoder('latin1').decode(file);
    expect([text.slice(0, 4), text.slice(28, 36)]).toEqual(['OggS', 'OpusHead']);
    const lastPage = new DataView(file.buffer, text.lastIndexOf('OggS'));
    expect(lastPage.getUint8(5) & 4).toBe(4);
    expect(lastPage.getBigUint64(6, true)).toBe(BigInt(312 + 30 * 48_000));
    expect((await bucket.head(key))?.httpMetadata?.contentType).toBe('audio/ogg; codecs=opus');
    expect(file.length).toBeLessThan(150_000);
  });

  it('above 5 MiB goes in equal parts, one buffer for all of them', async () => {
    const { seen, parts, through } = watched();
    await withPlans(async (plans) => {
      const key = await store(plans, { ...long, spool: countingSpool(longSeconds), through });
      expect(seen).toEqual(['create', 'part 1', 'part 2', 'part 3', 'complete']);
      const bytes = 44 + longSeconds * 8000 * 4;
      expect(parts.map((part) => part.bytes)).toEqual([partBytes, partBytes, bytes - 2 * partBytes]);
      expect(new Set(parts.map((part) => part.buffer)).size).toBe(1);
      expect(parts[0]!.buffer.byteLength).toBe(partBytes);
      expect(plans.read()?.upload).toBeNull();
      expect((await bucket.head(key))?.size).toBe(bytes);
    });
  });

  it('of exactly a part, and of two, has no empty part', async () => {
    for (const [channels, whole] of [[1, 1] as const, [2, 2] as const]) {
      const { seen, parts, through } = watched();
      // 44 bytes of header; the seconds of a spool may be fractions.
      const seconds = (whole * partBytes - 44) / (16_000 * channels);
      await withPlans((plans) =>
        store(plans, { shape: { channels }, spool: countingSpool(seconds), through }),
      );
      if (whole === 1) expect(seen).toEqual(['stream']);
      else expect(parts.map((part) => part.bytes)).toEqual([partBytes, partBytes]);
    }
  });

  it('of an hour is aligned in both channels to the sample, and never in memory', async () => {
    const seconds = 3_600;
    const spool = countingSpool(seconds);
    const { parts, through } = watched();
    const key = await withPlans((plans) => store(plans, { ...long, spool, through }));
    expect(spool.reads).toBe(1_800);
    const size = 44 + seconds * 8000 * 4;
    expect((await bucket.head(key))?.size).toBe(size);
    expect(parts.length).toBe(Math.ceil(size / partBytes));
    expect(new Set(parts.slice(0, -1).map((part) => part.bytes))).toEqual(new Set([partBytes]));
    // All that is held of the file at any time: one part.
    expect(new Set(parts.map((part) => part.buffer)).size).toBe(1);
    for (const at of [0, 1, 20_000_000, 28_799_999]) {
      const object = await bucket.get(key, { range: { offset: 44 + at * 4, length: 4 } });
      const [left, right] = decodePcm16(new Uint8Array(await object!.arrayBuffer()));
      expect([left, right], `sample ${at}`).toEqual([callerAt(at), agentAt(at)]);
    }
    await bucket.delete(key);
  }, 120_000);

  it('lets the other calls of its isolate have their turns', async () => {
    let turns = 0;
    let storing = true;
    const others = (async () => {
      while (storing) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        turns++;
      }
    })();
    const shape = { format: 'ogg-opus', channels: 2 } as const;
    await withPlans((plans) => store(plans, { shape, spool: countingSpool(60) }));
    storing = false;
    await others;
    expect(turns).toBeGreaterThanOrEqual(50);
  });
});

describe('a bucket that fails', () => {
  it('is sent a part again, and the upload is complete', async () => {
    const { seen, through } = watched((what, attempt) => {
      if (what === 'part 2' && attempt <= 2) throw new Error('We encountered an internal error (10001)');
    });
    const key = await withPlans((plans) =>
      store(plans, { ...long, spool: countingSpool(longSeconds), through }),
    );
    expect(seen.filter((what) => what === 'part 2').length).toBe(3);
    expect((await bucket.head(key))?.size).toBe(44 + longSeconds * 8000 * 4);
  });

  it('for good: the upload is aborted, and nothing is there', async () => {
    await withPlans(async (plans) => {
      const call = newCall();
      const { seen, through } = watched((what) => {
        if (what === 'part 2') throw new Error('refused');
      });
      const storing = store(plans, { ...long, call, spool: countingSpool(longSeconds), through });
      await expect(storing).rejects.toThrow('refused');
      expect(seen).toEqual(['create', 'part 1', 'part 2', 'part 2', 'part 2', 'part 2', 'abort']);
      expect(plans.read()?.upload).toBeNull();
      expect(await bucket.head(plans.read()!.key)).toBeNull();
      // It goes on later.
      await store(plans, { ...long, call, spool: countingSpool(longSeconds) });
      expect((await bucket.head(plans.read()!.key))?.size).toBe(44 + longSeconds * 8000 * 4);
    });
  });

  it('cut off by a crash: the next attempt aborts what was left open', async () => {
    await withPlans(async (plans) => {
      const call = newCall();
      let dead = false;
      const first = watched((what) => {
        // The process dies at the second part: nothing that follows has an effect.
        if (what === 'part 2') dead = true;
        if (dead) throw new Error('gone');
      });
      const spool = countingSpool(longSeconds);
      await expect(store(plans, { ...long, call, spool, through: first.through })).rejects.toThrow('gone');
      const left = plans.read()!.upload!;
      expect(left).toEqual(expect.any(String));
      const second = watched();
      await store(plans, { ...long, call, spool: countingSpool(longSeconds), through: second.through });
      expect(second.seen.slice(0, 2)).toEqual(['abort', 'create']);
      expect(plans.read()!.upload).toBeNull();
      await expect(bucket.resumeMultipartUpload(plans.read()!.key, left).complete([])).rejects.toThrow();
      expect((await bucket.head(plans.read()!.key))?.size).toBe(44 + longSeconds * 8000 * 4);
    });
  });

  it('that has forgotten what was left open holds up nothing', async () => {
    await withPlans(async (plans) => {
      const call = newCall();
      await store(plans, { call });
      plans.setUpload('no-such-upload');
      const key = await store(plans, { call });
      expect(plans.read()!.upload).toBeNull();
      expect((await bucket.head(key))?.size).toBe(44 + 48_000);
    });
  });

  it.each(['stream', 'part 2'])('is left alone once the delivery is given up (at %s)', async (where) => {
    await withPlans(async (plans) => {
      const controller = new AbortController();
      const { seen, through } = watched((what) => {
        if (what === where) controller.abort(new Error('took too long'));
      });
      const spool = countingSpool(where === 'stream' ? 60 : longSeconds);
      const storing = store(plans, { ...long, spool, through, signal: controller.signal });
      await expect(storing).rejects.toThrow('took too long');
      expect(seen).not.toContain('complete');
      expect(await bucket.head(plans.read()!.key)).toBeNull();
    });
  });
});

describe('the key of a recording', () => {
  it('is the row’s: an id that is used again does not cost the older call its recording', async () => {
    const call = newCall();
    const first = await withPlans((plans) => store(plans, { call }));
    // The row could not be written yet, so nobody knows that the id names another call.
    const later = { ...call, startTime: startTime + 500 };
    const second = await withPlans((plans) => store(plans, { call: later, spool: countingSpool(5) }));
    expect(second).toBe(`recordings/2026/11/21/${call.callId}.${later.startTime}.wav`);
    expect((await bucket.head(first))?.size).toBe(44 + 48_000);
    expect((await bucket.head(second))?.size).toBe(44 + 80_000);
    // Where the row was renamed, it is the row's.
    const third = { ...call, startTime: startTime + 900 };
    const rowId = `${call.callId}.${third.startTime}`;
    expect(await withPlans((plans) => store(plans, { call: third, rowId }))).toContain(rowId);
  });

  it('and its format stay as first decided, when a delivery is repeated under other settings', async () => {
    const call = newCall();
    await withPlans(async (plans) => {
      const key = await store(plans, { call });
      const again = await store(plans, {
        call,
        shape: { format: 'ogg-opus', channels: 2 },
        rowId: 'renamed',
      });
      expect(again).toBe(key);
      expect(parseWav(await read(key)).channels).toBe(1);
      plans.forget();
      expect(plans.read()).toBeNull();
    });
  });
});

describe('a recorded call whose id is used again', () => {
  it('has a row and a recording of its own, and the row says where that is', async () => {
    const callId = newCall().callId;
    const place = async (object: string, start: number, seconds: number) => {
      const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(object));
      await runInDurableObject(stub, (_, { storage }) => {
        migrate(storage.sql);
        const journal = new SqliteJournal(storage.sql);
        const facts = { ...newCall(), callId, startTime: start };
        journal.append({ type: 'started', call: facts, resumeToken: 't' });
        const spool = countingSpool(seconds);
        for (let i = 0; i < spool.audioExtent(chunkSamples).chunks; i++) {
          journal.appendAudio(spool.audioChunk(i)!);
        }
        journal.append({
          type: 'ended',
          reason: 'hangup',
          status: 'ended',
          endTime: start + seconds * 1_000,
        });
        storage.sql.exec(
          "INSERT INTO outbox (delivery, attempts, next_at) VALUES ('log ended', 0, 0), ('recording', 0, 0)",
        );
      });
      await evictDurableObject(stub);
      await runInDurableObject(stub, () => {});
      await vi.waitFor(
        async () =>
          expect(await runInDurableObject(stub, (_, { storage }) => hasTables(storage.sql))).toBe(false),
        { timeout: 10_000, interval: 100 },
      );
      // Nothing of the decision is left for a later call in this object.
      await runInDurableObject(stub, (_, { storage }) =>
        expect(new RecordingPlans(storage.kv).read()).toBeNull(),
      );
    };
    const starts = [startTime - 200_000_000, startTime] as const;
    await place(`${callId}-1`, starts[0], 4);
    await place(`${callId}-2`, starts[1], 6);
    const { data } = await database()
      .from('call_logs')
      .select('call_id, recording')
      .like('call_id', `${callId}%`)
      .order('start_time');
    expect(data?.map((row) => row.call_id)).toEqual([callId, `${callId}.${starts[1]}`]);
    for (const [i, seconds] of [4, 6].entries()) {
      expect(data![i]!.recording).toContain(`/${data![i]!.call_id}.wav`);
      expect((await bucket.head(data![i]!.recording))?.size).toBe(44 + seconds * 16_000);
    }
  });
});

describe('many recordings that end at once', () => {
  it('hold a part each of no more than four', async () => {
    let held = 0;
    let most = 0;
    const through = (() => {
      const { through } = watched();
      const create = through.createMultipartUpload.bind(through);
      return Object.assign(through, {
        async createMultipartUpload(key: string, options: R2MultipartOptions) {
          most = Math.max(most, ++held);
          const upload = await create(key, options);
          const complete = upload.complete.bind(upload);
          return Object.assign(upload, {
            async complete(parts: R2UploadedPart[]) {
              held--;
              return complete(parts);
            },
          });
        },
      });
    })();
    await Promise.all(
      Array.from({ length: 7 }, () =>
        withPlans((plans) => store(plans, { ...long, spool: countingSpool(200), through })),
      ),
    );
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  }, 60_000);
});
