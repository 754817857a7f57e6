import type { Usage, UsageUnit } from '../providers/ports.ts';

/** A unit that has a price, as `Price.perMillion` names it. Tokens of a kind that has none cost what the kind they are a part of does. */
export const pricedUnits = [
  'seconds',
  'characters',
  'input',
  'cachedInput',
  'cacheWrite',
  'audioInput',
  'cachedAudioInput',
  'output',
  'audioOutput',
] as const;
export type PricedUnit = (typeof pricedUnits)[number];

/** US dollars a million of each unit. What is used of a unit that is not named is not what this vendor charges for. */
export type PricePerMillion = { readonly [unit in PricedUnit]?: number | undefined };

/** Prices by provider and model, as `Usage.provider` names them; null: none is known, and what it costs neither. */
export type PriceList = (provider: string) => PricePerMillion | null;

/** Millionths of a US dollar, or null where it is not known: never zero for want of a price. */
export type MicroUsd = number | null;

/**
 * What was used, in millionths of a US dollar, rounded to a whole one; null where there is no price for anything of it. One dollar a
 * million is one micro-dollar each.
 */
export function costOf(usage: Usage, price: PricePerMillion | null): MicroUsd {
  if (price === null) return null;
  // Nothing was used: that is free with any vendor.
  if (!unitsOf(usage).some(([, amount]) => amount > 0)) return 0;
  let cost = 0;
  let known = false;
  for (const [unit, amount] of unitsOf(usage)) {
    const each = priceOf(unit, price);
    if (each === null || amount <= 0) continue;
    known = true;
    cost += amount * each;
  }
  return known ? Math.round(cost) : null;
}

/** What was used, each unit once: tokens that are a part of others are taken out of those. */
function unitsOf(usage: Usage): [PricedUnit, number][] {
  const of = (unit: UsageUnit) => usage[unit] ?? 0;
  const audio = of('audioInputTokens');
  const cachedAudio = Math.min(of('cachedAudioInputTokens'), audio);
  const cached = Math.max(0, of('cachedInputTokens') - cachedAudio);
  const written = of('cacheWriteTokens');
  const spoken = of('audioOutputTokens');
  return [
    ['seconds', of('audioSeconds')],
    ['characters', of('characters')],
    ['input', Math.max(0, of('inputTokens') - audio - cached - written)],
    ['cachedInput', cached],
    ['cacheWrite', written],
    ['audioInput', audio - cachedAudio],
    ['cachedAudioInput', cachedAudio],
    ['output', Math.max(0, of('outputTokens') - spoken)],
    ['audioOutput', spoken],
  ];
}

/** Without a price of its own, a part costs what the whole does. */
const partOf: Partial<Record<PricedUnit, PricedUnit>> = {
  cachedInput: 'input',
  cacheWrite: 'input',
  cachedAudioInput: 'audioInput',
  audioInput: 'input',
  audioOutput: 'output',
};

function priceOf(unit: PricedUnit, price: PricePerMillion): number | null {
  const own = price[unit];
  if (own !== undefined) return own;
  const whole = partOf[unit];
  return whole === undefined ? null : priceOf(whole, price);
}
