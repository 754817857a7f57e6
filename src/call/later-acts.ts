import { type Afterwards, doAfterwards } from '../tools/afterwards.ts';
import type { CallActions } from '../tools/tool.ts';
import type { CallEvents } from './events.ts';

/**
 * What tools want done once the agent's words were heard. Every change is an event, and so written down: an object that is made again
 * under the call knows what it owes (`PastCall.acts`), and nothing is done twice, since it is struck out before it is done.
 */
export class LaterActs {
  readonly #events: CallEvents;
  readonly #actions: CallActions;
  #acts: readonly Afterwards[] = [];

  constructor({ events, actions }: { events: CallEvents; actions: CallActions }) {
    this.#events = events;
    this.#actions = actions;
  }

  /** Something is to be done. */
  get waiting(): boolean {
    return this.#acts.length > 0;
  }

  /** What is asked for twice is done once. */
  add(act: Afterwards): void {
    const known = this.#acts.some((each) => JSON.stringify(each) === JSON.stringify(act));
    if (!known) this.#change([...this.#acts, act]);
  }

  /** Nothing of it is done any more: the caller wants something else, or was told something else. */
  forget(): void {
    if (this.waiting) this.#change([]);
  }

  /**
   * Does all of it. Returns what could not be done, in words for the model. Where a transfer is asked for, the last one is all that is done: a
   * hang-up would end it, and a caller whom it fails is told so.
   */
  do(): string[] {
    const acts = this.#acts;
    this.forget();
    const transfer = acts.findLast(({ act }) => act === 'transfer');
    const todo = transfer === undefined ? acts : [transfer];
    return todo.flatMap((act) => doAfterwards(act, this.#actions) ?? []);
  }

  #change(acts: readonly Afterwards[]): void {
    this.#acts = acts;
    this.#events.emit({ type: 'agent.acts', acts });
  }
}
