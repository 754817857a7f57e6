import { parseArgs } from 'node:util';

export const help = `npm run bench -- growth [--part NAME] [--quick]

Whether what a call costs stays the same with more calls.

simulation  the objects that all calls share, with 200,000 calls at once, on a fake clock and with the real code of permits, users' places,
            counts and the queue of calls to be placed: requests a second of each object, against what one object holds, and how many objects
            it takes. Seeded: each run prints the same. A minute
service     the service in workerd with 10, 20, 40 and 80 calls: CPU of a second of a call, and its memory
call        what a call asks of objects, stores, database and vendors, counted in four calls of 65 s

--part NAME  one of them
--quick      a tenth of the simulated calls; shorter calls in workerd; nothing counted`;

const parts = ['simulation', 'service', 'call'] as const;
type Part = (typeof parts)[number];

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: { part: { type: 'string' }, quick: { type: 'boolean', default: false } },
  });
  const { quick, part } = values;
  if (part !== undefined && !parts.some((known) => known === part)) {
    throw new RangeError(`--part: ${parts.join(', ')}`);
  }
  const wanted = (name: Part) => (part === undefined ? !(quick && name === 'call') : part === name);
  const result: Record<string, object> = {};
  if (wanted('simulation')) {
    const { measureSharedObjects } = await import('./growth/shared-objects.ts');
    result.simulation = await measureSharedObjects(quick ? 0.1 : 1);
    console.log();
  }
  if (wanted('service')) {
    const { measureServiceCalls } = await import('./growth/service-calls.ts');
    result.service = await measureServiceCalls(quick ? 4 : 10);
    console.log();
  }
  if (wanted('call')) {
    const { measureCallBill } = await import('./growth/call-bill.ts');
    result.call = await measureCallBill();
  }
  return { bench: 'growth', ...result };
}
