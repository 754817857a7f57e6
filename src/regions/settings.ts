import { z } from 'zod';

/**
 * Where an object of Cloudflare's runs and is kept, and nowhere else: a promise of the platform's, and a bucket of its own (`namespaces.ts`).
 * https://developers.cloudflare.com/durable-objects/reference/data-location/
 */
export const jurisdictions = ['eu'] as const;
export type Jurisdiction = (typeof jurisdictions)[number];

/** Near what an object is to be made: a wish, and no promise. */
const locationHints = ['wnam', 'enam', 'sam', 'weur', 'eeur', 'apac', 'oc', 'afr', 'me'] as const;
export type LocationHint = (typeof locationHints)[number];

export const regionSchema = z.enum([...jurisdictions, ...locationHints]);
export type Region = z.output<typeof regionSchema>;

const name = z.string().min(1).max(128);

/** Setting `REGIONS`. */
export const regionsSchema = z.strictObject({
  /** Of users who are not named. */
  default: regionSchema.optional(),
  users: z.record(name, regionSchema).default({}),
  /** Of legs that a node opens without naming their user. */
  nodes: z.record(name, regionSchema).default({}),
});
export type Regions = z.output<typeof regionsSchema>;

export function jurisdictionOf(region: Region | null): Jurisdiction | null {
  return jurisdictions.find((known) => known === region) ?? null;
}

export function hintOf(region: Region | null): LocationHint | null {
  return locationHints.find((known) => known === region) ?? null;
}

/** Where everything of this user's has to be; null: anywhere. */
export function homeOf(regions: Regions, userId: string): Jurisdiction | null {
  return jurisdictionOf(entry(regions.users, userId) ?? regions.default ?? null);
}

/** What is known of a leg before anything is made for it. */
export interface UnplacedLeg {
  /** Null: its first message will tell. */
  userId: string | null;
  /** What its client asks for; null: nothing. */
  asked: Region | null;
  /** Null: no node opened it. */
  node: string | null;
}

/**
 * Where the object of a leg is made. The same request has the same answer, so a client that comes back finds its call. Whether the call's
 * user may be there is asked again when he is known for certain ({@link homeOf}).
 */
export function regionOf(regions: Regions, { userId, asked, node }: UnplacedLeg): Region | null {
  return (
    (userId === null ? undefined : entry(regions.users, userId)) ??
    asked ??
    (node === null ? undefined : entry(regions.nodes, node)) ??
    regions.default ??
    null
  );
}

function entry(entries: Readonly<Record<string, Region>>, key: string): Region | undefined {
  // Ids are of any characters, also `__proto__`.
  return Object.hasOwn(entries, key) ? entries[key] : undefined;
}
