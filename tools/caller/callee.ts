import type { Clock, Timer } from '../../src/call/clock.ts';
import type { ClientMessage } from '../../src/dialects/native-messages.ts';

type Report = Extract<ClientMessage, { type: 'transfer' }>;

/** What becomes of a transfer where no telephone network is: as a FreeSWITCH node tells it. */
const ends: Record<string, Report> = {
  answered: { type: 'transfer', state: 'answered' },
  busy: { type: 'transfer', state: 'failed', cause: 'USER_BUSY', sipStatus: 486 },
  'no-answer': { type: 'transfer', state: 'failed', cause: 'NO_ANSWER', sipStatus: 480 },
  declined: { type: 'transfer', state: 'failed', cause: 'CALL_REJECTED', sipStatus: 603 },
  unreachable: { type: 'transfer', state: 'failed', cause: 'UNALLOCATED_NUMBER', sipStatus: 404 },
};

/** `silent` tells nothing at all: the service gives it up by itself. */
export const calleeNames = ['answered', 'busy', 'no-answer', 'declined', 'unreachable', 'silent'] as const;
export type CalleeName = (typeof calleeNames)[number];

/** When it rings, and when it comes to its end, in milliseconds from the service's word. */
const RINGS_AFTER_MS = 300;
const ENDS_AFTER_MS = 2_000;

/** Whom the service connects the caller to: a telephone that rings, and is answered or not. */
export class Callee {
  readonly #clock: Clock;
  readonly #name: CalleeName;
  readonly #send: (report: Report) => void;
  #timers: Timer[] = [];
  #called = false;

  constructor(clock: Clock, name: CalleeName, send: (report: Report) => void) {
    this.#clock = clock;
    this.#name = name;
    this.#send = send;
  }

  /** The caller waits for it. */
  get called(): boolean {
    return this.#called;
  }

  call(): void {
    this.hangUp();
    this.#called = true;
    const end = ends[this.#name];
    if (end === undefined) return;
    if (this.#name !== 'unreachable') this.#after(RINGS_AFTER_MS, { type: 'transfer', state: 'ringing' });
    this.#after(ENDS_AFTER_MS, end);
  }

  /** The service has given it up, or the call is over. */
  hangUp(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers = [];
    this.#called = false;
  }

  #after(delayMs: number, report: Report): void {
    const timer = this.#clock.after(delayMs, () => {
      if (report.state !== 'ringing') this.#called = false;
      this.#send(report);
    });
    this.#timers.push(timer);
  }
}
