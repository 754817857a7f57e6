import type { CallOptions } from '../call/call-options.ts';
import type { Clock } from '../call/clock.ts';
import type { Jurisdiction } from '../regions/settings.ts';
import type { Alarms } from './alarms.ts';
import type { Entries } from './kept-entries.ts';

/** Who holds a call id, and until when it is refused to others. */
interface Claim {
  owner: string;
  until: number;
}

/** Remembers, in the object that is named after a call id, who holds that id. */
export class CallIdClaim {
  readonly #entries: Entries;
  readonly #alarms: Alarms;
  readonly #clock: Clock;

  constructor({ entries, alarms, clock }: { entries: Entries; alarms: Alarms; clock: Clock }) {
    this.#entries = entries;
    this.#alarms = alarms;
    this.#clock = clock;
  }

  /** The claim that holds now; null: nobody has it. */
  get current(): Claim | null {
    const claim = this.#entries.get<Claim>('claim');
    return claim !== undefined && claim.until > this.#clock.now() ? claim : null;
  }

  /** False: another one holds it. */
  isFreeFor(owner: string): boolean {
    const claim = this.current;
    return claim === null || claim.owner === owner;
  }

  take(owner: string, until: number): void {
    this.#entries.put<Claim>('claim', { owner, until });
    this.#alarms.set('forget', until);
  }

  /** False: it is not this owner's. */
  giveBack(owner: string): boolean {
    if (this.current?.owner !== owner) return false;
    this.#entries.delete('claim');
    this.#alarms.set('forget', null);
    return true;
  }

  /** Its time is over. */
  forget(): void {
    this.#entries.delete('claim');
  }
}

/** Who can be asked for an id: an object that is named after it. */
interface IdHolder {
  claim(owner: string, until: number): Promise<boolean>;
  release(owner: string): Promise<void>;
}

export interface ClaimingCall {
  /** The call's object is named after the id. */
  bound: boolean;
  /** Where it is kept; null: anywhere. */
  jurisdiction: Jurisdiction | null;
  /** A random name for this call. */
  claimant: string;
  /** How long an id is held, in milliseconds. */
  holdMs: number;
  clock: Clock;
  /** The call's own object. */
  here: { claim(owner: string, until: number): boolean; release(owner: string): void };
  /** The object of that name that is in no jurisdiction. */
  named(callId: string): IdHolder;
  /** Deliveries go by it, also after a restart. */
  keepJurisdiction(jurisdiction: Jurisdiction): void;
  /** Keeps the object alive until it is done. */
  background(work: Promise<void>): void;
}

/**
 * How a call gets its id, and gives it back. The object named after the id decides who holds it; a call without an id in the URL lives in
 * another object. So does one that is kept in a jurisdiction, where the same id names another object: the one that is in none decides for
 * them all. It is told a random name, and when.
 */
export function callIdOf(call: ClaimingCall): Pick<CallOptions, 'claimCallId' | 'releaseCallId'> {
  const { bound, jurisdiction, claimant, holdMs, clock, here, named, keepJurisdiction, background } = call;
  return {
    claimCallId: async (callId) => {
      const until = clock.now() + holdMs;
      if (jurisdiction !== null) keepJurisdiction(jurisdiction);
      if (bound && !here.claim(claimant, until)) return false;
      if (bound && jurisdiction === null) return true;
      let claimed = false;
      try {
        claimed = await named(callId).claim(claimant, until);
        return claimed;
      } finally {
        // Also where nobody answered: the client may try again.
        if (!claimed && bound) here.release(claimant);
      }
    },
    releaseCallId: (callId) => {
      if (bound) here.release(claimant);
      if (!bound || jurisdiction !== null) background(named(callId).release(claimant));
    },
  };
}
