import type { JournaledCall } from '../call/journal.ts';
import type { Config } from '../config.ts';
import { describeError, log } from '../log.ts';
import { nextPoints, nothingWritten, userPseudonym, type Written } from '../metrics/data-points.ts';
import type { Entries } from './kept-entries.ts';

const KEY = 'analytics';

/**
 * The data points of one call, written at its start, every minute and at its end, a few at a time. Writing one waits for nothing and tells
 * nothing: what is written is remembered, so that a repeat writes none again but those that were written as the object died.
 */
export class CallAnalytics {
  readonly #dataset: AnalyticsEngineDataset;
  readonly #entries: Entries;
  /** Of the user's pseudonym. */
  readonly #secret: string | undefined;
  readonly #anonymous: () => boolean;

  /** @param anonymous whether no pseudonym of the user's may be written. */
  constructor(
    dataset: AnalyticsEngineDataset,
    entries: Entries,
    config: Pick<Config, 'PERSONAL_DATA_KEY' | 'SUPABASE_SERVICE_ROLE_KEY'>,
    anonymous: () => boolean,
  ) {
    this.#dataset = dataset;
    this.#entries = entries;
    this.#secret = config.PERSONAL_DATA_KEY ?? config.SUPABASE_SERVICE_ROLE_KEY;
    this.#anonymous = anonymous;
  }

  /** @param costMicroUsd what is known of the call's cost; null: nothing. */
  async write(journaled: JournaledCall, costMicroUsd: number | null): Promise<'more' | undefined> {
    const { userId } = journaled.call;
    const nobody = this.#secret === undefined || this.#anonymous();
    const user = nobody ? '' : await userPseudonym(this.#secret!, userId);
    const before = this.#entries.get<Written>(KEY) ?? nothingWritten;
    const { points, written, more } = nextPoints({ ...journaled, user, costMicroUsd }, before);
    try {
      for (const point of points) this.#dataset.writeDataPoint(point);
    } catch (error) {
      // Repeated, it would be refused again.
      log('warn', 'a data point was not written', { error: describeError(error) });
    }
    this.#entries.put(KEY, written);
    return more ? 'more' : undefined;
  }

  /** The call has been delivered. */
  forget(): void {
    this.#entries.delete(KEY);
  }
}
