import type { TurnUsage } from '../call/journal.ts';
import { costOf, type MicroUsd, type PriceList } from './price.ts';

/** What one turn has used of one provider, and what that cost; null: there is no price for it. */
export interface PricedUsage extends TurnUsage {
  costMicroUsd: MicroUsd;
}

/** What a call cost with its vendors, in millionths of a US dollar. */
export interface CallCost {
  /** What is known of it: the sum of `turns`; null where nothing of it is. */
  costMicroUsd: MicroUsd;
  /** Providers of which something was used that has no price: what the call cost beyond `costMicroUsd` is not known. */
  unpriced: string[];
  /** By provider, in the order of `turns`. */
  providers: { provider: string; costMicroUsd: MicroUsd }[];
  turns: PricedUsage[];
}

/** Prices a call's usage. Every sum is one of whole micro-dollars, so that they agree wherever they are made. */
export function callCost(usage: readonly TurnUsage[], prices: PriceList): CallCost {
  const turns = usage.map((entry) => ({ ...entry, costMicroUsd: costOf(entry, prices(entry.provider)) }));
  const providers = new Map<string, MicroUsd>();
  const unpriced = new Set<string>();
  for (const { provider, costMicroUsd } of turns) {
    if (costMicroUsd === null) unpriced.add(provider);
    providers.set(provider, add(providers.get(provider) ?? null, costMicroUsd));
  }
  let known: MicroUsd = turns.length === 0 ? 0 : null;
  for (const { costMicroUsd } of turns) known = add(known, costMicroUsd);
  return {
    costMicroUsd: known,
    unpriced: [...unpriced],
    providers: [...providers].map(([provider, costMicroUsd]) => ({ provider, costMicroUsd })),
    turns,
  };
}

/** What each provider is known to cost; one of which nothing has a price is missing. */
export function knownCosts({ providers }: CallCost): Record<string, number> {
  return Object.fromEntries(
    providers.flatMap(({ provider, costMicroUsd }) =>
      costMicroUsd === null ? [] : [[provider, costMicroUsd]],
    ),
  );
}

function add(a: MicroUsd, b: MicroUsd): MicroUsd {
  return a === null ? b : a + (b ?? 0);
}
