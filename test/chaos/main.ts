import { parseArgs } from 'node:util';
import { z } from 'zod';
import { MortalService } from './mortal-service.ts';
import { killRound } from './round.ts';
import { CountingVendor } from './vendor.ts';

/**
 * `npm run test:chaos`: rounds of calls in which both sides count aloud, the Worker killed in the middle of each and started again on
 * the same storage. Nothing that was said may be lost, or stand twice. The last line is `N passed, N failed`: calls.
 */
const number = z.coerce.number().int().positive();
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    calls: { type: 'string', default: '50' },
    sentences: { type: 'string', default: '6' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    'kill-within': { type: 'string', default: '15000' },
  },
});
const [rounds, calls, sentences, seed, killWithinMs] = [
  values.rounds,
  values.calls,
  values.sentences,
  values.seed,
  values['kill-within'],
].map((value) => number.parse(value)) as [number, number, number, number, number];

/** Calls of a round whose problems are printed in full. */
const MOST_SHOWN = 5;

const vendor = await CountingVendor.start();
const service = await MortalService.start(vendor.baseUrl, {});
let [passed, failed] = [0, 0];
try {
  for (let round = 0; round < rounds; round++) {
    console.log(`Round ${round + 1} of ${rounds}, seed ${seed + round}`);
    const options = { calls, sentences, seed: seed + round, killWithinMs };
    const result = await killRound(service, { ...options, log: (line) => console.log(`  ${line}`) });
    const wrong = result.checks.filter(({ problems }) => problems.length > 0);
    for (const { callId, problems } of wrong.slice(0, MOST_SHOWN)) {
      for (const problem of problems) console.log(`  ${callId}: ${problem}`);
    }
    const most = (side: 'caller' | 'agent') => Math.max(...result.checks.map(({ lostMs }) => lostMs[side]));
    console.log(
      `  ${result.checks.length - wrong.length} of ${result.checks.length} calls whole; not recorded at most ${most('caller')} ms of the ` +
        `caller, ${most('agent')} ms of the agent; without a line at most ${Math.round(result.longestDropMs)} ms, the caller then ` +
        `at most ${Math.max(...result.checks.map(({ shiftMs }) => shiftMs))} ms later in the recording`,
    );
    passed += result.checks.length - wrong.length;
    failed += wrong.length;
  }
  for (const problem of vendor.problems.slice(0, 10)) console.log(`vendor: ${problem}`);
} finally {
  await service.close();
  await vendor.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
