import { defaultRingSeconds } from '../call/transfer.ts';
import type { CallActions } from './tool.ts';

/**
 * What a tool wants done once what the agent says next was heard to its end: a goodbye comes before the hang-up. It is data and not a
 * function, so that it is written down, and done as well where the call's object is restarted meanwhile.
 */
export type Afterwards =
  | { act: 'hangUp' }
  /** `ringSeconds` is missing where it was written down by an older version. */
  | { act: 'transfer'; to: string; ringSeconds?: number };

const NOT_TRANSFERRED = 'The call could not be transferred.';

/** Does it. Returns what went wrong, for the model to tell the caller, or null. Never throws. */
export function doAfterwards(act: Afterwards, actions: CallActions): string | null {
  switch (act.act) {
    case 'hangUp':
      actions.hangUp();
      return null;
    case 'transfer':
      try {
        return actions.transfer(act.to, act.ringSeconds ?? defaultRingSeconds) ? null : NOT_TRANSFERRED;
      } catch {
        // The leg went at this moment: for the caller, if he comes back, it is one that could not.
        return NOT_TRANSFERRED;
      }
  }
}
