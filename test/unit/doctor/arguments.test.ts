import { describe, expect, it } from 'vitest';
import { DoctorUsageError, doctorUsage, parseDoctorArguments } from '../../../tools/doctor/arguments.ts';

describe('the command line of the doctor', () => {
  it('needs nothing', () => {
    expect(parseDoctorArguments([])).toEqual({ local: false, data: '.data', json: false, help: false });
  });

  it('takes what its help names', () => {
    const names = [...doctorUsage.matchAll(/^ {2}(--[a-z]+)/gm)].map(([, name]) => name!);
    expect(names).toEqual(['--env', '--url', '--local', '--data', '--json']);
    expect(parseDoctorArguments(['--env', 'production', '--json'])).toMatchObject({
      env: 'production',
      json: true,
    });
    expect(parseDoctorArguments(['--local', '--data', 'elsewhere'])).toMatchObject({
      local: true,
      data: 'elsewhere',
    });
    expect(parseDoctorArguments(['-h']).help).toBe(true);
  });

  it.each([
    [['--what']],
    [['now']],
    [['--env', '../secrets']],
    [['--env', 'prod']],
    [['--url', 'calls.example']],
    [['--env']],
    [['--local', '--env', 'production']],
  ])('refuses %j', (args) => {
    expect(() => parseDoctorArguments(args)).toThrow(DoctorUsageError);
  });
});
