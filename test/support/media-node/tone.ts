/** FreeSWITCH's `tone_stream` as far as `hold_line` uses it: `v=-20;%(250,1250,425);loops=-1`, one pair of on and off, one or two frequencies. */
export class Tone {
  readonly #onMs: number;
  readonly #periodMs: number;
  readonly #hertz: readonly number[];
  readonly #amplitude: number;
  #at = 0;

  /** @throws {Error} if it is another kind of stream. */
  constructor(stream: string) {
    const parts = /^tone_stream:\/\/v=(-?\d+);%\((\d+),(\d+),(\d+)(?:,(\d+))?\)/.exec(stream);
    if (parts === null) throw new Error(`the double plays no ${stream}`);
    const [, level, on, off, one, other] = parts;
    this.#onMs = Number(on);
    this.#periodMs = Number(on) + Number(off);
    this.#hertz = [one, other].filter((hertz) => hertz !== undefined).map(Number);
    this.#amplitude = (32_767 * 10 ** (Number(level) / 20)) / this.#hertz.length;
  }

  /** The next samples at 8 kHz. */
  next(samples: number): Int16Array {
    return Int16Array.from({ length: samples }, () => {
      const at = this.#at;
      this.#at += 1;
      if ((at / 8) % this.#periodMs >= this.#onMs) return 0;
      const value = this.#hertz.reduce((sum, hertz) => sum + Math.sin((2 * Math.PI * hertz * at) / 8_000), 0);
      return Math.round(this.#amplitude * value);
    });
  }
}
