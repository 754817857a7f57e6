import { byId, make } from './dom.ts';

/** A telephone's keys and the letters on them (ITU-T E.161). */
const keys = [
  ['1', ''],
  ['2', 'ABC'],
  ['3', 'DEF'],
  ['4', 'GHI'],
  ['5', 'JKL'],
  ['6', 'MNO'],
  ['7', 'PQRS'],
  ['8', 'TUV'],
  ['9', 'WXYZ'],
  ['*', ''],
  ['0', ''],
  ['#', ''],
] as const;
const spoken: Partial<Record<string, string>> = { '*': 'star', '#': 'hash' };
/** Between the keys of a text: a person's pace, and what telephones need between two tones. */
const GAP_MS = 120;
const SHOWN = 24;

/** Keys to press, one by one or several at once. */
export class KeypadView {
  readonly #box = byId('keypad', HTMLElement);
  readonly #toggle = byId('keypad-toggle', HTMLButtonElement);
  readonly #pressed = byId('pressed', HTMLOutputElement);
  readonly #text = byId('digits', HTMLInputElement);
  readonly #press: (digit: string) => void;
  #shown = '';
  #queue: string[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(press: (digit: string) => void) {
    this.#press = press;
    const grid = byId('keys', HTMLElement);
    for (const [key, letters] of keys) {
      const button = make('button', '', key, make('small', '', letters));
      button.type = 'button';
      button.setAttribute('aria-label', spoken[key] ?? key);
      button.addEventListener('click', () => this.press(key));
      grid.append(button);
    }
    this.#toggle.addEventListener('click', () => this.open(this.#box.hidden === true));
    byId('digits-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      this.#queue.push(...this.#text.value);
      this.#text.value = '';
      this.#next();
    });
  }

  open(isOpen: boolean): void {
    this.#box.hidden = !isOpen;
    this.#toggle.setAttribute('aria-expanded', String(isOpen));
    if (!isOpen) return;
    this.#box.querySelector('button')?.focus({ preventScroll: true });
    this.#box.scrollIntoView({ block: 'nearest' });
  }

  /** Closes it, and forgets what was not sent. */
  reset(): void {
    this.open(false);
    this.#queue = [];
    this.#shown = '';
    this.#pressed.textContent = '';
  }

  /** @param digit one of `0-9 * # A-D`. */
  press(digit: string): void {
    this.#press(digit);
    this.#shown = (this.#shown + digit).slice(-SHOWN);
    this.#pressed.textContent = this.#shown;
  }

  #next(): void {
    if (this.#timer !== null) return;
    const digit = this.#queue.shift();
    if (digit === undefined) return;
    this.press(digit);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#next();
    }, GAP_MS);
  }
}
