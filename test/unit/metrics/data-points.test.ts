import { describe, expect, it } from 'vitest';
import { noCounts } from '../../../src/call/call-counts.ts';
import {
  type AnalysedCall,
  nextPoints,
  nothingWritten,
  userPseudonym,
} from '../../../src/metrics/data-points.ts';
import type { RecordedFailure, RecordedTurn } from '../../../src/records/call-records.ts';
import { recordingDataset } from '../../support/analytics-double.ts';
import { seeded } from '../../support/random.ts';

const startTime = 1_800_000_000_000;
const facts = (campaignId: string | null = 'campaign-1'): AnalysedCall['call'] => ({
  callId: 'call-1',
  userId: 'user-1',
  campaignId,
  phoneNumber: '+4930123456',
  startTime,
  metadata: {},
  sampleRate: 8000,
  recording: false,
  chunkSamples: 16_000,
});
const latency = {
  totalMs: 800,
  endpointWaitMs: 300,
  processingMs: 20,
  providerMs: 480,
  moments: {},
  providers: [],
};
const turn = (position: number): RecordedTurn => ({
  position,
  role: position % 2 === 0 ? 'caller' : 'agent',
  text: `My number is +4930123456, said ${position} times`,
  startMs: position * 1_000,
  endMs: position * 1_000 + 900,
  interrupted: false,
  latency: position % 2 === 0 ? null : latency,
});
const failure = (position: number): RecordedFailure => ({
  position,
  at: startTime,
  code: 'PROVIDER_TIMEOUT',
  provider: 'openai/gpt-6-luna',
  message: 'of +4930123456',
});
const end: NonNullable<AnalysedCall['end']> = {
  type: 'ended',
  reason: 'error',
  status: 'failed',
  endTime: startTime + 12_500,
};
const call = (turns: number, failures: number, more: Partial<AnalysedCall> = {}): AnalysedCall => ({
  call: facts(),
  user: 'pseudonym',
  turns: Array.from({ length: turns }, (_, i) => turn(i)),
  failures: Array.from({ length: failures }, (_, i) => failure(i)),
  end,
  counts: { ...noCounts, interruptions: 2, drops: 1 },
  costMicroUsd: null,
  ...more,
});

/** Writes everything of a call, an invocation a part. */
function written(analysed: AnalysedCall, from = nothingWritten, dataset = recordingDataset()) {
  let state = from;
  for (let parts = 0; parts < 1_000; parts++) {
    dataset.nextInvocation();
    const { points, written: now, more } = nextPoints(analysed, state);
    for (const point of points) dataset.writeDataPoint(point);
    state = now;
    if (!more) return { state, dataset };
  }
  throw new Error('there is no end of it');
}

describe('the data points of a call', () => {
  it('are its start, each turn, each error, its end, and what it was to its user', () => {
    expect(written(call(2, 1)).dataset.points).toEqual([
      { indexes: ['start:campaign-1'], blobs: ['start', 'pseudonym', 'campaign-1'], doubles: [] },
      {
        indexes: ['turn:campaign-1'],
        blobs: ['turn', 'pseudonym', 'campaign-1', 'caller', ''],
        doubles: [900, 0, 0, 0, 0, 0],
      },
      {
        indexes: ['turn:campaign-1'],
        blobs: ['turn', 'pseudonym', 'campaign-1', 'agent', 'answered'],
        doubles: [900, 0, 800, 300, 20, 480],
      },
      {
        indexes: ['error:timeout'],
        blobs: ['error', 'pseudonym', 'campaign-1', 'timeout', 'openai/gpt-6-luna'],
        doubles: [],
      },
      {
        indexes: ['call:campaign-1'],
        blobs: ['call', 'pseudonym', 'campaign-1', 'failed', 'error'],
        doubles: [12.5, 2, 1, 800, 1, 2, 1],
      },
      {
        indexes: ['user:pseudonym'],
        blobs: ['user', 'pseudonym', 'campaign-1', 'failed'],
        doubles: [12.5, 1],
      },
    ]);
  });

  it('have what it cost last, where that is known', () => {
    const { points } = written(call(0, 0, { costMicroUsd: 1_234 })).dataset;
    expect(points.slice(-2).map(({ doubles }) => doubles.at(-1))).toEqual([1_234, 1_234]);
  });

  it('are written while it lasts, but for the turn that may go on', () => {
    const first = written(call(3, 0, { end: null }));
    expect(first.dataset.points.map(({ blobs }) => blobs[0])).toEqual(['start', 'turn', 'turn']);
    const again = written(call(3, 0, { end: null }), first.state);
    expect(again.dataset.points).toEqual([]);
    const last = written(call(5, 0), first.state);
    expect(last.dataset.points.map(({ blobs }) => blobs[0])).toEqual([
      'turn',
      'turn',
      'turn',
      'call',
      'user',
    ]);
    expect(written(call(5, 0), last.state).dataset.points).toEqual([]);
  });

  it('are within the limits of Analytics Engine, each of them once, whatever the call is', () => {
    const random = seeded(5);
    for (let round = 0; round < 60; round++) {
      const campaign = random.of([null, 'ü'.repeat(128), '😀'.repeat(64), 'c'.repeat(128), '+4930123456']);
      const [turns, failures] = [random.whole(120), random.whole(60)];
      const dataset = recordingDataset();
      const during = call(random.whole(turns + 1), random.whole(failures + 1), {
        call: facts(campaign),
        end: null,
      });
      const { state } = written(during, nothingWritten, dataset);
      written(call(turns, failures, { call: facts(campaign) }), state, dataset);
      const kinds = Map.groupBy(dataset.points, ({ blobs }) => blobs[0]);
      const counts = Object.fromEntries([...kinds].map(([kind, points]) => [kind, points.length]));
      expect(counts).toEqual({
        start: 1,
        call: 1,
        user: 1,
        ...(turns > 0 ? { turn: turns } : {}),
        ...(failures > 0 ? { error: failures } : {}),
      });
      expect(dataset.points.map(({ indexes }) => indexes[0]).join()).not.toContain('\uFFFD');
    }
  });

  it('have no words, no numbers and no ids of anybody', () => {
    const { points } = written(call(4, 2, { call: facts('+4930123456') })).dataset;
    const text = JSON.stringify(points);
    for (const canary of ['30123456', 'user-1', 'call-1', 'My number']) expect(text).not.toContain(canary);
    expect(points[0]!.blobs[2]).toBe('+49…56');
  });
});

describe('a user’s pseudonym', () => {
  it('is the same for the same user and key, and says nothing of them', async () => {
    const one = await userPseudonym('k'.repeat(32), 'user-1');
    expect(one).toMatch(/^[0-9a-f]{32}$/);
    expect(await userPseudonym('k'.repeat(32), 'user-1')).toBe(one);
    expect(await userPseudonym('k'.repeat(32), 'user-2')).not.toBe(one);
    expect(await userPseudonym('l'.repeat(32), 'user-1')).not.toBe(one);
  });
});
