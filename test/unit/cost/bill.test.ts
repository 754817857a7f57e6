import { describe, expect, it } from 'vitest';
import { platformPrices } from '../../../src/cost/platform-prices.ts';
import { CostUsageError, parseCostArguments } from '../../../tools/cost/arguments.ts';
import { billOf } from '../../../tools/cost/bill.ts';
import { claimsOf } from '../../../tools/cost/documents.ts';
import { measured, provenance } from '../../../tools/cost/measured.ts';
import { billText } from '../../../tools/cost/print.ts';
import { savingsOf } from '../../../tools/cost/savings.ts';

const bill = (...args: string[]) => billOf(parseCostArguments(args));
const usd = (of: ReturnType<typeof bill>, item: string) => {
  const line = of.lines.find((candidate) => candidate.item.startsWith(item));
  expect(line, item).toBeDefined();
  return line!.usd;
};

describe('a month of 200,000 calls at once, all day, by hand', () => {
  const all = bill('--calls', '200000', '--minutes', '3', '--turns', '4');
  const calls = (200_000 * 30 * 86_400) / 180;

  it('is so many calls, minutes and turns', () => {
    expect(calls).toBe(2_880_000_000);
    expect(all.load).toMatchObject({ calls, minutes: 3 * calls, turns: 12 * calls });
  });

  it('costs the objects their life: 128 MB each, ten seconds longer than the call, and the twenty that count', () => {
    const gbSeconds = (200_000 * 2_592_000 + 10 * calls + 20 * 2_592_000) * 0.128;
    expect(usd(all, 'objects: duration')).toBeCloseTo(((gbSeconds - 400_000) / 1e6) * 12.5, 2);
  });

  it('costs a request for every twentieth of the 50 messages a second, after the million that is included', () => {
    const requests = (200_000 * 2_592_000 * 50) / 20;
    expect(usd(all, 'objects: messages')).toBeCloseTo((requests / 1e6 - 1) * 0.15, 2);
  });

  it('keeps 30 days of recordings near and 60 more far, 2.88 MB each', () => {
    const gbADay = ((calls / 30) * 2_880_000) / 1e9;
    expect(usd(all, 'recordings: 30 days')).toBeCloseTo((30 * gbADay - 10) * 0.015, 2);
    expect(usd(all, 'recordings: 60 days more')).toBeCloseTo(60 * gbADay * 0.01, 2);
    expect(usd(all, 'recordings: writes')).toBeCloseTo((calls / 1e6 - 1) * 4.5, 2);
  });

  it('pays vendors by the turn: tokens at $0.10 and $0.50 a million, audio at $0.0045 a minute', () => {
    const turns = 12 * calls;
    const { inputTokensATurn, outputTokensATurn } = measured;
    const tokens = (inputTokensATurn * 0.1 + outputTokensATurn * 0.5) / 1e6;
    expect(usd(all, 'language model')).toBeCloseTo(turns * tokens, 0);
    const seconds = measured.transcribedSecondsATurn + measured.transcribedInVainSecondsATurn;
    expect(usd(all, 'speech to text')).toBeCloseTo((turns * seconds * 0.0045) / 60, 0);
  });

  it('adds up', () => {
    const sum = all.lines.reduce((total, line) => total + line.usd, 0);
    expect(all.total).toBeCloseTo(sum, 6);
    expect(all.lines.every((line) => Number.isFinite(line.usd) && line.usd >= 0)).toBe(true);
  });
});

describe('what is asked for', () => {
  it('may be calls a month: at once are as many as come on average', () => {
    const { load } = bill('--monthly', '864000', '--minutes', '5');
    expect(load.calls).toBeCloseTo(864_000, 6);
    expect(load.concurrent).toBeCloseTo((864_000 * 300) / 2_592_000, 6);
  });

  it('may be a busy hour a day: a twenty-fourth of the talk', () => {
    const [day, hour] = [bill('--hours', '24'), bill('--hours', '1')];
    expect(hour.load.minutes * 24).toBeCloseTo(day.load.minutes, 3);
    expect(usd(hour, 'language model') * 24).toBeCloseTo(usd(day, 'language model'), 2);
  });

  it('is free where it stays within what is included', () => {
    const small = bill('--monthly', '1000', '--minutes', '1');
    for (const item of [
      'Worker: requests',
      'objects: messages',
      'objects: rows',
      'recordings: writes',
      'logs',
    ]) {
      expect(usd(small, item), item).toBe(0);
    }
  });

  it('has an upload in parts where a recording is longer than one', () => {
    // 8 minutes are 7.68 MB, in two parts: begin, two parts, end.
    const [short, long] = [bill('--minutes', '5'), bill('--minutes', '8')];
    const writes = (of: typeof short) => (usd(of, 'recordings: writes') / 4.5 + 1) / (of.load.calls / 1e6);
    expect(writes(short)).toBeCloseTo(1, 6);
    expect(writes(long)).toBeCloseTo(4, 6);
  });

  it.each([
    ['--calls', '0'],
    ['--minutes', 'long'],
    ['--llm', 'openai/gpt-4'],
    ['--recording', 'mp3'],
    ['--frames', '20'],
    ['--hours', '25'],
  ])('is refused where it makes no sense: %s %s', (...args) => {
    expect(() => parseCostArguments(args)).toThrow(CostUsageError);
  });

  it('is no price for something else', () => {
    expect(() => bill('--tts', 'openai/gpt-transcribe')).toThrow(RangeError);
  });
});

describe('what options save', () => {
  const options = parseCostArguments([]);
  const all = billOf(options);
  const savings = savingsOf(options, all);
  const saved = (start: string) => savings.find(({ option }) => option.startsWith(start))!.usd;

  it('longer messages: four of five requests for them', () => {
    expect(saved('messages of 100 ms')).toBeCloseTo(((200_000 * 2_592_000 * 50) / 20 / 1e6) * 0.8 * 0.15, 2);
  });

  it('no recordings: all that is paid for them', () => {
    const paid = all.lines
      .filter(({ item }) => item.startsWith('recordings:'))
      .reduce((sum, line) => sum + line.usd, 0);
    expect(saved('no recordings')).toBeCloseTo(paid, 2);
  });

  it('binary messages: nothing; a dearer voice: less than nothing', () => {
    expect(saved('binary audio')).toBe(0);
    expect(saved('text to speech: deepgram aura-2')).toBeLessThan(0);
  });
});

describe('what is printed', () => {
  const options = parseCostArguments([]);
  const of = billOf(options);
  const claims = claimsOf();
  const text = billText({ options, bill: of, savings: savingsOf(options, of), claims });

  it('names the source of each price and of each figure', () => {
    for (const line of of.lines) {
      expect(text).toContain(line.source);
      expect(['published', 'quoted', 'derived', 'unverified']).toContain(line.standing);
    }
    for (const [name, how] of Object.entries(provenance)) {
      expect(text).toContain(`${name} ${measured[name as keyof typeof measured]}`);
      expect(how.length).toBeGreaterThan(5);
    }
    for (const price of Object.values(platformPrices)) expect(price.read).toBe('2026-11-21');
  });

  it('holds the documents’ figures against what they assume', () => {
    const objects = claims.find(({ says }) => says.startsWith('Durable Objects: $300-500'));
    // Duration alone: 200,000 × 0.128 GB × 2,592,000 s at $12.50 a million.
    expect(objects!.usd).toBeGreaterThan(829_440);
    const kv = claims.find(({ says }) => says.startsWith('KV: $50-100'));
    // 400,000 × 2,592,000 at $0.50 a million.
    expect(kv!.usd).toBe(518_400);
  });
});
