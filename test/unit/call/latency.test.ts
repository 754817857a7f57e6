import { describe, expect, it } from 'vitest';
import { LatencyLedger, type LatencyMark } from '../../../src/call/latency.ts';

function ledger(marks: Partial<Record<LatencyMark, number>>): LatencyLedger {
  const made = new LatencyLedger();
  for (const [name, at] of Object.entries(marks)) made.mark(name as LatencyMark, at);
  return made;
}

describe('the latency ledger', () => {
  it('splits the wait in three parts that add up', () => {
    const parts = ledger({
      lastVoiced: 1_000,
      decided: 1_500,
      transcript: 1_700,
      modelRequested: 1_705,
      firstToken: 1_900,
      firstSentence: 2_005,
      speechRequested: 2_007,
      firstAudio: 2_107,
      firstSent: 2_110,
    }).parts();
    expect(parts).toEqual({
      endpointWaitMs: 500,
      processingMs: 10,
      providerMs: 600,
      totalMs: 1_110,
      moments: {
        decided: 500,
        transcript: 700,
        firstToken: 900,
        firstSentence: 1_005,
        firstAudio: 1_107,
        firstSent: 1_110,
      },
      providers: [],
    });
  });

  it('counts the first of everything: later sentences do not move it', () => {
    const made = ledger({ lastVoiced: 0, decided: 500, firstSent: 900 });
    made.mark('firstSent', 5_000);
    expect(made.parts()?.totalMs).toBe(900);
  });

  it('has nothing to say before audio was sent, or of a turn that answers nobody', () => {
    expect(ledger({ lastVoiced: 0, decided: 500 }).parts()).toBeNull();
    expect(ledger({ firstSent: 500 }).parts()).toBeNull();
  });

  it('counts no wait twice where the transcript was there before the turn was over', () => {
    const parts = ledger({ lastVoiced: 0, decided: 2_000, transcript: 2_000, firstSent: 2_100 }).parts();
    expect(parts).toMatchObject({
      endpointWaitMs: 2_000,
      processingMs: 100,
      providerMs: 0,
      totalMs: 2_100,
    });
  });
});
