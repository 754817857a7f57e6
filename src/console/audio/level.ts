/** What a meter shows as silence, and as full. In dB of full scale. */
export const FLOOR_DB = -60;
const TOP_DB = 0;
/** How fast a meter's bar falls: IEC 60268-10 type I has 20 dB in 1.7 s; this is twice as fast, for a small bar. */
const FALL_DB_PER_MS = 0.024;
/** How long the loudest is pointed out. */
const PEAK_HOLD_MS = 1_200;

/** Root mean square of 16-bit samples, in dB of full scale; not below `FLOOR_DB`. */
export function levelDb(samples: Int16Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const rms = Math.sqrt(sum / Math.max(1, samples.length)) / 32768;
  return rms === 0 ? FLOOR_DB : Math.max(FLOOR_DB, 20 * Math.log10(rms));
}

/** A level as a share of the meter's length, 0 to 1. */
export function shareOf(db: number): number {
  return Math.min(1, Math.max(0, (db - FLOOR_DB) / (TOP_DB - FLOOR_DB)));
}

/** The needle: up at once, down slowly; and the loudest of the last moment. */
export class Meter {
  #db = FLOOR_DB;
  #peakDb = FLOOR_DB;
  #peakAgeMs = 0;

  get db(): number {
    return this.#db;
  }

  get peakDb(): number {
    return this.#peakDb;
  }

  /** @param elapsedMs since the last one. */
  update(db: number, elapsedMs: number): void {
    const fallen = (from: number) => Math.max(FLOOR_DB, from - FALL_DB_PER_MS * elapsedMs);
    this.#db = Math.max(db, fallen(this.#db));
    this.#peakAgeMs += elapsedMs;
    if (db >= this.#peakDb) {
      this.#peakDb = db;
      this.#peakAgeMs = 0;
    } else if (this.#peakAgeMs > PEAK_HOLD_MS) {
      this.#peakDb = Math.max(this.#db, fallen(this.#peakDb));
    }
  }
}
