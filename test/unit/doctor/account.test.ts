import { describe, expect, it } from 'vitest';
import { examineAccount } from '../../../tools/doctor/account.ts';
import {
  deploymentsJson,
  environmentOf,
  failing,
  never,
  ruleOf,
  saying,
  versionJson,
  wranglerDouble,
} from '../deploy/support.ts';

const names = ['OPENAI_API_KEY', 'SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY', 'NODES'];
const well = {
  'secret list': saying(names.map((name) => ({ name }))),
  'kv namespace list': saying([{ id: 'a1', title: 'calls-staging-cache-kv' }]),
  'r2 bucket lifecycle list': ruleOf(30, 90),
  'deployments list': deploymentsJson('new'),
  'versions view': versionJson('new', 'commit abc, database 20261122120000', 'v2'),
};
const examined = async (answers: Record<string, { code: number; output: string }>, more: object = {}) => {
  const { wrangler, ran } = wranglerDouble({ ...well, ...answers });
  const { findings, stored } = await examineAccount(environmentOf(more), wrangler, never);
  return { findings, stored, ran: ran.map(({ command }) => command) };
};

describe('an environment in the account', () => {
  it('that has everything has nothing to mend, and is asked and not changed', async () => {
    const { findings, stored, ran } = await examined({});
    expect(findings.map(({ what, result }) => `${what} ${result}`)).toEqual([
      'secrets ok',
      'CACHE_KV ok',
      'RECORDINGS ok',
      'RECORDINGS_EU ok',
      'deployment ok',
    ]);
    expect(stored).toEqual(names);
    expect(ran.every((command) => / (list|view) /.test(`${command} `))).toBe(true);
  });

  it.each<[string, Record<string, { code: number; output: string }>, object, RegExp]>([
    ['Worker', { 'secret list': failing(10007, 'No such Worker.') }, {}, /npm run deploy -- --env staging/],
    [
      'secrets',
      { 'secret list': saying([{ name: 'NODES' }]) },
      {},
      /secret:set -- --env staging OPENAI_API_KEY/,
    ],
    ['NODES', { 'secret list': saying(names.slice(0, 3).map((name) => ({ name }))) }, {}, /npm run token/],
    ['CACHE_KV', { 'kv namespace list': saying([]) }, {}, /kv:create/],
    ['CACHE_KV', {}, { namespaces: [{ binding: 'CACHE_KV', id: null, title: 'x' }] }, /kv:create/],
    ['RECORDINGS', { 'r2 bucket lifecycle list calls': failing(10006, 'No bucket.') }, {}, /r2:create/],
    ['RECORDINGS_EU', { 'r2 bucket lifecycle list calls-eu': saying('There are none.') }, {}, /r2:create/],
    ['RECORDINGS_EU', { 'r2 bucket lifecycle list calls-eu': ruleOf(30, 365) }, {}, /r2:create/],
    ['deployment', { 'deployments list': saying([]) }, {}, /npm run deploy/],
    ['deployment', { 'versions view': versionJson('new', null, 'v1') }, {}, /npm run deploy/],
    [
      'deployment',
      { 'versions view': versionJson('new', null, 'v2', ['CALL_SESSION', 'CACHE_KV', 'RECORDINGS']) },
      {},
      /npm run deploy/,
    ],
    ['KV namespaces', { 'kv namespace list': failing(10000, 'Authentication error') }, {}, /permission/],
  ])('that lacks its %s is told so, with what mends it', async (what, answers, more, mend) => {
    const { wrangler } = wranglerDouble({ ...answers, ...well, ...answers });
    const { findings } = await examineAccount(environmentOf(more), wrangler, never);
    const finding = findings.find((each) => each.what === what && each.result !== 'ok');
    expect(finding?.mend).toMatch(mend);
    // The rest is looked at all the same.
    if (what !== 'Worker') expect(findings.length).toBeGreaterThanOrEqual(5);
  });

  it('without an account is not looked at, which is no failure', async () => {
    const nobody = { code: 1, output: 'You must be logged in to use this command.' };
    const { findings, ran } = await examined({ 'secret list': nobody });
    expect(findings).toMatchObject([{ what: 'the account', result: 'untried' }]);
    expect(ran).toHaveLength(1);
  });
});
