import type { PostgrestError } from '@supabase/supabase-js';
import { z } from 'zod';
import type { AgentConfig } from '../call/agent-config.ts';
import type { Clock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { type CampaignSettings, campaignSchema } from '../config.ts';
import { recordLimits } from './bounds.ts';
import { RecordsError } from './call-records.ts';
import { connectProject, exactly, isRetryable, type SupabaseOptions } from './supabase-project.ts';

/** A campaign as the database has it. */
export interface Campaign {
  id: string;
  /** The user whose it is. */
  owner: string;
  settings: CampaignSettings;
}

/** A campaign, or null where there is none of this id. Rejects with `RecordsError`. */
export type FindCampaign = (campaignId: string, signal: AbortSignal) => Promise<Campaign | null>;

const rowsSchema = z
  .array(z.object({ id: z.string(), user_id: z.string(), agent: campaignSchema }))
  .transform((rows) => rows.map(({ id, user_id, agent }) => ({ id, owner: user_id, settings: agent })));

/** Looks campaigns up in a Supabase project with the tables of `supabase/migrations`. */
export function createFindCampaign(options: Omit<SupabaseOptions, 'timeoutMs'>): FindCampaign {
  const client = connectProject(options);
  return async (campaignId, signal) => {
    const { data, error, status } = await client
      .from('campaigns')
      .select('id, user_id, agent')
      .filter('id', 'in', exactly([campaignId]))
      .limit(1)
      .abortSignal(signal)
      .retry(false);
    if (error !== null) throw lookupError(status, error);
    const rows = rowsSchema.safeParse(data);
    if (rows.success) return rows.data[0] ?? null;
    const [issue] = rows.error.issues;
    const message = `campaign: ${issue?.path.slice(1).join('.')}: ${issue?.message}`;
    throw new RecordsError(message, { retryable: false, code: null });
  };
}

function lookupError(status: number, { code, message }: PostgrestError): RecordsError {
  return new RecordsError(`campaign: status ${status}: ${message.slice(0, 300)}`, {
    retryable: isRetryable(status, code ?? null, 'campaign'),
    code: code ?? null,
  });
}

/** How long what was found is used. */
const freshMs = 60_000;
/** How long a database that did not answer is not asked again: its calls begin without waiting for it. */
const retryMs = 10_000;
/** The longest wait: a caller hears nothing meanwhile. */
const lookupMs = 2_000;
/** Ids come from outside. */
const mostKept = 1_000;

export interface CampaignAgentsOptions {
  clock: Clock;
  find: FindCampaign;
  /** The agent by the settings alone. */
  configured(campaignId: string): Promise<AgentConfig>;
  /** The agent of a campaign that the database has. */
  agentOf(campaign: Campaign): Promise<AgentConfig>;
  onFailure(campaignId: string, error: unknown): void;
}

/**
 * The agents of campaigns, kept for a minute by an isolate. Where the database does not answer, or has settings that are none, the agent is
 * the one that was found last, or the configured one. Only what has been found is shared between calls: a Worker may not wait
 * for a request of another one's.
 */
export class CampaignAgents {
  readonly #options: CampaignAgentsOptions;
  readonly #kept = new Map<string, { agent: AgentConfig; until: number }>();

  constructor(options: CampaignAgentsOptions) {
    this.#options = options;
  }

  async agentFor(campaignId: string): Promise<AgentConfig> {
    const { clock, find, configured, agentOf, onFailure } = this.#options;
    const kept = this.#kept.get(campaignId);
    if (kept !== undefined && clock.now() < kept.until) return kept.agent;
    if (!mayBeThere(campaignId)) return configured(campaignId);
    try {
      const campaign = await within(clock, lookupMs, (signal) => find(campaignId, signal));
      const agent = await (campaign === null ? configured(campaignId) : agentOf(campaign));
      this.#keep(campaignId, agent, freshMs);
      return agent;
    } catch (error) {
      onFailure(campaignId, error);
      const found = this.#kept.get(campaignId);
      // Another call of the campaign has asked meanwhile, and knows more or as much.
      if (found !== undefined && found !== kept) return found.agent;
      const agent = found?.agent ?? (await configured(campaignId));
      this.#keep(campaignId, agent, retryMs);
      return agent;
    }
  }

  #keep(campaignId: string, agent: AgentConfig, ms: number): void {
    this.#kept.delete(campaignId);
    if (this.#kept.size >= mostKept) {
      // What nobody owns was found nowhere: ids that are made up drive out no campaign.
      const ids = [...this.#kept.keys()];
      this.#kept.delete(ids.find((id) => this.#kept.get(id)?.agent.owner === null) ?? ids[0]!);
    }
    this.#kept.set(campaignId, { agent, until: this.#options.clock.now() + ms });
  }
}

/** Text that Postgres does not store names no row. */
function mayBeThere(campaignId: string): boolean {
  return (
    campaignId.length <= recordLimits.campaignIdCharacters &&
    !campaignId.includes('\u0000') &&
    campaignId.isWellFormed()
  );
}
