import { clockTime } from '../model/time.ts';
import { type Entry, Transcript, type TranscriptMessage } from '../model/transcript.ts';
import { byId, EndlessBox, make } from './dom.ts';

const names = { caller: 'You', agent: 'Agent' } as const;
/** Announcements that are kept for a screen reader to go back to. */
const KEPT_ANNOUNCEMENTS = 20;

/** The conversation, turn by turn. */
export class TranscriptView {
  readonly #box = new EndlessBox(byId('transcript', HTMLElement));
  readonly #list = byId('turns', HTMLOListElement);
  readonly #welcome = byId('welcome', HTMLElement);
  readonly #announcer = byId('announcer', HTMLElement);
  #transcript = new Transcript();
  #items = new Map<number, HTMLLIElement>();

  /** A new call begins. */
  reset(): void {
    this.#transcript = new Transcript();
    this.#items = new Map();
    this.#list.replaceChildren();
    this.#announcer.replaceChildren();
    this.#welcome.hidden = true;
  }

  take(message: TranscriptMessage, atMs: number): void {
    const entry = this.#transcript.take(message, atMs);
    if (entry === null) return;
    this.#show(entry);
    if (message.final) this.#announce(entry);
  }

  /** Nobody speaks; see {@link Transcript.settle}. */
  settle(role?: Entry['role']): void {
    for (const entry of this.#transcript.settle(role)) this.#show(entry);
  }

  #show(entry: Entry): void {
    const known = this.#items.get(entry.id);
    if (entry.parts.length === 0) {
      known?.remove();
      this.#items.delete(entry.id);
      return;
    }
    const item = render(entry);
    if (known === undefined) this.#list.append(item);
    else known.replaceWith(item);
    this.#items.set(entry.id, item);
    this.#box.changed();
  }

  #announce(entry: Entry): void {
    const text = entry.parts.map((part) => (part.kind === 'cut' ? `(not heard: ${part.text})` : part.text));
    this.#announcer.append(make('p', '', `${names[entry.role]}: ${text.join(' ')}`));
    while (this.#announcer.childElementCount > KEPT_ANNOUNCEMENTS)
      this.#announcer.firstElementChild?.remove();
  }
}

function render(entry: Entry): HTMLLIElement {
  const text = make('p', 'text');
  for (const part of entry.parts) {
    const tag = part.kind === 'cut' ? 'del' : 'span';
    text.append(text.hasChildNodes() ? ' ' : '', make(tag, part.kind, part.text));
  }
  const item = make(
    'li',
    `turn ${entry.role}`,
    make('header', '', make('span', 'who', names[entry.role]), ' ', make('time', '', clockTime(entry.atMs))),
    text,
  );
  if (entry.parts.some((part) => part.kind === 'cut')) {
    item.append(make('p', 'note', 'Interrupted: what is struck out was not heard.'));
  }
  return item;
}
