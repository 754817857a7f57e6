/** The value below which a share `q` (0 to 1) of the values lies, between two neighbours in proportion; NaN of none. Infinity may be one. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) return Number.NaN;
  return above === below ? below : below + (above - below) * (at - Math.floor(at) || 0);
}

export const median = (values: readonly number[]) => quantile(values, 0.5);

/** `3.1 (2.9–3.6)`: the median of the rounds, the least and the most of them. */
export function ofRounds(values: readonly number[], digits: number): string {
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)];
  return `${middle.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

/**
 * The wait of a ping, and of those that would have been sent while its answer was outstanding had they not waited for it.
 *
 * @param sentAt and the others in milliseconds.
 */
export function pingWaits(sentAt: number, until: number, everyMs: number): number[] {
  const waits: number[] = [];
  for (let due = sentAt; due === sentAt || due < until; due += everyMs) waits.push(until - due);
  return waits;
}

/** Rounded for JSON; null where there is nothing. */
export function rounded(value: number, digits: number): number | null {
  return Number.isFinite(value) ? Number(value.toFixed(digits)) : null;
}

/** Prints rows in columns as wide as their widest cell: the first to the left, the others to the right. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  for (const row of rows) {
    const cells = row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
    console.log(cells.join('   ').trimEnd());
  }
}

/** The option `--rounds`. @throws {RangeError} if it is no number of rounds. */
export function roundsOf(value: string | number): number {
  const rounds = Number(value);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) throw new RangeError(`--rounds: 1 to 100`);
  return rounds;
}
