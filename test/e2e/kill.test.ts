import { afterAll, beforeAll, expect, test } from 'vitest';
import { MOST_LOST_MS } from '../chaos/call-check.ts';
import { MortalService } from '../chaos/mortal-service.ts';
import { killRound } from '../chaos/round.ts';
import { CountingVendor } from '../chaos/vendor.ts';

/** One round of `npm run test:chaos`, with a few calls. */
const seed = 20_261_121;

let vendor: CountingVendor;
let service: MortalService;
beforeAll(async () => {
  vendor = await CountingVendor.start();
  service = await MortalService.start(vendor.baseUrl, {});
});
afterAll(async () => {
  await service?.close();
  await vendor?.close();
});

test.runIf(process.platform === 'linux')(
  'calls whose Worker is killed go on: nothing that was said is lost, or stands twice',
  async () => {
    const options = { calls: 4, sentences: 3, seed, killWithinMs: 8_000, log: console.log };
    const { checks, workerds } = await killRound(service, options);
    expect(workerds).toBeGreaterThan(0);
    expect(checks.map(({ problems }) => problems)).toEqual([[], [], [], []]);
    for (const { lostMs } of checks) {
      expect(Math.max(lostMs.caller, lostMs.agent)).toBeLessThanOrEqual(MOST_LOST_MS);
    }
    expect(vendor.problems).toEqual([]);
  },
);
