import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rules } from '../../../src/alerts/rules.ts';
import { monitoringFile, writtenRules } from '../../support/monitoring.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monitoring-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Debian's promtool in a folder of these files; its exit code and what it says. */
async function promtool(
  args: string[],
  files: Record<string, string>,
): Promise<{ code: number; says: string }> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return await new Promise((resolve) => {
    execFile('promtool', args, { cwd: folder, timeout: 90_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, says: stdout + stderr });
    });
  });
}

const alerts = monitoringFile('alerts.yml');
const tests = monitoringFile('alerts.test.yml');

describe('the rules for Prometheus', () => {
  it('are rules', async () => {
    const { code, says } = await promtool(['check', 'rules', 'alerts.yml'], { 'alerts.yml': alerts });
    expect(says).toContain(`SUCCESS: ${writtenRules().length} rules found`);
    expect(code).toBe(0);
  });

  it('fire when they should, not before, and end', async () => {
    const files = { 'alerts.yml': alerts, 'alerts.test.yml': tests };
    expect(await promtool(['test', 'rules', 'alerts.test.yml'], files)).toMatchObject({
      code: 0,
      says: expect.stringContaining('SUCCESS'),
    });
    // Each rule each 15 s, for some minutes of thirty deployments.
  }, 100_000);

  it('are each seen firing by a test', () => {
    const fired = new Set([...tests.matchAll(/\{alertname="(\w+)"\}/g)].map(([, name]) => name));
    const written = writtenRules().filter(({ kind, name }) => kind === 'alert' && name !== 'Watchdog');
    expect([...fired].sort()).toEqual(written.map(({ name }) => name).sort());
  });

  it('repeat each rule of the service, as grave as there', () => {
    // The cost's is the service's own gauge, and has its label.
    const written = new Map(writtenRules().map(({ rule, severity }) => [rule, severity]));
    written.set('cost-anomaly', writtenRules().find(({ name }) => name === 'CostAnomaly')?.severity ?? null);
    for (const { id, severity } of rules) expect({ id, severity: written.get(id) }).toEqual({ id, severity });
  });
});

describe('the example of what is scraped', () => {
  it('is a configuration, once the token is there', async () => {
    const example = monitoringFile('prometheus.yml');
    const token = join(folder, 'token');
    const files = { 'alerts.yml': alerts, token: 'ach_metrics_x' };
    const here = example.replace('/etc/prometheus/callhandler-token', token);
    expect(here).not.toBe(example);
    const { code, says } = await promtool(['check', 'config', 'prometheus.yml'], {
      ...files,
      'prometheus.yml': here,
    });
    expect({ code, says }).toMatchObject({ code: 0, says: expect.stringContaining('1 rule files found') });
  });
});
