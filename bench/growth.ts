import { parseArgs } from 'node:util';
import { measureSharedObjects } from './growth/shared-objects.ts';

export const help = `npm run bench -- growth [--quick]

Whether what a call costs stays the same with more calls. The objects that all calls share are simulated with 200,000 calls at once, on a fake
clock and with the real code of permits, users' places, counts and the queue of calls to be placed: requests a second of each object, against
what one object holds, and how many objects it takes. Seeded: each run prints the same. Takes a minute.

--quick: a tenth of the calls`;

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({ args, options: { quick: { type: 'boolean', default: false } } });
  return { bench: 'growth', simulation: await measureSharedObjects(values.quick ? 0.1 : 1) };
}
