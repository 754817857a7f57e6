import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { callCost } from '../../../src/cost/call-cost.ts';
import { costOf, type PriceList } from '../../../src/cost/price.ts';
import { configuredPrices } from '../../../src/cost/price-list.ts';
import { prices } from '../../../src/cost/prices.ts';
import { addUnits, perProvider } from '../../../src/cost/usage.ts';
import { defaultModels } from '../../../src/providers/registry.ts';

const of = (provider: string) => prices[provider]!.perMillion;

describe('what usage costs, by hand', () => {
  it.each([
    // 90 s at $0.0045 a minute.
    ['openai/gpt-transcribe', { audioSeconds: 90 }, 6_750],
    // 2,000 tokens at $0.10 a million and 500 at $0.50.
    ['openai/gpt-6-luna', { inputTokens: 2_000, outputTokens: 500 }, 450],
    // Of 10,000: 6,000 from the cache at $0.01, 1,000 into it at $0.125, 3,000 at $0.10; 1,000 at $0.50.
    [
      'anthropic/claude-haiku-5-5',
      { inputTokens: 10_000, cachedInputTokens: 6_000, cacheWriteTokens: 1_000, outputTokens: 1_000 },
      60 + 125 + 300 + 500,
    ],
    // 1,234 characters at $0.03 a thousand.
    ['deepgram/aura-2*', { characters: 1_234 }, 37_020],
    // Of 1,000 tokens 600 are audio (200 of them cached), 100 more text is cached, 300 text is not; of 400 out, 360 are audio.
    [
      'openai/gpt-realtime-2.1',
      {
        inputTokens: 1_000,
        audioInputTokens: 600,
        cachedInputTokens: 300,
        cachedAudioInputTokens: 200,
        outputTokens: 400,
        audioOutputTokens: 360,
      },
      Math.round(400 * 32 + 200 * 0.4 + 100 * 0.4 + 300 * 4 + 360 * 64 + 40 * 24),
    ],
    // Five minutes at $0.05.
    ['openai/gpt-live-1', { audioSeconds: 300 }, 250_000],
  ])('%s', (provider, used, microUsd) => {
    expect(costOf({ provider, ...used }, of(provider))).toBe(microUsd);
  });

  it('is not known without a price, nor where the price is for other units, and never zero', () => {
    expect(costOf({ provider: 'x', inputTokens: 5 }, null)).toBeNull();
    expect(costOf({ provider: 'x', characters: 5 }, { input: 1, output: 1 })).toBeNull();
    expect(costOf({ provider: 'x', inputTokens: 0 }, { input: 1 })).toBe(0);
  });

  it('counts tokens whose kind has no price at that of the kind they are a part of', () => {
    const used = {
      provider: 'x',
      inputTokens: 100,
      cachedInputTokens: 40,
      audioInputTokens: 10,
      outputTokens: 10,
    };
    expect(costOf({ ...used, audioOutputTokens: 5 }, { input: 2, output: 3 })).toBe(230);
  });

  it('is not less than nothing, whatever a vendor counts', () => {
    const odd = {
      provider: 'x',
      inputTokens: 5,
      cachedInputTokens: 50,
      audioInputTokens: 9,
      cachedAudioInputTokens: 90,
    };
    expect(costOf(odd, { input: 1, cachedInput: 1, audioInput: 1, cachedAudioInput: 1 })).toBe(41 + 9);
  });
});

describe('the price table', () => {
  it('has a price for the default model of every vendor', () => {
    const list = configuredPrices(loadConfig({}));
    for (const [port, models] of Object.entries(defaultModels)) {
      for (const [vendor, model] of Object.entries(models)) {
        const name = `${vendor.startsWith('openai') ? 'openai' : vendor}/${model}`;
        expect(list(name), `${port}: ${name}`).not.toBeNull();
      }
    }
  });

  it('says of each where and when it was read, in dollars, and of what is not the vendor’s own page what it is', () => {
    for (const [name, { source, read, currency, standing, note, perMillion }] of Object.entries(prices)) {
      expect(new URL(source).protocol, name).toBe('https:');
      expect(read, name).toMatch(/^\d{4}-\d\d-\d\d$/);
      expect(currency).toBe('USD');
      if (standing === 'derived' || standing === 'unverified') expect(note, name).toMatch(/\w/);
      expect(
        Object.values(perMillion).every((price) => price !== undefined && price > 0),
        name,
      ).toBe(true);
    }
  });
});

describe('a call’s cost', () => {
  const list: PriceList = (provider) =>
    provider === 'unknown/model' ? null : { characters: 2, seconds: 0.5 };
  const entry = (turn: number | null, provider: string, units: object) => ({ turn, provider, ...units });

  it('is that of its turns, by provider, and says what has no price', () => {
    const cost = callCost(
      [
        entry(0, 'voice', { characters: 10 }),
        entry(1, 'voice', { characters: 5, estimated: true }),
        entry(1, 'unknown/model', { outputTokens: 9 }),
        entry(null, 'session', { audioSeconds: 3 }),
      ],
      list,
    );
    expect(cost).toMatchObject({
      costMicroUsd: 20 + 10 + 2,
      unpriced: ['unknown/model'],
      providers: [
        { provider: 'voice', costMicroUsd: 30 },
        { provider: 'unknown/model', costMicroUsd: null },
        { provider: 'session', costMicroUsd: 2 },
      ],
    });
    expect(cost.turns.map(({ turn, costMicroUsd }) => [turn, costMicroUsd])).toEqual([
      [0, 20],
      [1, 10],
      [1, null],
      [null, 2],
    ]);
  });

  it('is nothing where nothing was used, as ready audio is, and not known where nothing has a price', () => {
    expect(callCost([], list)).toMatchObject({ costMicroUsd: 0, unpriced: [] });
    expect(callCost([entry(1, 'unknown/model', { characters: 1 })], list)).toMatchObject({
      costMicroUsd: null,
      unpriced: ['unknown/model'],
    });
  });

  it('adds up units, guesses apart', () => {
    expect(
      addUnits({ provider: 'a', inputTokens: 1 }, { provider: 'a', inputTokens: 2, characters: 3 }),
    ).toEqual({
      inputTokens: 3,
      characters: 3,
    });
    const used = [
      entry(0, 'a', { inputTokens: 1 }),
      entry(1, 'a', { inputTokens: 2, outputTokens: 4 }),
      entry(1, 'a', { inputTokens: 8, estimated: true }),
    ];
    expect(perProvider(used)).toEqual([
      { provider: 'a', inputTokens: 3, outputTokens: 4 },
      { provider: 'a', estimated: true, inputTokens: 8 },
    ]);
  });
});
