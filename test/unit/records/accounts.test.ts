import { describe, expect, it } from 'vitest';
import { type Account, Accounts, AccountsUnavailable } from '../../../src/records/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const account: Account = { userId: 'acme', authId: null, blockedAt: null, tokensValidFrom: null };

function database() {
  const clock = new FakeClock();
  const far = { asked: 0, failures: 0, answer: async (): Promise<Account[]> => [account] };
  const accounts = new Accounts({
    clock,
    timeoutMs: 3_000,
    find: () => {
      far.asked++;
      return far.answer();
    },
    onFailure: () => far.failures++,
  });
  return { clock, far, accounts };
}

describe('an account', () => {
  it('is looked up once a minute: who is blocked is out after a minute at most', async () => {
    const { clock, far, accounts } = database();
    expect(await accounts.of('acme')).toEqual([account]);
    far.answer = async () => [{ ...account, blockedAt: 1 }];
    await clock.advance(59_999);
    expect(await accounts.of('acme')).toEqual([account]);
    await clock.advance(1);
    expect(await accounts.of('acme')).toEqual([{ ...account, blockedAt: 1 }]);
    expect(far.asked).toBe(2);
  });

  it('that nobody has is remembered as well', async () => {
    const { far, accounts } = database();
    far.answer = async () => [];
    for (let i = 0; i < 5; i++) expect(await accounts.of('nobody')).toEqual([]);
    expect(far.asked).toBe(1);
  });

  it('is not known while the database is down, and the database is asked every five seconds alone', async () => {
    const { clock, far, accounts } = database();
    await accounts.of('acme');
    far.answer = () => Promise.reject(new Error('down'));
    await clock.advance(60_000);
    for (let i = 0; i < 20; i++)
      await expect(accounts.of(`u${i}`)).rejects.toBeInstanceOf(AccountsUnavailable);
    // What was known a minute ago counts no more.
    await expect(accounts.of('acme')).rejects.toBeInstanceOf(AccountsUnavailable);
    expect([far.asked, far.failures]).toEqual([2, 1]);
    far.answer = async () => [account];
    await clock.advance(5_000);
    expect(await accounts.of('acme')).toEqual([account]);
  });

  it('is waited for so long and no longer', async () => {
    const { clock, far, accounts } = database();
    far.answer = () => new Promise(() => {});
    const asked = accounts.of('acme').catch((error: unknown) => error);
    await clock.advance(3_000);
    expect(await asked).toBeInstanceOf(AccountsUnavailable);
  });

  it('of which there are endless names fills no memory', async () => {
    const { far, accounts } = database();
    for (let i = 0; i <= 10_000; i++) await accounts.of(`made-up-${i}`);
    await accounts.of('made-up-10000');
    expect(far.asked).toBe(10_001);
    await accounts.of('made-up-0');
    expect(far.asked).toBe(10_002);
  });
});
