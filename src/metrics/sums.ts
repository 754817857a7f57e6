/**
 * Numbers that only ever grow, by family and label: `{ turns: { caller: 3 } }`. What calls report, what a shard keeps and what the deployment
 * has together have this one form, so that adding up is one function.
 */
export type Sums = Record<string, Record<string, number>>;

/** Labels of one family beyond so many are counted as {@link OTHER}: whoever names things may have no end of names. */
export const MOST_LABELS = 100;
export const OTHER = 'other';

/** Adds `more` to `sums`, in place. */
export function add(sums: Sums, more: Sums): void {
  for (const [family, labels] of Object.entries(more)) {
    for (const [label, value] of Object.entries(labels)) addOne(sums, family, label, value);
  }
}

export function addOne(sums: Sums, family: string, label: string, value: number): void {
  if (value === 0) return;
  sums[family] ??= {};
  const labels = sums[family];
  const known = Object.hasOwn(labels, label);
  const as = known || Object.keys(labels).length < MOST_LABELS ? label : OTHER;
  labels[as] = (labels[as] ?? 0) + value;
}

/**
 * What `now` has more than `before`, and the greater of both. Reports of one call are cumulative; taken so, one that is repeated or overtaken by
 * a later one changes nothing, whatever the order.
 */
export function growth(before: Sums, now: Sums): { grown: Sums; greatest: Sums } {
  const grown: Sums = {};
  const greatest = structuredClone(before);
  for (const [family, labels] of Object.entries(now)) {
    for (const [label, value] of Object.entries(labels)) {
      const known = before[family]?.[label] ?? 0;
      if (value <= known) continue;
      addOne(grown, family, label, value - known);
      greatest[family] ??= {};
      greatest[family][label] = value;
    }
  }
  return { grown, greatest };
}

/** 0 where there is none. */
export function sumAt(sums: Sums, family: string, label: string): number {
  return sums[family]?.[label] ?? 0;
}

/** Of all labels of a family. */
export function sumOf(sums: Sums, family: string): number {
  return Object.values(sums[family] ?? {}).reduce((total, value) => total + value, 0);
}
