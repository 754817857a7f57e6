import type { Env } from '../env.ts';
import { type Jurisdiction, jurisdictions } from './settings.ts';

/** Objects of a class, in a jurisdiction. */
export type Objects<T extends Rpc.DurableObjectBranded | undefined> = Pick<
  DurableObjectNamespace<T>,
  'get' | 'idFromName' | 'newUniqueId'
>;

/** What workerd says by itself (1.20261023.1). With Cloudflare it has jurisdictions, and this is never said. */
const NO_JURISDICTIONS = 'Jurisdiction restrictions are not implemented in workerd.';

/**
 * The objects of a class that are in a jurisdiction; null: those that are in none. The same name is another object in each of them.
 *
 * On a laptop everything is where the laptop is. There the objects have another name, so that what is found where is as it is with Cloudflare.
 * Throws where a jurisdiction cannot be had: nothing is made anywhere else in its stead.
 */
export function objectsIn<T extends Rpc.DurableObjectBranded | undefined>(
  namespace: DurableObjectNamespace<T>,
  jurisdiction: Jurisdiction | null,
): Objects<T> {
  if (jurisdiction === null) return namespace;
  try {
    return namespace.jurisdiction(jurisdiction);
  } catch (error) {
    if (!(error instanceof Error && error.message === NO_JURISDICTIONS)) throw error;
    return {
      get: (...args) => namespace.get(...args),
      idFromName: (name) => namespace.idFromName(`jurisdiction ${jurisdiction}: ${name}`),
      newUniqueId: () => namespace.newUniqueId(),
    };
  }
}

type Buckets = Pick<Env, 'RECORDINGS' | 'RECORDINGS_EU'>;

/** Where the recordings of a jurisdiction are; null: where `wrangler.toml` binds none there. */
export function recordingsIn(env: Buckets, jurisdiction: Jurisdiction | null): R2Bucket | null {
  return (jurisdiction === null ? env.RECORDINGS : env.RECORDINGS_EU) ?? null;
}

/** Every bucket that a recording may be in, the likeliest first: a user's region may have been changed since. */
export function bucketsOf(env: Buckets, likeliest: Jurisdiction | null): R2Bucket[] {
  const all = [likeliest, null, ...jurisdictions].map((jurisdiction) => recordingsIn(env, jurisdiction));
  return [...new Set(all)].filter((bucket) => bucket !== null);
}
