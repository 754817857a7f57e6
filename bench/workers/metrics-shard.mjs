// What `metrics-shard` drives: reports of calls, from within workerd, to one object that counts.
import { metricsShard } from '../../src/metrics/read.ts';

export { MetricsDO } from '../../src/MetricsDO.ts';

const at = Date.now();
/** What a call of some three minutes has counted. */
const parts = ['total', 'endpoint_wait', 'processing', 'provider', 'transcription', 'model', 'speech'];
const counted = (turns) => ({
  turns: { caller: turns, agent: turns + 1 },
  counts: { answered: turns, cacheLookups: turns, cacheHits: 1, interruptions: 1 },
  answers: { 'openai/gpt-transcribe': turns, 'openai/gpt-6-luna': turns, 'openai/gpt-4o-mini-tts': turns },
  ...Object.fromEntries(
    parts.map((part) => [`latency ${part}`, { 30: 3, 33: 2, 36: turns, sum: 900 * turns }]),
  ),
});

export default {
  /** `?calls=N&at=C`: N calls tell of their start, a minute and another, and their end; C of them at a time. */
  async fetch(request, env) {
    const query = new URL(request.url).searchParams;
    const [calls, atOnce] = [Number(query.get('calls')), Number(query.get('at'))];
    const shard = metricsShard(env, 0, 1);
    let next = 0;
    const work = async () => {
      while (next < calls) {
        const call = `${query.get('run')}-${String(next++).padStart(40, '0')}`;
        for (let report = 0; report < 4; report++) {
          const end = report < 3 ? null : { at: at + 180_000, reason: 'hangup', failed: false };
          const sums = report === 0 ? {} : counted(4 * report);
          await shard.report({ call, startedAt: at, at, aliveUntil: at + 150_000, end, sums });
        }
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    const { totals } = await shard.read(Date.now());
    return Response.json(totals.sums.calls);
  },
};
