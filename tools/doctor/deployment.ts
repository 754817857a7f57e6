import { z } from 'zod';
import type { Clock } from '../../src/call/clock.ts';
import { type Finding, failed, fine, untried, warning } from './finding.ts';
import { systemCode } from './system-code.ts';

export interface DeploymentOptions {
  /** Of the running service. */
  url: URL;
  /** A service or metrics token; null: only what strangers see. */
  token: string | null;
  /** Of this repository. */
  version: string;
  fetch: typeof fetch;
  clock: Clock;
  /** Of each request. */
  limitMs: number;
  signal: AbortSignal;
}

/** A token of a minute's life is not to be old when it arrives. */
const MOST_SKEW_MS = 5_000;
const MOST_CHARACTERS = 65_536;

const healthSchema = z.object({
  status: z.enum(['ok', 'degraded']),
  timestamp: z.number(),
  version: z.string().max(64),
  activeCalls: z.number().nullable(),
  nodes: z.record(z.string(), z.number()).nullish(),
  missingSettings: z.array(z.string()).optional(),
  settingsWithoutEffect: z.array(z.object({ setting: z.string(), because: z.string() })).optional(),
});

/** Looks at a running deployment as its clients do. Starts no call. */
export async function examineDeployment(options: DeploymentOptions): Promise<Finding[]> {
  const { url, token, version, clock } = options;
  const findings: Finding[] = [];
  const asked = clock.now();
  const health = await ask(options, '/health', token);
  const answered = clock.now();
  if ('broken' in health) {
    return [
      failed(
        '/health',
        health.broken,
        `Is ${url.host} the right address? npx wrangler deployments status, npx wrangler tail`,
      ),
    ];
  }
  const parsed = healthSchema.safeParse(parseJson(health.text));
  if (health.status !== 200 || !parsed.success) {
    const what = health.status === 500 ? ' A setting may be wrong: npx wrangler tail names it.' : '';
    return [
      failed(
        '/health',
        `status ${health.status}, not what this service says`,
        `Is ${url.host} the right address?${what}`,
      ),
    ];
  }
  const {
    status,
    timestamp,
    activeCalls,
    nodes,
    missingSettings = [],
    settingsWithoutEffect = [],
  } = parsed.data;
  findings.push(
    status === 'ok'
      ? fine('/health', `ok, ${activeCalls ?? 'unknown'} calls, version ${parsed.data.version}`)
      : failed(
          '/health',
          'degraded',
          token === null
            ? 'DOCTOR_TOKEN=… (npm run token -- metrics) tells why'
            : 'see below, and docs/metrics.md',
        ),
  );
  if (parsed.data.version !== version) {
    findings.push(
      warning('version', `${parsed.data.version} runs there, this is ${version}`, 'npm run deploy'),
    );
  }
  // The service's clock stood at some moment between the request and its answer.
  const skew = Math.max(asked - timestamp, timestamp - answered, 0);
  findings.push(
    skew <= MOST_SKEW_MS
      ? fine('clock', 'agrees with this machine’s')
      : warning(
          'clock',
          `differs from this machine’s by ${Math.round(skew / 1000)} s`,
          'set this machine’s clock (timedatectl set-ntp true): tokens carry times',
        ),
  );
  findings.push(await examineAuth(options));
  if (token === null) {
    findings.push(untried('metrics, nodes', 'DOCTOR_TOKEN is not set: npm run token -- metrics'));
    return findings;
  }
  findings.push(await examineMetrics(options));
  if (missingSettings.length > 0) {
    findings.push(
      failed(
        'settings',
        `missing there: ${missingSettings.join(', ')}`,
        `npm run secret:set -- --env NAME ${missingSettings.join(' ')}`,
      ),
    );
  }
  for (const { setting, because } of settingsWithoutEffect) {
    findings.push(warning(setting, `has no effect there: ${because}`, 'take it out, or set what it needs'));
  }
  findings.push(...examineNodes(nodes ?? null));
  return findings;
}

async function examineAuth(options: DeploymentOptions): Promise<Finding> {
  const answer = await ask(options, '/metrics', null);
  if ('broken' in answer) return failed('who may', answer.broken, 'npx wrangler tail');
  if (answer.status === 401) return fine('who may', 'strangers are turned away');
  if (answer.status === 503 && answer.text.includes('AUTH_OFF')) {
    return failed(
      'who may',
      'AUTH is none: everybody is turned away',
      'take AUTH out of wrangler.toml, npm run deploy',
    );
  }
  if (answer.status === 200) {
    return failed(
      'who may',
      'strangers read /metrics',
      'AUTH is none, and the address a loopback one: deploy without AUTH',
    );
  }
  return failed('who may', `status ${answer.status} in place of 401`, 'npx wrangler tail');
}

async function examineMetrics(options: DeploymentOptions): Promise<Finding> {
  const answer = await ask(options, '/metrics', options.token);
  if ('broken' in answer) return failed('/metrics', answer.broken, 'npx wrangler tail');
  if (answer.status === 200) return fine('/metrics', 'answers');
  const mend =
    answer.status === 401 || answer.status === 403
      ? 'DOCTOR_TOKEN is none of this deployment: npm run token -- metrics, then store METRICS_TOKENS'
      : 'npx wrangler tail';
  return failed('/metrics', `status ${answer.status}`, mend);
}

function examineNodes(nodes: Record<string, number> | null): Finding[] {
  if (nodes === null) {
    return [
      warning(
        'nodes',
        'none has ever reported',
        'on each node: systemctl enable --now heartbeat.timer, freeswitch/bin/healthy (see docs/freeswitch.md)',
      ),
    ];
  }
  const { up = 0, draining = 0, failing = 0, silent = 0 } = nodes;
  const says = `${up} up, ${draining} draining, ${failing} failing, ${silent} silent`;
  if (up > 0 && failing === 0 && silent === 0) return [fine('nodes', says)];
  const mend =
    'which: /metrics with Accept: text/plain; on the node: bin/healthy (its SIP answer), systemctl status freeswitch heartbeat.timer';
  return [(up === 0 ? failed : warning)('nodes', says, mend)];
}

type Answer = { status: number; text: string } | { broken: string };

async function ask(options: DeploymentOptions, path: string, token: string | null): Promise<Answer> {
  const { url, clock, limitMs, signal } = options;
  const over = new AbortController();
  const timer = clock.after(limitMs, () => over.abort());
  try {
    const response = await options.fetch(new URL(path, url), {
      headers: {
        Accept: 'application/json',
        ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
      },
      // It would carry the token to another host.
      redirect: 'manual',
      signal: AbortSignal.any([signal, over.signal]),
    });
    return { status: response.status, text: (await response.text()).slice(0, MOST_CHARACTERS) };
  } catch (error) {
    signal.throwIfAborted();
    if (over.signal.aborted) return { broken: `no answer within ${limitMs} ms` };
    return { broken: `not reached (${systemCode(error) ?? (error as Error).message})` };
  } finally {
    timer.cancel();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
