import type { TurnLatency } from '../../dialects/native-messages.ts';
import { duration } from '../model/time.ts';
import { type LatencyPart, median, partsOf, stepsOf } from '../model/waterfall.ts';
import { byId, make } from './dom.ts';

/** Answers that are shown: the newest. */
const SHOWN = 50;

/** Each answer's latency: its three parts, and its moments one after the other. */
export class LatencyView {
  readonly #list = byId('latencies', HTMLOListElement);
  readonly #median = byId('latency-median', HTMLElement);
  readonly #empty = byId('latency-empty', HTMLElement);
  #totals: number[] = [];
  #bars: { bar: HTMLElement; totalMs: number }[] = [];

  reset(): void {
    this.#totals = [];
    this.#bars = [];
    this.#list.replaceChildren();
    this.#median.textContent = '';
    this.#empty.hidden = false;
  }

  add(latency: TurnLatency): void {
    this.#totals.push(latency.totalMs);
    this.#empty.hidden = true;
    this.#median.textContent = `median ${duration(median(this.#totals) ?? 0)}`;
    for (const details of this.#list.querySelectorAll('details')) details.open = false;
    const parts = partsOf(latency);
    const bar = make('span', 'bar', ...parts.map(segment));
    const summary = make(
      'summary',
      '',
      make('span', '', `Answer ${this.#totals.length}`),
      bar,
      make('strong', '', duration(latency.totalMs)),
    );
    const details = make('details', '', summary, partsList(parts), stepsList(latency));
    details.open = true;
    this.#list.prepend(make('li', '', details));
    this.#bars.unshift({ bar, totalMs: latency.totalMs });
    if (this.#bars.length > SHOWN) {
      this.#bars.pop();
      this.#list.lastElementChild?.remove();
    }
    this.#scale();
  }

  /** All bars have one scale, so that answers can be compared. */
  #scale(): void {
    const longest = Math.max(1, ...this.#bars.map(({ totalMs }) => totalMs));
    for (const { bar, totalMs } of this.#bars)
      bar.style.setProperty('--scale', `${(totalMs / longest) * 100}%`);
  }
}

function segment({ name, share }: LatencyPart): HTMLElement {
  const element = make('i', name);
  element.style.setProperty('--share', String(share));
  return element;
}

function partsList(parts: readonly LatencyPart[]): HTMLElement {
  return make(
    'dl',
    'parts',
    ...parts.map(({ name, label, ms }) =>
      make('div', '', make('dt', name, label), make('dd', '', duration(ms))),
    ),
  );
}

function stepsList(latency: TurnLatency): HTMLElement {
  const list = make('ol', 'steps');
  for (const { label, part, fromMs, untilMs } of stepsOf(latency)) {
    const bar = make('i', part);
    const share = (ms: number) => `${(ms / Math.max(1, latency.totalMs)) * 100}%`;
    bar.style.setProperty('--from', share(fromMs));
    bar.style.setProperty('--width', share(untilMs - fromMs));
    list.append(
      make(
        'li',
        '',
        make('span', '', label),
        make('span', 'track', bar),
        make('span', '', duration(untilMs)),
      ),
    );
  }
  return list;
}
