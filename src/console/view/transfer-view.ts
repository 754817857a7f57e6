import type { ClientMessage } from '../../dialects/native-messages.ts';
import { byId, make } from './dom.ts';

export type TransferReport = Extract<ClientMessage, { type: 'transfer' }>;

/** How it may come out, in the words of a FreeSWITCH node. */
const outcomes: readonly (readonly [label: string, report: TransferReport])[] = [
  ['They answer', { type: 'transfer', state: 'answered' }],
  ['Busy', { type: 'transfer', state: 'failed', cause: 'USER_BUSY', sipStatus: 486 }],
  ['Nobody answers', { type: 'transfer', state: 'failed', cause: 'NO_ANSWER', sipStatus: 480 }],
];

/** The agent wants the caller connected: a page has nobody to call, so whoever sits before it says how it comes out. */
export class TransferView {
  readonly #box = byId('transfer', HTMLElement);
  readonly #to = byId('transfer-to', HTMLElement);

  constructor(report: (report: TransferReport) => void) {
    const buttons = outcomes.map(([label, outcome]) => {
      const button = make('button', '', label);
      button.type = 'button';
      button.addEventListener('click', () => {
        this.hide();
        report(outcome);
      });
      return button;
    });
    byId('transfer-outcomes', HTMLElement).append(...buttons);
  }

  show(to: string): void {
    this.#to.textContent = `The agent connects you to ${to}. What happens there?`;
    this.#box.hidden = false;
    this.#box.scrollIntoView({ block: 'nearest' });
  }

  hide(): void {
    this.#box.hidden = true;
  }
}
