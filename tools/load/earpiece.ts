/** A service that marks without measure is not told of more than so many. */
const mostMarks = 1_000;

/**
 * When what is received would be heard: the service is told of its marks as a telephone tells, when they are played. Keeps no audio, and no
 * timer: `played` is asked with every frame. Times are milliseconds of one clock.
 */
export class Earpiece {
  #playedUntil = 0;
  #marks: { name: string; at: number }[] = [];

  /** Audio of this length has come. */
  audio(ms: number, now: number): void {
    this.#playedUntil = Math.max(now, this.#playedUntil) + ms;
  }

  /** Names the end of what has come so far. */
  mark(name: string, now: number): void {
    if (this.#marks.length < mostMarks) this.#marks.push({ name, at: Math.max(now, this.#playedUntil) });
  }

  /** Forgets what was not played, and the marks within it. */
  clear(now: number): void {
    this.#playedUntil = Math.min(now, this.#playedUntil);
    this.#marks = this.#marks.filter(({ at }) => at <= now);
  }

  /** Marks that were reached since it was asked last. */
  played(now: number): string[] {
    const reached: string[] = [];
    while (this.#marks[0] !== undefined && this.#marks[0].at <= now) reached.push(this.#marks.shift()!.name);
    return reached;
  }
}
