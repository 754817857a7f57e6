import type { Dialect } from '../dialects/dialect.ts';
import type { RecordedTransfer, TransferOutcome } from '../records/call-records.ts';
import type { Clock, Timer } from './clock.ts';
import type { CallEvents, EndReason } from './events.ts';

/** What a leg tells of a transfer that it was asked for. */
export interface TransferReport {
  state: 'ringing' | 'answered' | 'failed';
  /** Of one that failed: FreeSWITCH's name of the cause, e.g. `USER_BUSY`. */
  cause?: string | undefined;
  /** Of one that failed: the SIP status of the answer. */
  sipStatus?: number | undefined;
}

/** A transfer that is being tried. Times are milliseconds since the epoch. */
export interface PendingTransfer {
  to: string;
  at: number;
  ringingAt: number | null;
  /** When the caller is taken back. */
  until: number;
}

/** What an object that has lost its memory reads of the call's transfers. */
export interface PastTransfers {
  /** Being tried; null: none was. */
  pending: PendingTransfer | null;
  /** The last one that is over, and the agent had not begun to say so; where somebody has answered it nobody says so. */
  untold: RecordedTransfer | null;
  tried: number;
}

/** How long it rings where nobody says for how long: six of Europe's ring cycles of 5 s. */
export const defaultRingSeconds = 30;
/** For the way to the node, its proxy's way out with a second trunk (2 s a try), and the way back. */
const MARGIN_MS = 10_000;
/** A leg that comes back says at once what has happened meanwhile; somebody who has answered is not to be cut off before that. */
const RETURN_MS = 3_000;
/** Of one call: a model that is talked into it must not ring the whole house all day. */
const MOST_TRANSFERS = 5;
/** Of a leg's words in the record. */
const CAUSE_CHARACTERS = 64;

export interface TransfersOptions {
  clock: Clock;
  events: CallEvents;
  past: PastTransfers | null;
  leg(): Pick<Dialect, 'transfer' | 'cancelTransfer'>;
  /** The caller hears ringing from now on, and nobody hears the caller. */
  onBegun(): void;
  /** Somebody has answered; or the caller is back, and `takeUntold` has something to tell. */
  onOver(answered: boolean): void;
}

/**
 * Connects the caller to somebody else, with a way back: while it rings the call is deaf and silent; if nobody takes the call, the agent
 * does. Where the transfer stands is told in events, and so written down: an object that is made again under the call goes on with it.
 */
export class Transfers {
  readonly #options: TransfersOptions;
  #pending: PendingTransfer | null;
  #untold: RecordedTransfer | null;
  #tried: number;
  readonly #connected: boolean;
  #timer: Timer | null = null;

  constructor(options: TransfersOptions) {
    this.#options = options;
    const { past } = options;
    this.#pending = past?.pending ?? null;
    this.#connected = past?.untold?.outcome === 'answered';
    this.#untold = this.#connected ? null : (past?.untold ?? null);
    this.#tried = past?.tried ?? 0;
  }

  /** The caller is being connected. */
  get pending(): boolean {
    return this.#pending !== null;
  }

