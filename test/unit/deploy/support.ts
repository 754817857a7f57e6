import type { Environment } from '../../../tools/deploy/environment.ts';
import type { Wrangler } from '../../../tools/recordings/wrangler.ts';

export const never = new AbortController().signal;

/** An environment whose namespaces have ids. */
export function environmentOf(more: Partial<Environment> = {}): Environment {
  return {
    name: 'staging',
    worker: 'calls-staging',
    buckets: [
      { binding: 'RECORDINGS', name: 'calls', jurisdiction: null },
      { binding: 'RECORDINGS_EU', name: 'calls-eu', jurisdiction: 'eu' },
    ],
    namespaces: [{ binding: 'CACHE_KV', id: 'a1', title: 'calls-staging-cache-kv' }],
    bindings: ['CALL_SESSION', 'CACHE_KV', 'RECORDINGS', 'RECORDINGS_EU'],
    migrationTag: 'v2',
    codeUpdate: 'deferred 600s',
    vars: {},
    ...more,
  };
}

/** As wrangler 4.155 prints an answer of Cloudflare's that is none. */
export const failing = (code: number, message: string) => ({
  code: 1,
  output: `\n\u001b[31m✘ [ERROR] A request to the Cloudflare API (/accounts/x/y) failed.\u001b[0m\n\n  ${message} [code: ${code}]\n`,
});
export const saying = (value: unknown) => ({
  code: 0,
  output: typeof value === 'string' ? value : JSON.stringify(value, null, 2),
});

/** Answers by the first words of the command; what it is not told of, it can do. */
export function wranglerDouble(answers: Record<string, { code: number; output: string }>) {
  const ran: { command: string; input: string | undefined }[] = [];
  const wrangler: Wrangler = async (args, _signal, input) => {
    const command = args.join(' ');
    ran.push({ command, input });
    const known = Object.keys(answers).find((start) => command.startsWith(start));
    return known === undefined ? { code: 0, output: '' } : answers[known]!;
  };
  return { ran, wrangler };
}

export const ruleOf = (infrequent: number, deleted: number) =>
  saying(
    `Listing lifecycle rules for bucket 'calls'...\nname:     recordings\nenabled:  Yes\nprefix:   recordings/\naction:   Expire objects after ${deleted} days, Transition to Infrequent Access after ${infrequent} days, Abort incomplete multipart uploads after 7 days\n`,
  );

export const versionJson = (
  id: string,
  message: string | null,
  migrationTag: string | null,
  bindings = ['CALL_SESSION', 'CACHE_KV', 'RECORDINGS', 'RECORDINGS_EU', 'OPENAI_API_KEY'],
) =>
  saying({
    id,
    metadata: { created_on: '2026-11-20T10:00:00Z' },
    annotations: message === null ? {} : { 'workers/message': message },
    resources: {
      bindings: bindings.map((name) => ({ name, type: 'any' })),
      script_runtime: { migration_tag: migrationTag },
    },
  });
export const deploymentsJson = (...versions: string[]) =>
  saying(
    // The oldest first, as wrangler has them.
    versions.toReversed().map((version_id, i) => ({
      created_on: `2026-11-20T1${i}:00:00Z`,
      versions: [{ version_id, percentage: 100 }],
    })),
  );
