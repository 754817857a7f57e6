import type { CallEvent } from '../call/events.ts';
import type { DialectEntry, LegContext } from './carrier.ts';
import type { Dialect, LegHandler } from './dialect.ts';
import { parseObject } from './json-text.ts';

/** What may come before the message that tells: `connected`, and frames that have overtaken the start. */
const MOST_MESSAGES = 50;
const MOST_SIZE = 512 * 1024;

/**
 * A leg whose dialect its first messages tell. Everything before that is kept and given to it; what the call says meanwhile is the
 * announcement of its id, which it is given too.
 */
export class AutoDialect implements Dialect {
  readonly name = 'auto';
  readonly #context: LegContext;
  readonly #candidates: readonly DialectEntry[];
  readonly #ofBinary: DialectEntry;
  #chosen: Dialect | null = null;
  #messages: (string | ArrayBuffer)[] = [];
  #size = 0;
  #shown: CallEvent[] = [];

  /** @param ofBinary of a leg that begins with audio. */
  constructor(context: LegContext, candidates: readonly DialectEntry[], ofBinary: DialectEntry) {
    this.#context = context;
    this.#candidates = candidates;
    this.#ofBinary = ofBinary;
  }

  get pieceMs(): number {
    return this.#chosen?.pieceMs ?? 100;
  }

  get leadMs(): number {
    return this.#chosen?.leadMs ?? 300;
  }

  get canClear(): boolean {
    return this.#chosen?.canClear ?? false;
  }

  get canMark(): boolean {
    return this.#chosen?.canMark ?? false;
  }

  get hangsUpByClosing(): boolean {
    return this.#chosen?.hangsUpByClosing ?? true;
  }

  receive(message: string | ArrayBuffer, handler: LegHandler): void {
    if (this.#chosen !== null) {
      this.#chosen.receive(message, handler);
      return;
    }
    this.#messages.push(message);
    this.#size += typeof message === 'string' ? message.length : message.byteLength;
    const entry = this.#entryOf(message);
    if (entry === undefined) {
      if (this.#messages.length < MOST_MESSAGES && this.#size < MOST_SIZE) return;
      this.#messages = [];
      this.#size = 0;
      handler.refuse('BAD_MESSAGE', 'auto: none of the messages tells how this leg speaks');
      return;
    }
    this.#chosen = entry.create(this.#context);
    for (const event of this.#shown) this.#chosen.show(event);
    for (const kept of this.#messages) this.#chosen.receive(kept, handler);
    this.#shown = [];
    this.#messages = [];
  }

  #entryOf(message: string | ArrayBuffer): DialectEntry | undefined {
    if (typeof message !== 'string') return this.#ofBinary;
    const json = parseObject(message);
    return typeof json === 'string' ? undefined : this.#candidates.find((entry) => entry.beginsWith(json));
  }

  say(samples: Int16Array, text: string | null): void {
    this.#chosen?.say(samples, text);
  }

  flush(): void {
    this.#chosen?.flush();
  }

  clear(): void {
    this.#chosen?.clear();
  }

  mark(name: string): void {
    this.#chosen?.mark(name);
  }

  transfer(to: string, ringSeconds: number): boolean {
    return this.#chosen?.transfer(to, ringSeconds) ?? false;
  }

  cancelTransfer(): void {
    this.#chosen?.cancelTransfer();
  }

  pressDigits(digits: string): boolean {
    return this.#chosen?.pressDigits(digits) ?? false;
  }

  hangUp(): void {
    this.#chosen?.hangUp();
  }

  show(event: CallEvent): void {
    if (this.#chosen !== null) this.#chosen.show(event);
    else if (event.type === 'leg.accepted') this.#shown.push(event);
  }
}
