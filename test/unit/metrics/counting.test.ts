import { describe, expect, it } from 'vitest';
import { noCounts } from '../../../src/call/call-counts.ts';
import { type CallReport, failureLabel, sumsOf, twoLabels } from '../../../src/metrics/call-report.ts';
import {
  countReport,
  isRecent,
  RECENT_MS,
  recentSums,
  SLOT_MS,
  slotOf,
} from '../../../src/metrics/counting.ts';

const start = 1_800_000_000_000;
const report = (more: Partial<CallReport> = {}): CallReport => ({
  call: 'digest',
  startedAt: start,
  at: start,
  aliveUntil: start + 150_000,
  end: null,
  sums: {},
  ...more,
});

describe('a report', () => {
  it('counts the call once as started, whichever report is the first', () => {
    const first = countReport(report(), null);
    expect(first.sums).toEqual({ calls: { started: 1 } });
    expect(countReport(report(), first.kept).sums).toEqual({});
    const only = countReport(report({ end: { at: start + 9_000, reason: 'hangup', failed: false } }), null);
    expect(only.sums.calls).toEqual({ started: 1, ended: 1, durationMs: 9_000 });
  });

  it('counts what the call has more than it had', () => {
    const { kept } = countReport(report({ sums: { turns: { caller: 2 } } }), null);
    const next = countReport(report({ sums: { turns: { caller: 3, agent: 1 } } }), kept);
    expect(next.sums).toEqual({ turns: { caller: 1, agent: 1 } });
    expect(next.kept).toEqual({ turns: { caller: 3, agent: 1 } });
  });

  it('of an end counts why, how long, and whether the service failed it', () => {
    const failed = countReport(report({ end: { at: start + 61_000, reason: 'error', failed: true } }), {});
    expect(failed.sums).toEqual({
      calls: { ended: 1, failed: 1, durationMs: 61_000 },
      ends: { error: 1 },
      failedEnds: { error: 1 },
      // Over 60 s, up to 90 s.
      duration: { '8': 1, sum: 61_000 },
    });
    const fine = countReport(report({ end: { at: start + 1_000, reason: 'hangup', failed: false } }), {});
    expect(fine.sums.calls).toEqual({ ended: 1, durationMs: 1_000 });
    expect(fine.sums.failedEnds).toBeUndefined();
    // A clock that went back.
    const back = countReport(report({ end: { at: start - 5, reason: 'hangup', failed: false } }), {});
    expect(back.sums.calls).toEqual({ ended: 1 });
  });

  it('belongs to the last minutes by when things happened: ends by their own time, the rest by the report’s', () => {
    const sums = { failures: { 'a timeout': 1 }, turns: { caller: 1 }, 'latency total': { '3': 1, sum: 13 } };
    const end = { at: start + 2_000, reason: 'error', failed: true };
    expect(countReport(report({ at: start + 60_000, sums, end }), {}).recent).toEqual([
      {
        at: start + 60_000,
        sums: { failures: { 'a timeout': 1 }, 'latency total': { '3': 1, sum: 13 } },
      },
      { at: start + 2_000, sums: { calls: { ended: 1, failed: 1 }, failedEnds: { error: 1 } } },
    ]);
  });
});

describe('the last minutes', () => {
  it('are five, to ten seconds', () => {
    const now = start + RECENT_MS;
    expect(isRecent(slotOf(now), now)).toBe(true);
    expect(isRecent(slotOf(now - RECENT_MS + SLOT_MS), now)).toBe(true);
    expect(isRecent(slotOf(now - RECENT_MS), now)).toBe(false);
    const slots = new Map(
      [0, 30_000, 90_000, 299_000, 301_000].map((ago) => [slotOf(now - ago), { calls: { ended: 1 } }]),
    );
    expect(recentSums(slots, now, 60_000)).toEqual({ calls: { ended: 2 } });
    expect(recentSums(slots, now, RECENT_MS)).toEqual({ calls: { ended: 3 } });
  });
});

describe('a call', () => {
  const latency = {
    endpointWaitMs: 300,
    processingMs: 20,
    providerMs: 480,
    totalMs: 800,
    moments: { decided: 300, transcript: 400, firstSentence: 650, firstAudio: 790, firstSent: 800 },
    providers: [],
  };
  const turn = { position: 0, text: '', startMs: 0, endMs: 0, interrupted: false };
  const failure = { position: 0, at: 0, message: '' };

  it('is counted by its turns, latencies, failures, answers, counts and cost', () => {
    const sums = sumsOf({
      turns: [
        { ...turn, role: 'caller', latency: null },
        { ...turn, role: 'agent', latency },
      ],
      failures: [
        { ...failure, code: 'PROVIDER_RATE_LIMITED', provider: 'openai/gpt 6' },
        { ...failure, code: 'INTERNAL_ERROR', provider: null },
      ],
      answers: { 'openai/gpt 6': 3 },
      counts: { ...noCounts, drops: 1, cacheHits: 2 },
      costMicroUsd: { 'openai/gpt 6': 12 },
    });
    const { 'latency total': total, 'latency model': model, ...rest } = sums;
    expect([total, model]).toEqual([
      { '38': 1, sum: 800 },
      { '28': 1, sum: 250 },
    ]);
    expect(rest).toMatchObject({
      turns: { caller: 1, agent: 1 },
      'latency endpoint_wait': { sum: 300 },
      'latency processing': { sum: 20 },
      'latency provider': { sum: 480 },
      'latency transcription': { sum: 100 },
      'latency speech': { sum: 140 },
      failures: { 'openai/gpt 6 rate_limited': 1, 'service internal_error': 1 },
      answers: { 'openai/gpt 6': 3 },
      costMicroUsd: { 'openai/gpt 6': 12 },
    });
    // What did not happen takes no room.
    expect(rest.counts).toEqual({ drops: 1, cacheHits: 2 });
  });

  it('has no step of a turn that was not taken: ready audio was not synthesized', () => {
    const moments = { decided: 300, transcript: 400, firstSentence: 401, firstSent: 402 };
    const sums = sumsOf({
      turns: [{ ...turn, role: 'agent', latency: { ...latency, moments } }],
      failures: [],
      answers: {},
      counts: null,
    });
    expect(sums['latency speech']).toBeUndefined();
    expect(sums['latency model']).toEqual({ '0': 1, sum: 1 });
  });

  it('has two labels in one, of which the first may have spaces', () => {
    expect(twoLabels(failureLabel('workers-ai/a model', 'PROVIDER_TIMEOUT'))).toEqual([
      'workers-ai/a model',
      'timeout',
    ]);
    expect(twoLabels('other')).toEqual(['other', 'other']);
  });
});
