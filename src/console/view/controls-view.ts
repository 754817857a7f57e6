import { clockTime } from '../model/time.ts';
import { byId } from './dom.ts';

/** `starting`: microphone and connection are being opened. */
export type Phase = 'idle' | 'starting' | 'active';

export interface Actions {
  start(): void;
  mute(): void;
  interrupt(): void;
  keypad(): void;
  press(digit: string): void;
  hangUp(): void;
}

/** The row of buttons, the state beside the title, and the keyboard's shortcuts. */
export class ControlsView {
  readonly #start = byId('start', HTMLButtonElement);
  readonly #mute = byId('mute', HTMLButtonElement);
  readonly #inCall = ['mute', 'interrupt', 'keypad-toggle', 'hangup'].map((id) =>
    byId(id, HTMLButtonElement),
  );
  readonly #state = byId('state', HTMLElement);
  readonly #clock = byId('clock', HTMLElement);
  readonly #shortcuts = byId('shortcuts', HTMLInputElement);
  #phase: Phase = 'idle';

  constructor(actions: Actions) {
    const on = (id: string, action: () => void) =>
      byId(id, HTMLButtonElement).addEventListener('click', action);
    on('start', () => actions.start());
    on('mute', () => actions.mute());
    on('interrupt', () => actions.interrupt());
    on('hangup', () => actions.hangUp());
    document.addEventListener('keydown', (event) => this.#key(event, actions));
    byId('settings', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      actions.start();
    });
  }

  get phase(): Phase {
    return this.#phase;
  }

  get idle(): boolean {
    return this.#phase === 'idle';
  }

  get line(): string {
    return byId('line', HTMLSelectElement).value;
  }

  get phoneNumber(): string {
    return byId('number', HTMLInputElement).value.trim();
  }

  /** Kept by nobody but the field. */
  get accessToken(): string {
    return byId('token', HTMLInputElement).value.trim();
  }

  show(phase: Phase): void {
    const before = this.#phase;
    this.#phase = phase;
    document.body.dataset.phase = phase;
    this.#start.hidden = phase === 'active';
    this.#start.disabled = phase === 'starting';
    this.#start.textContent = phase === 'starting' ? 'Starting …' : 'Start the call';
    for (const button of this.#inCall) button.hidden = phase !== 'active';
    // Whoever works by keyboard stands on a button that has just gone.
    const focused = document.activeElement;
    const lost = focused === document.body || focused === null || (focused as HTMLElement).hidden;
    if (lost && phase === 'active') this.#mute.focus({ preventScroll: true });
    if (lost && phase === 'idle' && before === 'active') this.#start.focus({ preventScroll: true });
  }

  state(text: string): void {
    if (this.#state.textContent !== text) this.#state.textContent = text;
  }

  time(ms: number): void {
    const text = clockTime(ms);
    if (this.#clock.textContent !== text) this.#clock.textContent = text;
  }

  muted(isMuted: boolean): void {
    this.#mute.setAttribute('aria-pressed', String(isMuted));
  }

  #key(event: KeyboardEvent, actions: Actions): void {
    const { target, key } = event;
    const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    const chord = event.ctrlKey || event.metaKey || event.altKey;
    if (!this.#shortcuts.checked || typing || chord || event.repeat) return;
    const letter = key.toLowerCase();
    if (this.#phase === 'idle' && letter === 'c') actions.start();
    if (this.#phase !== 'active') return;
    if (/^[0-9*#]$/.test(key)) actions.press(key);
    else if (letter === 'm') actions.mute();
    else if (letter === 'i') actions.interrupt();
    else if (letter === 'k') actions.keypad();
    else if (letter === 'h') actions.hangUp();
  }
}
