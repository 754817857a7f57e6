import { describe, expect, it } from 'vitest';
import { planBuckets } from '../../../tools/deploy/buckets.ts';
import { adviceFor } from '../../../tools/deploy/failure.ts';
import { planNamespaces } from '../../../tools/deploy/namespaces.ts';
import { carryOut, type Plan } from '../../../tools/deploy/plan.ts';
import { messageOf, planRelease } from '../../../tools/deploy/release.ts';
import { planRollback } from '../../../tools/deploy/rollback.ts';
import { planSecrets, storedSecrets } from '../../../tools/deploy/secrets.ts';
import { defaultRule } from '../../../tools/recordings/lifecycle.ts';
import {
  deploymentsJson,
  environmentOf,
  failing,
  never,
  ruleOf,
  saying,
  versionJson,
  wranglerDouble,
} from './support.ts';

const source = { commit: 'abc123', schema: '20261122120000' };
const open = ({ steps }: Plan) => steps.flatMap(({ what, run }) => (run === undefined ? [] : [what]));

describe('a plan', () => {
  const plan = (done: string[], more: Partial<Plan> = {}): Plan => ({
    title: 'Title:',
    facts: ['a fact'],
    refusals: [],
    steps: [
      { what: 'first is there', command: null },
      { what: 'make second', command: 'npx second', run: async () => void done.push('second') },
      { what: 'make third', command: null, run: async () => void done.push('third') },
    ],
    ...more,
  });
  const carried = async (given: Plan, options: { dryRun?: boolean; yes?: boolean; answer?: string } = {}) => {
    const lines: string[] = [];
    const { dryRun = false, yes = false, answer } = options;
    const ask = answer === undefined ? null : async () => answer;
    const code = await carryOut(given, { dryRun, yes, ask, print: (line) => lines.push(line) });
    return { code, lines };
  };

  it('is shown, asked for, and done in order', async () => {
    const done: string[] = [];
    const { code, lines } = await carried(plan(done), { answer: 'y' });
    expect([code, done]).toEqual([0, ['second', 'third']]);
    expect(lines.slice(0, 6)).toEqual([
      'Title:',
      '  a fact',
      '  done   first is there',
      '  to do  make second',
      '           npx second',
      '  to do  make third',
    ]);
  });

  it.each([
    ['is only shown', { dryRun: true, yes: true }, 0],
    ['is not done without a terminal', {}, 1],
    ['is not done against the answer', { answer: 'n' }, 1],
    ['is not done on an empty answer', { answer: '' }, 1],
  ] as const)('%s', async (_, options, code) => {
    const done: string[] = [];
    expect((await carried(plan(done), options)).code).toBe(code);
    expect(done).toEqual([]);
  });

  it('that is refused is not done, whoever says yes', async () => {
    const done: string[] = [];
    const { code, lines } = await carried(plan(done, { refusals: ['because'] }), { yes: true });
    expect([code, done, lines.at(-1)]).toEqual([1, [], 'Refused: because']);
  });

  it('ends with the first failure', async () => {
    const done: string[] = [];
    const failed = async () => {
      throw new Error('second failed');
    };
    const given = plan(done);
    given.steps[1]!.run = failed;
    await expect(carried(given, { yes: true })).rejects.toThrow('second failed');
    expect(done).toEqual([]);
  });

  it('of nothing asks nobody', async () => {
    const steps = [{ what: 'first is there', command: null }];
    expect((await carried(plan([], { steps }))).lines.at(-1)).toBe('Nothing is to be done.');
  });
});

describe('KV namespaces', () => {
  const files = { readToml: () => '', writeToml: () => {} };

  it('that wrangler.toml names and the account has not are no reason to make others', async () => {
    const { wrangler, ran } = wranglerDouble({ 'kv namespace list': saying([]) });
    const plan = await planNamespaces(environmentOf(), { wrangler, signal: never, ...files });
    expect(plan.refusals).toEqual([expect.stringContaining('CACHE_KV is a1 in wrangler.toml')]);
    expect(open(plan)).toEqual([]);
    expect(ran).toHaveLength(1);
  });
});

