/** FreeSWITCH's volume where none is given, in dB (`teletone_init_session`). */
const defaultLevel = -7;

/**
 * FreeSWITCH's tones as far as `hold_line` and `transfer_ringback` use them: `tone_stream://v=-20;%(250,1250,425);loops=-1`, `%(1000,4000,425)`; one pair
 * of on and off, one or two frequencies, for ever.
 */
export class Tone {
  readonly #onMs: number;
  readonly #periodMs: number;
  readonly #hertz: readonly number[];
  readonly #amplitude: number;
  #at = 0;

  /** @throws {Error} if it is another kind of stream. */
  constructor(stream: string) {
    const parts = /^(?:tone_stream:\/\/)?(?:v=(-?\d+);)?%\((\d+),(\d+),(\d+)(?:,(\d+))?\)/.exec(stream);
    if (parts === null) throw new Error(`the double plays no ${stream}`);
    const [, level = defaultLevel, on, off, one, other] = parts;
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
