/** How fast a node dials: settings of `NODES`. */
export interface DialPace {
  /** Dials that it begins a second, at most. */
  perSecond: number;
  /** Dials at once that are not answered yet. */
  atOnce: number;
}

/** Of nodes that say nothing else: a carrier's usual calls a second of a small account, and a minute's worth of them ringing. */
export const defaultPace: DialPace = { perSecond: 5, atOnce: 100 };

/** Each of several objects gives a node its share; at least one, so that a node with few is not left out. */
export function shareOf({ perSecond, atOnce }: DialPace, shards: number): DialPace {
  return { perSecond: perSecond / shards, atOnce: Math.max(1, Math.ceil(atOnce / shards)) };
}

/** A token bucket for each node, a second's dials deep, and one at least. */
export class DialPacer {
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** How many dials the node may begin now. */
  allowed(node: string, { perSecond }: DialPace, now: number): number {
    const depth = Math.max(1, perSecond);
    const bucket = this.#buckets.get(node) ?? { tokens: depth, at: now };
    const tokens = Math.min(depth, bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * perSecond);
    this.#buckets.set(node, { tokens, at: now });
    return Math.floor(tokens);
  }

  spend(node: string, dials: number): void {
    const bucket = this.#buckets.get(node);
    if (bucket !== undefined) bucket.tokens -= dials;
  }
}
