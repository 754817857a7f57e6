import path from 'node:path';

/** The recordings' bucket cannot be told; the message says why. */
export class BucketError extends Error {
  override readonly name = 'BucketError';
}

/** A bucket that recordings may be in. */
export interface RecordingsBucket {
  name: string;
  /** Where it has to be; null: anywhere. */
  jurisdiction: string | null;
}

/**
 * The buckets that `wrangler.toml` binds to `RECORDINGS` and `RECORDINGS_EU`.
 *
 * @param root the folder of `wrangler.toml`. @param environment one of its environments; undefined: the top level. @param only the one of this name, which
 *   may be another one than those. Throws {@link BucketError}.
 */
export async function recordingsBuckets(
  root: string,
  environment: string | undefined,
  only: string | undefined,
): Promise<RecordingsBucket[]> {
  // Takes a second to load: not for `--help`.
  const { unstable_readConfig } = await import('wrangler');
  let bound: readonly {
    binding: string;
    bucket_name?: string | undefined;
    jurisdiction?: string | undefined;
  }[];
  try {
    const config = { config: path.join(root, 'wrangler.toml') };
    const given = environment === undefined ? config : { ...config, env: environment };
    bound = unstable_readConfig(given, { hideWarnings: true }).r2_buckets;
  } catch (cause) {
    throw new BucketError((cause as Error).message, { cause });
  }
  const buckets = bound
    .filter(({ binding }) => /^RECORDINGS(_|$)/.test(binding))
    .flatMap(({ bucket_name: name, jurisdiction = null }) =>
      name === undefined ? [] : { name, jurisdiction },
    );
  if (only !== undefined) {
    return [buckets.find(({ name }) => name === only) ?? { name: only, jurisdiction: null }];
  }
  if (buckets.length === 0) throw new BucketError('wrangler.toml binds no bucket to RECORDINGS');
  return buckets;
}
