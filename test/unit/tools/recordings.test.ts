import { describe, expect, it } from 'vitest';
import { parseForgetArguments } from '../../../tools/recordings/forget.ts';
import { addRule, parseLifecycleArguments, setRule } from '../../../tools/recordings/lifecycle.ts';
import type { Wrangler } from '../../../tools/recordings/wrangler.ts';

const never = new AbortController().signal;

describe('the rule of how long recordings are kept', () => {
  const rule = (...args: string[]) => addRule('calls', parseLifecycleArguments(args)).slice(4).join(' ');

  it('is that of the contract: 30 days, 90 days', () => {
    expect(rule()).toBe(
      'calls recordings recordings/ --ia-transition-days 30 --expire-days 90 --abort-multipart-days 7 --force',
    );
  });

  it('may be another, or leave a step out', () => {
    expect(rule('--infrequent', '0', '--delete', '30')).toContain(' --expire-days 30');
    expect(rule('--infrequent', '0', '--delete', '30')).not.toContain('--ia');
    expect(rule('--delete', '0')).not.toContain('--expire');
  });

  it.each([
    [['--delete', '30']],
    [['--delete', 'x']],
    [['--delete', '-1']],
    [['--abort', '0']],
    [['--bucket', 'a/b']],
    [['--env', '$(x)']],
    [['--other']],
    [['extra']],
  ])('is refused with %j', (args) => {
    expect(() => parseLifecycleArguments(args)).toThrow(
      expect.objectContaining({ name: 'RecordingsUsageError' }),
    );
  });

  /** Answers by the fourth word: list, remove, add. */
  function wranglerDouble(answers: Record<string, { code: number; output: string }>) {
    const ran: string[] = [];
    const wrangler: Wrangler = async (args) => {
      ran.push(args.slice(3).join(' '));
      return answers[args[3]!] ?? { code: 0, output: '' };
    };
    return { ran, wrangler };
  }
  const set = (wrangler: Wrangler) =>
    setRule(wrangler, 'calls', parseLifecycleArguments([]), () => {}, never);

  it('takes the place of its own earlier one, and of no other', async () => {
    const own = wranglerDouble({ list: { code: 0, output: 'name:     recordings\nenabled:  Yes\n' } });
    expect(await set(own.wrangler)).toBe(true);
    expect(own.ran.map((line) => line.split(' ')[0])).toEqual(['list', 'remove', 'add']);
    expect(own.ran[1]).toBe('remove calls --name recordings');
    const others = wranglerDouble({ list: { code: 0, output: 'name:     recordings-of-mine\n' } });
    await set(others.wrangler);
    expect(others.ran.map((line) => line.split(' ')[0])).toEqual(['list', 'add']);
  });

  it.each(['list', 'add'])('stops where wrangler cannot %s', async (step) => {
    const double = wranglerDouble({ [step]: { code: 1, output: 'no' } });
    expect(await set(double.wrangler)).toBe(false);
    expect(double.ran.at(-1)!.split(' ')[0]).toBe(step);
  });
});

describe('npm run forget', () => {
  it('is told whose calls, in one way', () => {
    expect(parseForgetArguments(['--user', 'u-1'])).toMatchObject({ user: 'u-1', apply: false });
    expect(parseForgetArguments(['--phone', '+15550100', '--apply'])).toMatchObject({ apply: true });
  });

  it.each([[[]], [['--user', 'a', '--phone', 'b']], [['--user', '']], [['--users', 'a']]])(
    'is refused with %j',
    (args) => {
      expect(() => parseForgetArguments(args)).toThrow(
        expect.objectContaining({ name: 'RecordingsUsageError' }),
      );
    },
  );
});
