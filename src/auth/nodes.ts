import type { Principal } from '../call/principal.ts';
import type { Config } from '../config.ts';
import { isAddressIn } from './addresses.ts';
import { credentialOf } from './credential.ts';
import { hashOfToken, isOneOf, kindOfToken } from './tokens.ts';
import { Refused } from './user-tokens.ts';

/**
 * Who holds a long-lived token: a node, a program of the operator's, whoever collects the metrics. Asks nobody: nodes work while the database
 * is down.
 *
 * @param name where the client said which node it is; it must be that one.
 * @param address of the client; null: not known.
 * @throws {Refused}
 */
export async function holderOf(
  token: string,
  name: string | null,
  address: string | null,
  config: Pick<Config, 'NODES' | 'SERVICE_TOKENS' | 'METRICS_TOKENS'>,
): Promise<Principal> {
  const hash = await hashOfToken(token);
  // The hash says nothing of the token, and tells the operator's programs apart in the log.
  const id = hash.slice(0, 8);
  switch (kindOfToken(token)) {
    case 'service':
      if (!isOneOf(hash, config.SERVICE_TOKENS)) throw new Refused('no such service token');
      return { kind: 'service', id, users: '*', campaigns: '*' };
    case 'metrics':
      if (!isOneOf(hash, config.METRICS_TOKENS)) throw new Refused('no such token for the metrics');
      return { kind: 'metrics', id, users: [], campaigns: [] };
    default:
      return nodeOf(hash, name, address, config.NODES);
  }
}

/** Who is counted by a name of their own, wherever they come from. */
export interface KnownSender {
  kind: 'node' | 'service';
  id: string;
}

/**
 * The node or the program of the operator's that sent a request and proved it, or the node that comes from this address: who carries a
 * thousand calls has one address for all. Null: a stranger, or a person. Proves nothing but whose requests are counted together, and asks
 * nobody, so that it can be asked of every request.
 */
export async function knownSender(request: Request, config: Config): Promise<KnownSender | null> {
  const address = request.headers.get('CF-Connecting-IP');
  const credential = credentialOf(request, false);
  if (credential !== null && kindOfToken(credential.token) !== null) {
    try {
      const { kind, id } = await holderOf(credential.token, credential.name, address, config);
      if (kind === 'node' || kind === 'service') return { kind, id };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  if (address === null) return null;
  const node = Object.entries(config.NODES).find(([, { addresses }]) => isAddressIn(address, addresses));
  return node === undefined ? null : { kind: 'node', id: node[0] };
}

function nodeOf(
  hash: string,
  name: string | null,
  address: string | null,
  nodes: Config['NODES'],
): Principal {
  const holders = Object.entries(nodes).filter(([, node]) => isOneOf(hash, node.tokens));
  const [holder] = holders;
  if (holder === undefined) throw new Refused('no such node token');
  if (holders.length > 1) throw new Refused('the token is that of several nodes');
  const [id, { users, campaigns, addresses }] = holder;
  if (name !== null && name !== id) throw new Refused('the token is another node’s');
  if (addresses.length > 0 && !isAddressIn(address ?? '', addresses)) {
    throw new Refused(`node ${id} does not come from this address`);
  }
  return { kind: 'node', id, users, campaigns };
}
