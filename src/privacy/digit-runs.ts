/** Digits that stand or are said together: their number, and of each group of them where it begins and ends. */
export interface DigitRun {
  groups: readonly { digits: string; start: number; end: number }[];
  /** A plus stands before the first one. */
  plus: boolean;
  start: number;
  end: number;
}

/** Between the groups of one number: spaces, a line's end (the next turn), punctuation. */
const RUN = /(?:\+[ (]{0,2}|\()?\d+(?:[\s.,;:()/–—-]{1,4}\d+)*/g;

/** All runs of a text in which digits are written. */
export function digitRuns(text: string): DigitRun[] {
  return [...text.matchAll(RUN)].map((match) => {
    const groups = [...match[0].matchAll(/\d+/g)].map(({ 0: digits, index }) => {
      const start = match.index + index;
      return { digits, start, end: start + digits.length };
    });
    return {
      groups,
      plus: match[0].startsWith('+'),
      start: match.index,
      end: match.index + match[0].length,
    };
  });
}

/** The digits of all groups of it. */
export function digitsOf({ groups }: Pick<DigitRun, 'groups'>): string {
  return groups.map((group) => group.digits).join('');
}

/** The run from one of its groups to another. */
export function partOf(run: DigitRun, from: number, to: number): DigitRun {
  const groups = run.groups.slice(from, to + 1);
  return {
    groups,
    plus: run.plus && from === 0,
    start: from === 0 ? run.start : groups[0]!.start,
    end: groups.at(-1)!.end,
  };
}

/**
 * Parts of a run that a test finds, by their first and last group: from the left, of those that begin at a group the longest. None has
 * more than `most` digits, and no two overlap.
 */
export function partsThat(
  run: DigitRun,
  most: number,
  test: (digits: string) => boolean,
): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  for (let from = 0; from < run.groups.length; from++) {
    const starts: string[] = [];
    let digits = '';
    for (let to = from; to < run.groups.length; to++) {
      digits += run.groups[to]!.digits;
      if (digits.length > most) break;
      starts.push(digits);
    }
    const to = starts.findLastIndex(test);
    if (to < 0) continue;
    found.push({ from, to: from + to });
    from += to;
  }
  return found;
}
