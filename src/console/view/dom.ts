/** The element of the page with this id. @throws if the page has none of this kind: page and code do not fit. */
export function byId<T extends Element>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return found;
}

/** A new element. Text is text: nothing that comes from the service becomes markup. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className !== '') element.className = className;
  element.append(...children);
  return element;
}

/** Scrolled up by less than this, in pixels, somebody still reads the end. */
const NEARLY_AT_END = 48;

/**
 * A box that is read at its end, and stays there whatever is added to it and however its size changes; who has scrolled up
 * stays where they are. It is reached by keyboard: there is nothing in it to stand on, and Safari does not see to it.
 */
export class EndlessBox {
  readonly #box: HTMLElement;
  #atEnd = true;
  #top = 0;

  constructor(box: HTMLElement) {
    this.#box = box;
    box.tabIndex = 0;
    box.addEventListener('scroll', () => {
      // The event comes late: more may have been added since. Only a person scrolls up.
      if (box.scrollHeight - box.scrollTop - box.clientHeight < NEARLY_AT_END) this.#atEnd = true;
      else if (box.scrollTop < this.#top) this.#atEnd = false;
      this.#top = box.scrollTop;
    });
    new ResizeObserver(() => this.changed()).observe(box);
  }

  /** Something was added, or another call begins. */
  changed(): void {
    if (this.#atEnd) this.#box.scrollTop = this.#box.scrollHeight;
  }
}
