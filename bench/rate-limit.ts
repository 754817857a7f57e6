import { type RateScene, simulateRateLimit } from './rate-limit/simulation.ts';

export const help = `npm run bench -- rate-limit

Plays one address that asks too often to many isolates, on a fake clock: what passes of it, in the worst 60 s of the first two minutes and of
all later ones, with KV alone, with the locations' own counters alone, and with both. KV shows a write to other locations after up to a
minute. Seeded: each run prints the same.`;

const limit = 100;
const common = { limit, minutes: 10, propagationMs: 60_000, seed: 1 };

/** Where the client reaches the service, and how often it asks. */
const scenes = [
  { locations: 1, isolatesPerLocation: 1, requestsPerMinute: 200 },
  { locations: 1, isolatesPerLocation: 8, requestsPerMinute: 90 },
  { locations: 1, isolatesPerLocation: 8, requestsPerMinute: 400 },
  { locations: 5, isolatesPerLocation: 4, requestsPerMinute: 90 },
  { locations: 5, isolatesPerLocation: 4, requestsPerMinute: 900 },
  { locations: 20, isolatesPerLocation: 5, requestsPerMinute: 900 },
  { locations: 20, isolatesPerLocation: 5, requestsPerMinute: 6_000 },
];

const variants = { both: [true, true], kv: [true, false], location: [false, true], neither: [false, false] };

export async function run(): Promise<object> {
  console.log(
    'locations  isolates  asked/min | passed in the worst 60 s: first two minutes, later (mean a minute) | KV writes, lists in 10 min',
  );
  const rows = [];
  for (const scene of scenes) {
    for (const [name, [kv, binding]] of Object.entries(variants)) {
      const options = { ...common, ...scene, kv, binding } as RateScene;
      const outcome = await simulateRateLimit(options);
      rows.push({ ...scene, counted: name, ...outcome });
      const { locations, isolatesPerLocation, requestsPerMinute } = scene;
      console.log(
        [
          `${locations}`.padStart(9),
          `${isolatesPerLocation * locations}`.padStart(9),
          `${requestsPerMinute}`.padStart(10),
          ` | ${name.padEnd(9)}`,
          `${outcome.worstAtFirst}`.padStart(6),
          `${outcome.worstLater}`.padStart(6),
          `(${outcome.meanLater})`.padStart(7),
          ` | ${outcome.puts}, ${outcome.lists}`,
        ].join(' '),
      );
    }
  }
  const mostWritesPerKeyAndSecond = Math.max(...rows.map((row) => row.mostWritesPerKeyAndSecond));
  console.log(`\nMost writes of one key within a second: ${mostWritesPerKeyAndSecond}`);
  return { bench: 'rate-limit', limit, rows, mostWritesPerKeyAndSecond };
}
