import { Tally, type TallyParts } from './tally.ts';

/** A stretch of the run. Times of answers and round trips are null where there were none. */
export interface TimelinePoint {
  /** From the start of the run to the stretch's own, in seconds. */
  atSeconds: number;
  seconds: number;
  /** Calls open at its end. */
  open: number;
  /** Calls that were refused, dropped or failed in it. */
  errors: number;
  framesSent: number;
  roundTripP50Ms: number | null;
  roundTripP95Ms: number | null;
  answerP50Ms: number | null;
  answerP95Ms: number | null;
  /** How late this client's own frames were. */
  lateP99Ms: number | null;
}

/** Whatever a run's length, it is told in so many stretches at most. */
const mostPoints = 300;
/** What is reported at once happened in the second before. */
const secondMs = 1_000;

/** What happened when, in bounded memory: seconds in a short run, longer stretches in a long one. */
export class Timeline {
  readonly #stretchMs: number;
  readonly #stretches: { tally: Tally; open: number }[] = [];

  /** @param expectedMs how long the run will be; what comes after it counts to its last stretch. */
  constructor(expectedMs: number) {
    this.#stretchMs = Math.max(1, Math.ceil(expectedMs / mostPoints / 1_000)) * 1_000;
  }

  add(atMs: number, open: number, parts: TallyParts): void {
    const middleMs = atMs - secondMs / 2;
    const index = Math.min(mostPoints - 1, Math.max(0, Math.floor(middleMs / this.#stretchMs)));
    while (this.#stretches.length <= index) {
      this.#stretches.push({ tally: new Tally(), open: this.#stretches.at(-1)?.open ?? 0 });
    }
    const stretch = this.#stretches[index]!;
    stretch.tally.merge(parts);
    stretch.open = open;
  }

  points(): TimelinePoint[] {
    return this.#stretches.map(({ tally, open }, i) => {
      const percentile = (what: 'roundTripMs' | 'answerMs' | 'lateMs', q: number) =>
        tally.histogram(what).percentile(q);
      return {
        atSeconds: (i * this.#stretchMs) / 1_000,
        seconds: this.#stretchMs / 1_000,
        open,
        errors: tally.faults(),
        framesSent: tally.of('framesSent'),
        roundTripP50Ms: percentile('roundTripMs', 0.5),
        roundTripP95Ms: percentile('roundTripMs', 0.95),
        answerP50Ms: percentile('answerMs', 0.5),
        answerP95Ms: percentile('answerMs', 0.95),
        lateP99Ms: percentile('lateMs', 0.99),
      };
    });
  }
}
