import type { ProviderError } from './ports.ts';

/**
 * Why a request is given up: it was waited for too long. Whoever at that moment waits because the vendor has asked for it tells so here,
 * for the request ends without another word, and the vendor would be asked again too early.
 */
export class GivenUp extends Error {
  override readonly name = 'TimeoutError';
  #asked: { error: ProviderError; forMs: number } | null = null;

  /** The vendor's failure that was being waited out, and for how long it still wants to be left alone; null: there is none. */
  get asked(): { error: ProviderError; forMs: number } | null {
    return this.#asked;
  }

  /** To be called while the request's signal fires. */
  tell(error: ProviderError, forMs: number): void {
    if (forMs > (this.#asked?.forMs ?? 0)) this.#asked = { error, forMs };
  }
}
