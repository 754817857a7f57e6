/** A generator of numbers that are the same for the same seed: mulberry32 (Tommy Ettinger, public domain). */
export function seeded(seed: number) {
  let state = seed >>> 0;
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  /** A whole number from 0 to `below` - 1. */
  const whole = (below: number) => Math.floor(fraction() * below);
  return { fraction, whole, of: <T>(items: readonly T[]): T => items[whole(items.length)]! };
}
