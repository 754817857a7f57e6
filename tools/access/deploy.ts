import type { Config } from '../../src/config.ts';

/** What there is to say of a deployment with these settings before it is made. Secrets that are stored with Cloudflare are not among them. */
export interface DeployAdvice {
  /** Why it must not be made; null: it may. */
  refusal: string | null;
  notes: string[];
}

export function adviceBeforeDeploy(config: Pick<Config, 'AUTH' | 'NODES'>): DeployAdvice {
  if (config.AUTH === 'none') {
    return {
      refusal:
        'AUTH is none: whoever finds the deployment could call, at your expense. The Worker would refuse everybody with 503. Take AUTH out of wrangler.toml.',
      notes: [],
    };
  }
  const nodes = Object.keys(config.NODES);
  return {
    refusal: null,
    notes: [
      'Users come in with tokens of the project’s Auth.',
      nodes.length > 0
        ? `Nodes: ${nodes.join(', ')}.`
        : 'No nodes in wrangler.toml: unless the secret NODES is set, no telephone call comes in. `npm run token -- node NAME --users ID`.',
    ],
  };
}