describe('buckets', () => {
  const planned = async (lists: Record<string, { code: number; output: string }>) => {
    const double = wranglerDouble(lists);
    const plan = await planBuckets(environmentOf(), defaultRule, double.wrangler, never);
    for (const { run } of plan.steps) await run?.();
    const ran = double.ran.map(({ command }) => command);
    // The first two ask how things are.
    return { plan, ran: ran.slice(2) };
  };

  it('that are as they should be are left', async () => {
    const { plan, ran } = await planned({ 'r2 bucket lifecycle list': ruleOf(30, 90) });
    expect([open(plan), ran]).toEqual([[], []]);
  });

  it('get the rule in place of another one of its name', async () => {
    const { plan, ran } = await planned({
      'r2 bucket lifecycle list calls-eu': ruleOf(30, 90),
      'r2 bucket lifecycle list calls': ruleOf(30, 365),
    });
    expect(open(plan)).toEqual([expect.stringContaining('(now otherwise)')]);
    expect(ran).toEqual([
      'r2 bucket lifecycle list calls',
      'r2 bucket lifecycle remove calls --name recordings',
      'r2 bucket lifecycle add calls recordings recordings/ --ia-transition-days 30 --expire-days 90 --abort-multipart-days 7 --force',
    ]);
  });

  it('are made where they have to be, also where another run was faster', async () => {
    const lists: Record<string, { code: number; output: string }> = {
      'r2 bucket lifecycle list calls-eu': failing(10006, 'The specified bucket does not exist.'),
      'r2 bucket lifecycle list calls': ruleOf(30, 90),
      'r2 bucket create': failing(10004, 'The bucket you tried to create already exists, and you own it.'),
    };
    const { wrangler, ran } = wranglerDouble(lists);
    const plan = await planBuckets(environmentOf(), defaultRule, wrangler, never);
    expect(open(plan)[0]).toBe('create calls-eu, for RECORDINGS_EU, in the jurisdiction eu');
    lists['r2 bucket lifecycle list calls-eu'] = saying('There are no lifecycle rules for this bucket.');
    for (const { run } of plan.steps) await run?.();
    expect(ran.slice(2).map(({ command }) => command)).toEqual([
      'r2 bucket create calls-eu -J eu',
      'r2 bucket lifecycle list calls-eu -J eu',
      expect.stringMatching(/^r2 bucket lifecycle add calls-eu .* -J eu$/),
    ]);
  });

  it('of somebody else are not taken for ours', async () => {
    const failed = planned({
      'r2 bucket lifecycle list': failing(10006, 'The specified bucket does not exist.'),
      'r2 bucket create': failing(10073, 'The bucket name is taken.'),
    });
    await expect(failed).rejects.toThrow('The bucket name is taken.');
  });
});

describe('secrets', () => {
  it('go to wrangler in a pipe, and into no command', async () => {
    const { wrangler, ran } = wranglerDouble({});
    const values = new Map([['OPENAI_API_KEY', 'sk-very-secret']]);
    const plan = planSecrets(
      environmentOf(),
      ['OPENAI_API_KEY'],
      values,
      ['OPENAI_API_KEY'],
      wrangler,
      never,
    );
    for (const { run } of plan.steps) await run?.();
    expect(ran).toEqual([
      { command: 'secret bulk --env staging', input: '{"OPENAI_API_KEY":"sk-very-secret"}' },
    ]);
    expect(JSON.stringify(plan)).not.toContain('sk-very-secret');
    expect(open(plan)).toEqual(['store OPENAI_API_KEY in place of the one that is there']);
    expect(plan.facts).toEqual(['Still missing then: SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY.']);
  });

  it('of a Worker that is not there yet are none', async () => {
    const { wrangler } = wranglerDouble({
      'secret list': { code: 1, output: '✘ [ERROR] Worker "calls-staging" (env: staging) not found.' },
    });
    expect(await storedSecrets(environmentOf(), wrangler, never)).toBeNull();
  });
});

const stored = saying(
  ['OPENAI_API_KEY', 'SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY'].map((name) => ({
    name,
    type: 'secret_text',
  })),
);
const ready = {
  'deploy --dry-run': saying('Total Upload: 4655.04 KiB / gzip: 1017.67 KiB\n'),
  'secret list': stored,
  'r2 bucket lifecycle list': ruleOf(30, 90),
  'deployments list': deploymentsJson('new', 'old'),
  'versions view new': versionJson('new', 'commit def, database 20261122120000', 'v2'),
};

