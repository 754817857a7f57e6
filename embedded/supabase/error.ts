/** Why the embedded Supabase did not start. */
export type EmbeddedSupabaseFailure =
  /** The port is taken, or the address is not this machine's. */
  | 'ADDRESS_UNAVAILABLE'
  /** Another process has the data folder open; two would destroy it. */
  | 'DATA_IN_USE'
  /** The data folder's files are not what this program wrote. */
  | 'DATA_DAMAGED'
  /** A migration failed, or the applied ones are not those of `supabase/migrations`. */
  | 'MIGRATION';

/** The embedded Supabase could not be started; the message says what to do. */
export class EmbeddedSupabaseError extends Error {
  override readonly name = 'EmbeddedSupabaseError';
  readonly failure: EmbeddedSupabaseFailure;

  constructor(failure: EmbeddedSupabaseFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.failure = failure;
  }
}
