import type { Random } from '../call/clock.ts';

/** Objects that one request of a node asks. */
const MOST_ASKED = 4;

/** The shards that a node asks now. By chance: in turn by the clock, a node that comes every other second would always find the same ones. */
export function shardsToAsk(shards: number, random: Pick<Random, 'fraction'>): number[] {
  const start = Math.floor(random.fraction() * shards);
  return Array.from({ length: Math.min(shards, MOST_ASKED) }, (_, i) => (start + i) % shards);
}