describe('a deployment', () => {
  const planned = async (answers: object, more: object = {}, dryRun = false) => {
    const { wrangler, ran } = wranglerDouble({ ...ready, ...answers });
    const environment = environmentOf(more);
    const plan = await planRelease({
      ...{ environment, source, wrangler, signal: never, dryRun, onDeployed: () => {} },
    });
    return { plan, ran };
  };

  it('is made where nothing is missing, and names its commit and the database that it is made for', async () => {
    const { plan, ran } = await planned({});
    expect(plan.refusals).toEqual([]);
    expect(plan.facts.join('\n')).toContain('gzip: 1017.67 KiB');
    await plan.steps[0]!.run!();
    expect(ran.at(-1)!.command).toBe(
      'deploy --env staging --tag abc123 --message commit abc123, database 20261122120000',
    );
    expect(plan.steps[0]!.command).toContain(`--message "${messageOf(source)}"`);
  });

  it.each<[string, object, object, string]>([
    ['a secret', { 'secret list': saying([]) }, {}, '`npm run secret:set -- --env staging OPENAI_API_KEY'],
    [
      'the Worker, and so every secret',
      { 'secret list': failing(10007, 'This Worker does not exist.') },
      {},
      'SUPABASE_URL',
    ],
    [
      'a bucket',
      { 'r2 bucket lifecycle list': failing(10006, 'The specified bucket does not exist.') },
      {},
      'npm run r2:create -- --env staging',
    ],
    [
      'the id of a namespace',
      {},
      { namespaces: [{ binding: 'CACHE_KV', id: null, title: 'x' }] },
      'npm run kv:create -- --env staging',
    ],
    ['who may call', {}, { vars: { AUTH: 'none' } }, 'AUTH is none'],
    ['a right setting', {}, { vars: { AUTH: 'nobody' } }, 'AUTH'],
  ])('is refused where it lacks %s, with what mends it', async (_, answers, more, text) => {
    const { plan } = await planned(answers, more);
    expect(plan.refusals.join('\n')).toContain(text);
  });

  it('warns where no rollback will go behind it', async () => {
    const { plan } = await planned({ 'versions view new': versionJson('new', null, 'v1') });
    expect(plan.facts).toContainEqual(expect.stringContaining('from v1 to v2. No rollback'));
  });

  it('can be looked at without an account, and not made', async () => {
    const nobody = {
      code: 1,
      output:
        "In a non-interactive environment, it's necessary to set a CLOUDFLARE_API_TOKEN environment variable",
    };
    const answers = { 'secret list': nobody };
    const { plan } = await planned(answers, {}, true);
    expect([plan.refusals, plan.facts.at(-1)]).toEqual([
      [],
      'The account was not looked at: there is none here.',
    ]);
    await expect(planned(answers)).rejects.toThrow('npx wrangler login');
  });
});

describe('a rollback', () => {
  const planned = async (answers: object, to: string | null = null) => {
    const { wrangler, ran } = wranglerDouble({
      ...ready,
      'versions view old': versionJson('old', 'commit abc, database 20261121080000', 'v2'),
      ...answers,
    });
    const environment = environmentOf();
    const plan = await planRollback({ environment, to, reason: 'it fails', wrangler, signal: never });
    return { plan, ran };
  };

  it('goes to what was deployed before, and says what stays', async () => {
    const { plan, ran } = await planned({});
    expect(plan.refusals).toEqual([]);
    expect(plan.facts.join('\n')).toMatch(
      /Then: old,.*Not undone: the database.*as of 20261121080000.*20261122120000/s,
    );
    await plan.steps[0]!.run!();
    expect(ran.at(-1)!.command).toBe(
      'rollback old --yes --message it fails --durable-objects-code-update-mode deferred 600s --env staging',
    );
  });

  it('is refused behind a migration of the classes', async () => {
    const { plan } = await planned({ 'versions view old': versionJson('old', null, 'v1') });
    expect(plan.refusals).toEqual([expect.stringContaining('v1 to v2')]);
    expect(plan.facts).toContainEqual(expect.stringContaining('is not known'));
  });

  it('has nothing to do where that version is deployed, and nowhere to go where it is the only one', async () => {
    expect(open((await planned({}, 'new')).plan)).toEqual([]);
    await expect(planned({ 'deployments list': deploymentsJson('new') })).rejects.toThrow('no other version');
    await expect(planned({ 'deployments list': saying([]) })).rejects.toThrow('never deployed');
  });
});

it.each([
  ['[code: 10000]', 'permission'],
  ['Authentication error [code: 10000]', 'permission'],
  ['Please enable R2 through the Cloudflare Dashboard. [code: 10042]', 'R2'],
  ['You need to enable Analytics Engine. [code: 10089]', 'Analytics Engine'],
  ['CPU limits are not supported for the Free plan. [code: 100328]', 'paid plan'],
  ['Please wait and consider throttling your request speed [code: 971]', 'five minutes'],
  ['fetch failed', 'did not answer'],
  ['timed out after 120000 ms', 'did not answer'],
])('knows what to do about %s', (output, advice) => {
  expect(adviceFor(output)).toContain(advice);
});
