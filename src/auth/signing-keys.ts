import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../call/clock.ts';
import { within } from '../call/within.ts';

/** The keys could not be had: it is not the token's fault. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

/** How long keys are used without asking again: Supabase's own edge keeps them as long. https://supabase.com/docs/guides/auth/signing-keys */
const FRESH_MS = 10 * 60_000;
/** How long they are used beyond it, while they cannot be had anew: as long as a token lives by default. */
const STALE_MS = 60 * 60_000;
/** A key that is not among them may be new: asked for at most so often, whoever makes up names of keys. As long as jose's own. */
const COOL_DOWN_MS = 30_000;
/** After a failure. */
const RETRY_MS = 5_000;
/** Of the answer; a key has less than 1 KB. */
const MOST_CHARACTERS = 64 * 1024;

export interface SigningKeysOptions {
  /** `…/auth/v1/.well-known/jwks.json`. */
  url: string;
  clock: Clock;
  /** The longest wait: a client waits for its answer meanwhile. */
  timeoutMs: number;
  fetch: typeof fetch;
  onFailure(error: unknown): void;
}

/**
 * The public keys with which a Supabase project's tokens are verified, kept by an isolate. jose's own remote set is not used: it has no old keys to
 * fall back upon, and while the project is down it asks for each token anew (its cool-down counts from a success; `jwks/remote` of jose 6.2).
 */
export class SigningKeys {
  readonly #options: SigningKeysOptions;
  #keys: { get: JWTVerifyGetKey; fetchedAt: number } | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(options: SigningKeysOptions) {
    this.#options = options;
  }

  /** For `jwtVerify`. Rejects with `KeysUnavailable`, or with jose's `JWKSNoMatchingKey`. */
  readonly get: JWTVerifyGetKey = async (header, token) => {
    const { clock } = this.#options;
    if (this.#keys === null || clock.now() - this.#keys.fetchedAt >= FRESH_MS) await this.#renew();
    try {
      return await this.#known().get(header, token);
    } catch (error) {
      const mayBeNew = clock.now() - this.#askedAt >= COOL_DOWN_MS;
      if (!(error instanceof errors.JWKSNoMatchingKey) || !mayBeNew) throw error;
      await this.#renew();
      return await this.#known().get(header, token);
    }
  };

  #known(): { get: JWTVerifyGetKey } {
    const keys = this.#keys;
    if (keys === null || this.#options.clock.now() - keys.fetchedAt >= FRESH_MS + STALE_MS) {
      throw new KeysUnavailable('the keys of the project cannot be had');
    }
    return keys;
  }

  async #renew(): Promise<void> {
    const { clock, timeoutMs, onFailure } = this.#options;
    if (clock.now() - this.#failedAt < RETRY_MS) return;
    this.#askedAt = clock.now();
    try {
      const get = await within(clock, timeoutMs, (signal) => this.#fetch(signal));
      this.#keys = { get, fetchedAt: clock.now() };
      this.#failedAt = Number.NEGATIVE_INFINITY;
    } catch (error) {
      this.#failedAt = clock.now();
      onFailure(error);
    }
  }

  async #fetch(signal: AbortSignal): Promise<JWTVerifyGetKey> {
    const { url, fetch } = this.#options;
    const response = await fetch(url, {
      signal,
      redirect: 'manual',
      headers: { Accept: 'application/json' },
    });
    if (response.status !== 200) throw new Error(`HTTP ${response.status}`);
    const text = await response.text();
    if (text.length > MOST_CHARACTERS) throw new Error(`${text.length} characters are too many`);
    return createLocalJWKSet(JSON.parse(text));
  }
}
