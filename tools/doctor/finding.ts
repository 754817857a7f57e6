/** One thing that was looked at, beside providers and database. */
export interface Finding {
  what: string;
  /** `untried`: it cannot be looked at from here, which is no failure; `warning`: it works, and should be known. */
  result: 'ok' | 'warning' | 'failed' | 'untried';
  says: string;
  /** What mends it, as a command where there is one; null: nothing is broken. */
  mend: string | null;
}

export const fine = (what: string, says: string): Finding => ({ what, result: 'ok', says, mend: null });
export const failed = (what: string, says: string, mend: string): Finding => ({
  ...{ what, result: 'failed', says, mend },
});
export const warning = (what: string, says: string, mend: string): Finding => ({
  ...{ what, result: 'warning', says, mend },
});
export const untried = (what: string, says: string): Finding => ({
  what,
  result: 'untried',
  says,
  mend: null,
});
