import { z } from 'zod';
import type { Wrangler } from '../recordings/wrangler.ts';
import type { Environment, EnvironmentName } from './environment.ts';
import { DeployError, wranglerFailed } from './failure.ts';
import type { Plan, Step } from './plan.ts';

const listSchema = z.array(z.object({ id: z.string(), title: z.string() }));
type Listed = z.output<typeof listSchema>;

export interface NamespacesOptions {
  wrangler: Wrangler;
  signal: AbortSignal;
  readToml: () => string;
  writeToml: (text: string) => void;
}

/**
 * What is to be done so that an environment's KV namespaces are there, and `wrangler.toml` has their ids: without them a deploy would make them again, and
 * fail on those that are there.
 */
export async function planNamespaces(environment: Environment, options: NamespacesOptions): Promise<Plan> {
  const { wrangler, signal } = options;
  const listed = await listNamespaces(wrangler, signal);
  const steps: Step[] = [];
  const refusals: string[] = [];
  const wanting = environment.namespaces.filter(({ binding, id, title }) => {
    if (id === null) return true;
    if (listed.some((there) => there.id === id)) steps.push({ what: `${binding} is ${id}`, command: null });
    else {
      refusals.push(
        `${binding} is ${id} in wrangler.toml, and the account has none of this id. Is it the right account? Take the id out to have another one made (${title}).`,
      );
    }
    return false;
  });
  for (const { binding, title } of wanting) {
    const there = listed.find((each) => each.title === title);
    if (there !== undefined) {
      steps.push({ what: `${title} is there, ${there.id}`, command: null });
      continue;
    }
    const command = ['kv', 'namespace', 'create', title];
    steps.push({
      what: `create ${title}, for ${binding}`,
      command: `npx wrangler ${command.join(' ')}`,
      run: async () => {
        const { code, output } = await wrangler(command, signal);
        // By somebody else, meanwhile; or by the request whose answer was lost.
        if (code !== 0 && !/already exists/.test(output)) throw wranglerFailed(command, output);
      },
    });
  }
  if (wanting.length > 0 && refusals.length === 0) {
    steps.push({
      what: `write ${wanting.map(({ binding }) => binding).join(' and ')} into wrangler.toml`,
      command: null,
      run: async () => {
        const now = await listNamespaces(wrangler, signal);
        let toml = options.readToml();
        for (const { binding, title } of wanting) {
          const id = now.find((each) => each.title === title)?.id;
          if (id === undefined) throw new DeployError(`${title} was made, and is not there. Run this again.`);
          toml = withNamespaceId(toml, environment.name, binding, id);
        }
        options.writeToml(toml);
      },
    });
  }
  return {
    title: `KV namespaces of ${environment.worker} (${environment.name}):`,
    facts: [],
    steps,
    refusals,
  };
}

export async function listNamespaces(wrangler: Wrangler, signal: AbortSignal): Promise<Listed> {
  const command = ['kv', 'namespace', 'list'];
  const { code, output } = await wrangler(command, signal);
  if (code !== 0) throw wranglerFailed(command, output);
  return parsedOutput(listSchema, output, command);
}

/** JSON of wrangler's, around which it may say other things. */
export function parsedOutput<T extends z.ZodType>(
  schema: T,
  output: string,
  command: readonly string[],
): z.output<T> {
  const from = output.search(/^[[{]/m);
  const to = Math.max(output.lastIndexOf(']'), output.lastIndexOf('}'));
  try {
    return schema.parse(JSON.parse(output.slice(from, to + 1)));
  } catch (cause) {
    throw new DeployError(`\`wrangler ${command.join(' ')}\` did not say what it should.`, { cause });
  }
}

/** The file with the id of one namespace, in place of another id. Everything else, remarks included, is as it was. */
export function withNamespaceId(
  toml: string,
  environment: EnvironmentName,
  binding: string,
  id: string,
): string {
  const header = environment === 'development' ? '[[kv_namespaces]]' : `[[env.${environment}.kv_namespaces]]`;
  const lines = toml.split('\n');
  for (let at = 0; at < lines.length; at++) {
    if (lines[at]!.trim() !== header) continue;
    let end = at + 1;
    while (end < lines.length && !lines[end]!.trimStart().startsWith('[')) end++;
    const named = lines.findIndex((line, i) => i > at && i < end && line.trim() === `binding = "${binding}"`);
    if (named === -1) continue;
    const old = lines.findIndex((line, i) => i > at && i < end && /^\s*id\s*=/.test(line));
    if (old === -1) lines.splice(named + 1, 0, `id = "${id}"`);
    else lines[old] = `id = "${id}"`;
    return lines.join('\n');
  }
  throw new DeployError(`wrangler.toml has no ${header} with binding = "${binding}"`);
}
