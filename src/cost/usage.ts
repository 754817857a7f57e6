import { type Usage, type UsageUnit, usageUnits } from '../providers/ports.ts';

/** What both have used together, unit by unit; a unit that neither has is missing. */
export function addUnits(a: Usage, b: Usage): Partial<Record<UsageUnit, number>> {
  const sum: Partial<Record<UsageUnit, number>> = {};
  for (const unit of usageUnits) {
    if (a[unit] !== undefined || b[unit] !== undefined) sum[unit] = (a[unit] ?? 0) + (b[unit] ?? 0);
  }
  return sum;
}

/** Summed per provider, guesses apart, in the order of the first of each. */
export function perProvider(entries: readonly Usage[]): Usage[] {
  const sums = new Map<string, Usage>();
  for (const entry of entries) {
    const key = JSON.stringify([entry.provider, entry.estimated === true]);
    const known = sums.get(key) ?? {
      provider: entry.provider,
      ...(entry.estimated === true ? { estimated: true as const } : {}),
    };
    sums.set(key, { ...known, ...addUnits(known, entry) });
  }
  return [...sums.values()];
}
