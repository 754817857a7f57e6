import type { LoggedEvent } from '../model/event-log.ts';
import { preciseTime } from '../model/time.ts';
import { byId, EndlessBox, make } from './dom.ts';

/** Lines that are kept: the newest. */
const SHOWN = 400;

const arrows = {
  received: { sign: '↓', name: 'received' },
  sent: { sign: '↑', name: 'sent' },
  page: { sign: '·', name: 'in this page' },
} as const;

/** The events as they come, and what came without being one. */
export class EventsView {
  readonly #box = new EndlessBox(byId('events-box', HTMLElement));
  readonly #list = byId('events', HTMLOListElement);
  readonly #empty = byId('events-empty', HTMLElement);
  readonly #counters = byId('counters', HTMLElement);

  reset(): void {
    this.#list.replaceChildren();
    this.#counters.textContent = '';
    this.#empty.hidden = false;
  }

  add({ atMs, direction, what, detail }: LoggedEvent): void {
    this.#empty.hidden = true;
    const { sign, name } = arrows[direction];
    const arrow = make('span', '', sign);
    arrow.title = name;
    arrow.setAttribute('role', 'img');
    arrow.setAttribute('aria-label', name);
    this.#list.append(
      make(
        'li',
        what === 'error' ? 'error' : '',
        make('time', '', preciseTime(atMs)),
        arrow,
        make('span', 'what', what),
        make('span', '', detail),
      ),
    );
    if (this.#list.childElementCount > SHOWN) this.#list.firstElementChild?.remove();
    this.#box.changed();
  }

  /** @param frames of 20 ms, each way. @param late times that the agent's audio was late. */
  count(frames: number, late: number): void {
    const seconds = Math.floor(frames / 50);
    const gaps = late === 0 ? '' : ` · ${late} ${late === 1 ? 'gap' : 'gaps'}`;
    this.#counters.textContent = `${seconds} s of audio${gaps}`;
  }
}
