import {
  addRule,
  describesRule,
  type LifecycleOptions,
  ruleCommand,
  setRule,
} from '../recordings/lifecycle.ts';
import type { Wrangler } from '../recordings/wrangler.ts';
import type { Bucket, Environment } from './environment.ts';
import { wranglerFailed } from './failure.ts';
import type { Plan, Step } from './plan.ts';

export type BucketState = 'absent' | 'without rule' | 'other rule' | 'as it should be';

/** What is to be done so that an environment's buckets are there, where they have to be, and recordings are kept as long as they should be. */
export async function planBuckets(
  environment: Environment,
  rule: LifecycleOptions,
  wrangler: Wrangler,
  signal: AbortSignal,
): Promise<Plan> {
  const states = await Promise.all(
    environment.buckets.map((bucket) => stateOfBucket(bucket, rule, wrangler, signal)),
  );
  const steps = environment.buckets.flatMap((bucket, i) =>
    stepsFor(bucket, states[i]!, rule, wrangler, signal),
  );
  return {
    title: `R2 buckets of ${environment.worker} (${environment.name}):`,
    facts: [],
    steps,
    refusals: [],
  };
}

function stepsFor(
  bucket: Bucket,
  state: BucketState,
  rule: LifecycleOptions,
  wrangler: Wrangler,
  signal: AbortSignal,
): Step[] {
  const { name, binding, jurisdiction } = bucket;
  const where = jurisdiction === null ? '' : `, in the jurisdiction ${jurisdiction}`;
  const create = ['r2', 'bucket', 'create', name, ...inJurisdiction(jurisdiction)];
  const kept = `its recordings go to infrequent access after ${rule.infrequent} days and are deleted after ${rule.delete}`;
  return [
    state === 'absent'
      ? {
          what: `create ${name}, for ${binding}${where}`,
          command: `npx wrangler ${create.join(' ')}`,
          run: async () => {
            const { code, output } = await wrangler(create, signal);
            // By the request whose answer was lost. One of somebody else's has another code.
            if (code !== 0 && !/\[code: 10004\]/.test(output)) throw wranglerFailed(create, output);
          },
        }
      : { what: `${name} is there${where}`, command: null },
    state === 'as it should be'
      ? { what: kept, command: null }
      : {
          what: state === 'other rule' ? `${kept} (now otherwise)` : kept,
          command: `npx wrangler ${addRule(name, rule, jurisdiction).join(' ')}`,
          run: async () => {
            const said: string[] = [];
            const print = (line: string) => said.push(line);
            if (!(await setRule(wrangler, name, rule, print, signal, jurisdiction))) {
              throw wranglerFailed(addRule(name, rule, jurisdiction), said.join('\n'));
            }
          },
        },
  ];
}

/** Whether a bucket is there, and keeps its recordings as long as it should. */
export async function stateOfBucket(
  { name, jurisdiction }: Bucket,
  rule: LifecycleOptions,
  wrangler: Wrangler,
  signal: AbortSignal,
): Promise<BucketState> {
  const command = [...ruleCommand, 'list', name, ...inJurisdiction(jurisdiction)];
  const { code, output } = await wrangler(command, signal);
  if (code === 0) return describesRule(output, rule);
  if (/\[code: 10006\]/.test(output)) return 'absent';
  throw wranglerFailed(command, output);
}

function inJurisdiction(jurisdiction: string | null): string[] {
  return jurisdiction === null ? [] : ['-J', jurisdiction];
}