  /** An object before this one had handed the caller on, and could not write down that this was the call's end. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Begins one. False: this leg cannot, or there have been enough. */
  begin(to: string, ringSeconds: number): boolean {
    const { clock, events, leg, onBegun } = this.#options;
    if (this.#pending !== null || this.#tried >= MOST_TRANSFERS) return false;
    if (!leg().transfer(to, ringSeconds)) return false;
    const now = clock.now();
    const until = now + ringSeconds * 1000 + MARGIN_MS;
    this.#pending = { to, at: now, ringingAt: null, until };
    this.#tried++;
    events.emit({ type: 'transfer', state: 'asked', transfer: { ...this.#pending } });
    this.#waitUntil(until);
    onBegun();
    return true;
  }

  /** The leg tells how it goes. False: nobody has asked, or it was told before. */
  report({ state, cause, sipStatus }: TransferReport): boolean {
    const pending = this.#pending;
    if (pending === null) {
      // It may have been given up in this very moment: whoever it rings at is not to be connected.
      if (state !== 'failed') this.#options.leg().cancelTransfer();
      return false;
    }
    if (state === 'ringing') {
      if (pending.ringingAt !== null) return false;
      pending.ringingAt = this.#options.clock.now();
      this.#options.events.emit({ type: 'transfer', state: 'ringing', transfer: { ...pending } });
      return true;
    }
    if (state === 'answered') this.#over('answered');
    else this.#over(outcomeOf(cause, sipStatus), cause ?? null, sipStatus ?? null);
    return true;
  }

  /** The line is down: nobody can say how it goes. */
  suspend(): void {
    this.#timer?.cancel();
  }

  /** It stands again. */
  resume(): void {
    if (this.#pending === null) return;
    this.suspend();
    this.#waitUntil(Math.max(this.#pending.until, this.#options.clock.now() + RETURN_MS));
  }

  /** What the agent has to tell the caller who is back, in words for the model; once. */
  takeUntold(): string | null {
    const transfer = this.#untold;
    this.#untold = null;
    return transfer && factOf(transfer);
  }

  /** The call is over while it rings. */
  callEnds(reason: EndReason): void {
    // A node that fell silent may have connected the caller, and could not say so.
    if (this.#pending !== null) this.#record(reason === 'disconnected' ? 'unknown' : 'abandoned');
  }

  #waitUntil(until: number): void {
    const { clock, leg } = this.#options;
    this.#timer = clock.after(until - clock.now(), () => {
      leg().cancelTransfer();
      this.#over('no answer');
    });
  }

  #over(outcome: TransferOutcome, cause: string | null = null, sipStatus: number | null = null): void {
    const transfer = this.#record(outcome, cause, sipStatus);
    if (outcome !== 'answered') this.#untold = transfer;
    this.#options.onOver(outcome === 'answered');
  }

  #record(
    outcome: TransferOutcome,
    cause: string | null = null,
    sipStatus: number | null = null,
  ): RecordedTransfer {
    const { clock, events } = this.#options;
    const { to, at, ringingAt } = this.#pending!;
    this.#pending = null;
    this.#timer?.cancel();
    const transfer: RecordedTransfer = {
      to,
      at,
      ringingAt,
      endedAt: clock.now(),
      outcome,
      cause: cause === null ? null : cause.slice(0, CAUSE_CHARACTERS),
      sipStatus,
    };
    events.emit({ type: 'transfer', state: 'over', transfer });
    return transfer;
  }
}

/** Outcomes by SIP status (RFC 3261, section 21), which says more than the cause that FreeSWITCH makes of it; others are `unreachable`. */
const byStatus: Readonly<Record<number, TransferOutcome>> = {
  408: 'no answer',
  480: 'no answer',
  486: 'busy',
  // Our own time for ringing was over.
  487: 'no answer',
  600: 'busy',
  603: 'declined',
};

/** By FreeSWITCH's names of Q.850's causes (`switch_channel.c`). */
const byCause: Readonly<Record<string, TransferOutcome>> = {
  USER_BUSY: 'busy',
  NO_ANSWER: 'no answer',
  NO_USER_RESPONSE: 'no answer',
  ALLOTTED_TIMEOUT: 'no answer',
  PROGRESS_TIMEOUT: 'no answer',
  ORIGINATOR_CANCEL: 'no answer',
  CALL_REJECTED: 'declined',
};

/** How a transfer that failed came out. */
export function outcomeOf(cause: string | undefined, sipStatus: number | undefined): TransferOutcome {
  // A trunk that refuses (403) is nobody who declines: FreeSWITCH makes one cause of both.
  if (sipStatus !== undefined && sipStatus >= 400) return byStatus[sipStatus] ?? 'unreachable';
  if (cause !== undefined && Object.hasOwn(byCause, cause)) return byCause[cause]!;
  return cause === undefined ? 'failed' : 'unreachable';
}

const reasons: Readonly<Partial<Record<TransferOutcome, string>>> = {
  busy: 'the line is busy',
  'no answer': 'nobody answered',
  declined: 'they declined the call',
  unreachable: 'they cannot be reached at the moment',
};

/** What the model is told. Not the number: it would say it. */
function factOf({ outcome }: RecordedTransfer): string {
  const why = reasons[outcome] ?? 'it is not known why';
  return (
    `The transfer did not come about: ${why}. The caller has heard ringing, and is back on the line with you now. ` +
    'Tell the caller so in one short sentence, and ask how else you can help.'
  );
}
