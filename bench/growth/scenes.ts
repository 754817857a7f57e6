import type { DayScene, Phase } from './day.ts';
import type { DialScene } from './dialling.ts';

/** Calls at once that the objects which calls share are to hold. */
export const CALLS = 200_000;
const CALL_SECONDS = 180;
/** Calls that an isolate of objects has: nobody outside Cloudflare knows how many. */
const CALLS_PER_ISOLATE = 100;
/** Defaults of `src/config.ts`. */
const SHARDS = 16;

/** The phase that figures are the means of. */
export const STEADY = 'steady';

/**
 * A day of 22 minutes: calls begin more and more often, are as many as there are to be, twice as many begin for half a minute, and they become
 * fewer. The permits are for more: it is looked at what the objects do, and not at the ceiling.
 *
 * @param scale of the number of calls, isolates and users; the shards are as many as ever.
 */
export function dayOf(scale: number): DayScene {
  const usual = (scale * CALLS) / CALL_SECONDS;
  return {
    ...common(scale, 1),
    phases: [
      phase('morning', 360, 0.01 * usual, usual),
      phase('filling', 480, usual, usual),
      phase(STEADY, 240, usual, usual),
      phase('burst', 30, 2 * usual, 2 * usual),
      phase('after the burst', 150, usual, usual),
      phase('evening', 60, usual, 0.3 * usual),
    ],
    ceiling: 1.5 * scale * CALLS,
  };
}

/** So many times as many calls are asked for as the ceiling allows. */
export const TOO_MANY = 1.15;

/** A ceiling that is reached. */
export function fullOf(scale: number, callsPerIsolate = CALLS_PER_ISOLATE): DayScene {
  const asked = (TOO_MANY * scale * CALLS) / CALL_SECONDS;
  return {
    ...common(scale, 2),
    isolates: Math.round((scale * CALLS) / callsPerIsolate),
    phases: [phase('filling', 150, 2 * asked, 2 * asked), phase('full', 240, asked, asked)],
    ceiling: scale * CALLS,
  };
}

/** One in five calls is one that the service places. */
export function diallingOf(scale: number, shards: number): DialScene {
  return {
    shards,
    perSecond: (0.2 * scale * CALLS) / CALL_SECONDS,
    seconds: 60,
    nodes: Math.round(220 * scale),
    users: 2_000,
    seed: 3,
  };
}

function common(scale: number, seed: number) {
  return {
    callSeconds: CALL_SECONDS,
    isolates: Math.round((scale * CALLS) / CALLS_PER_ISOLATE),
    users: Math.round(20_000 * scale),
    metricsShards: SHARDS,
    permitShards: SHARDS,
    seed,
  };
}

function phase(name: string, seconds: number, from: number, to: number): Phase {
  return { name, seconds, from, to };
}
