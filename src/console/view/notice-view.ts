import type { Explanation } from '../model/explain.ts';
import { byId } from './dom.ts';

/** What can be done about it, beside closing it. */
export interface NoticeActions {
  retry?: () => void;
  without?: () => void;
}

/** Says what went wrong, and what to do about it. */
export class NoticeView {
  readonly #box = byId('notice', HTMLElement);
  readonly #title = byId('notice-title', HTMLElement);
  readonly #text = byId('notice-text', HTMLElement);
  readonly #retry = byId('notice-retry', HTMLButtonElement);
  readonly #without = byId('notice-without', HTMLButtonElement);
  #actions: NoticeActions = {};

  constructor() {
    this.#on(this.#retry, ({ retry }) => retry?.());
    this.#on(this.#without, ({ without }) => without?.());
    this.#on(byId('notice-close', HTMLButtonElement), () => byId('start', HTMLElement).focus());
  }

  show({ title, text, kind }: Explanation, actions: NoticeActions = {}): void {
    this.#actions = actions;
    this.#title.textContent = title;
    this.#text.textContent = text;
    this.#retry.hidden = actions.retry === undefined;
    this.#without.hidden = actions.without === undefined;
    this.#box.classList.toggle('problem', kind === 'problem');
    this.#box.hidden = false;
  }

  hide(): void {
    this.#actions = {};
    this.#box.hidden = true;
  }

  #on(button: HTMLButtonElement, act: (actions: NoticeActions) => void): void {
    button.addEventListener('click', () => {
      const actions = this.#actions;
      this.hide();
      act(actions);
    });
  }
}
