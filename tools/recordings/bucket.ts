import path from 'node:path';

/** The recordings' bucket cannot be told; the message says why. */
export class BucketError extends Error {
  override readonly name = 'BucketError';
}

/**
 * Name of the bucket that `wrangler.toml` binds to `RECORDINGS`.
 *
 * @param root the folder of `wrangler.toml`. @param environment one of its environments; undefined: the top level. Throws
 *   {@link BucketError}.
 */
export async function recordingsBucket(root: string, environment: string | undefined): Promise<string> {
  // Takes a second to load: not for `--help`.
  const { unstable_readConfig } = await import('wrangler');
  let buckets: readonly { binding: string; bucket_name?: string | undefined }[];
  try {
    const config = { config: path.join(root, 'wrangler.toml') };
    const given = environment === undefined ? config : { ...config, env: environment };
    buckets = unstable_readConfig(given, { hideWarnings: true }).r2_buckets;
  } catch (cause) {
    throw new BucketError((cause as Error).message, { cause });
  }
  const name = buckets.find(({ binding }) => binding === 'RECORDINGS')?.bucket_name;
  if (name === undefined) throw new BucketError('wrangler.toml binds no bucket to RECORDINGS');
  return name;
}
