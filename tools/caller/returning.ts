import { closeCodes } from '../../src/dialects/native-messages.ts';

/** The first wait before a lost line is opened again, and the longest, in milliseconds. */
const firstWaitMs = 200;
const longestWaitMs = 3_200;

const final: ReadonlySet<number> = new Set([
  closeCodes.ended,
  closeCodes.badMessages,
  closeCodes.refused,
  closeCodes.timeout,
  closeCodes.callIdInUse,
  closeCodes.replaced,
  closeCodes.tooFast,
]);

/** True where the service has told by the WebSocket's close code that there is nothing to come back to. */
export function isFinalClose(code: number): boolean {
  return final.has(code);
}

/** True where an upgrade that was answered with this HTTP status may succeed later: the service is busy, or not yet up. */
export function isPassingRefusal(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}

/**
 * Milliseconds to wait before attempt `number`, from 0: 200, 400, 800 … 3,200, each between half of it and one and a half, so that
 * all the calls of a node that lost its service do not come back at once.
 *
 * @param random 0 to 1.
 */
export function backOffMs(number: number, random: number): number {
  return Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(number, 30)) * (0.5 + random);
}
