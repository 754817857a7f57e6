import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { configuredPrices, ownPricesSchema } from '../../../src/cost/price-list.ts';

const listOf = (env: object) => configuredPrices(loadConfig(env));
const luna = 'openai/gpt-6-luna';

describe('what a provider charges here', () => {
  it('is its list price', () => {
    expect(listOf({})(luna)).toMatchObject({ input: 0.1, output: 0.5 });
    expect(listOf({})('deepgram/aura-2-thalia-en')).toEqual({ characters: 30 });
    expect(listOf({})('openai/gpt-9-sol')).toBeNull();
    expect(listOf({})('constructor')).toBeNull();
  });

  it('is the operator’s own price, where there is one', () => {
    const PRICES = JSON.stringify({
      [luna]: { input: 0.05, output: 0.25 },
      'deepgram/*': { perMinute: 0.003, characters: 20 },
      'deepgram/aura-2-*': { characters: 25 },
    });
    const list = listOf({ PRICES });
    expect(list(luna)).toEqual({ input: 0.05, output: 0.25 });
    // The longest beginning counts.
    expect(list('deepgram/aura-2-thalia-en')).toEqual({ characters: 25 });
    expect(list('deepgram/nova-3')).toEqual({ seconds: 50, characters: 20 });
    expect(list('openai/gpt-transcribe')).toEqual({ seconds: 75 });
  });

  it('is not known at another address than the vendor’s, nothing on this machine, and its own at the vendor’s', () => {
    const at = (OPENAI_BASE_URL: string, more: object = {}) => listOf({ OPENAI_BASE_URL, ...more });
    expect(at('https://eu.api.openai.com/v1')(luna)).toMatchObject({ input: 0.1 });
    expect(at('https://gateway.example/v1')(luna)).toBeNull();
    expect(at('https://api.openai.com.example/v1')(luna)).toBeNull();
    expect(at('http://127.0.0.1:9000/v1')(luna)).toMatchObject({ input: 0, output: 0 });
    const PRICES = JSON.stringify({ [luna]: 'list' });
    expect(at('https://gateway.example/v1', { PRICES })(luna)).toMatchObject({ input: 0.1 });
    const voice = { TTS_PROVIDER: 'deepgram', DEEPGRAM_BASE_URL: 'https://other.example' };
    expect(listOf(voice)('deepgram/aura-2-thalia-en')).toBeNull();
    const both = { LLM_BASE_URL: 'https://other.example/v1', LLM_MODEL: 'qwen' };
    expect(listOf(both)('openai/qwen')).toBeNull();
    expect(listOf(both)('openai/gpt-transcribe')).toEqual({ seconds: 75 });
  });

  it.each([
    [{ 'x/y': { input: -1 } }],
    [{ 'x/y': { input: 1e9 } }],
    [{ 'x/y': { perHour: 1 } }],
    [{ 'x/y': {} }],
    [{ 'x/y': 'free' }],
    [{ x: { input: 1 } }],
    [Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`x/${at}`, { input: 1 }]))],
  ])('takes no setting such as %j', (own) => {
    expect(ownPricesSchema.safeParse(own).success).toBe(false);
    expect(() => loadConfig({ PRICES: JSON.stringify(own) })).toThrow(/PRICES/);
  });
});
