import { encodeBase64 } from './audio/base64.ts';
import { type AgentConfig, defaultEndpointing, defaultInterruption } from './call/agent-config.ts';
import { systemClock } from './call/clock.ts';
import { defaultDtmf } from './call/dtmf.ts';
import { defaultSpeculation } from './call/speculation.ts';
import type { CampaignSettings, Config } from './config.ts';
import { describeError, log, personalId } from './log.ts';
import { type Campaign, CampaignAgents, createFindCampaign } from './records/campaigns.ts';

const agents = new WeakMap<Config, Map<string | null, Promise<AgentConfig>>>();

/**
 * The agent of a campaign's calls by the settings alone; of calls without a campaign, or of one that is not configured, the
 * default one. Its version is a digest of all that it is.
 */
export function agentFor(config: Config, campaignId: string | null): Promise<AgentConfig> {
  const known = campaignId !== null && Object.hasOwn(config.CAMPAIGNS, campaignId) ? campaignId : null;
  let ofConfig = agents.get(config);
  if (ofConfig === undefined) {
    ofConfig = new Map();
    agents.set(config, ofConfig);
  }
  let agent = ofConfig.get(known);
  if (agent === undefined) {
    agent = withVersion(configuredAgent(config, known));
    ofConfig.set(known, agent);
  }
  return agent;
}

/** The same, with what the campaign has in the database. */
export function agentOfCampaign(config: Config, campaign: Campaign): Promise<AgentConfig> {
  const configured = configuredAgent(config, campaign.id);
  return withVersion({ ...configured, ...ownOf(campaign.settings), owner: campaign.owner });
}

function configuredAgent(config: Config, campaignId: string | null): Omit<AgentConfig, 'version'> {
  const known = campaignId !== null && Object.hasOwn(config.CAMPAIGNS, campaignId);
  return { ...defaultAgent(config), ...(known ? ownOf(config.CAMPAIGNS[campaignId]!) : {}) };
}

/** What a campaign has of its own. A voice speaks all its languages: `AGENT_VOICES` are the default agent's. */
function ownOf(settings: CampaignSettings) {
  const own = definedOf(settings);
  return own.voice === undefined ? own : { ...own, voices: {} };
}

function definedOf<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

async function withVersion(agent: Omit<AgentConfig, 'version'>): Promise<AgentConfig> {
  const bytes = new TextEncoder().encode(JSON.stringify(agent));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return { ...agent, version: encodeBase64(digest.subarray(0, 12)) };
}

function defaultAgent(config: Config): Omit<AgentConfig, 'version'> {
  return {
    owner: null,
    prompt: config.AGENT_PROMPT,
    greeting: config.AGENT_GREETING,
    apology: config.AGENT_APOLOGY,
    voice: config.TTS_VOICE,
    language: config.AGENT_LANGUAGE ?? null,
    maxOutputTokens: config.AGENT_MAX_OUTPUT_TOKENS,
    historyMessages: config.AGENT_HISTORY_MESSAGES,
    endpointing: {
      ...defaultEndpointing,
      endMs: config.ENDPOINTING_MS,
      speakMs: config.ANSWER_AFTER_MS,
    },
    interruption: { ...defaultInterruption, greeting: config.AGENT_GREETING_INTERRUPTIBLE },
    silence: {
      holdLine: config.AGENT_HOLD_LINE,
      holdLineMs: config.HOLD_LINE_MS,
      prompt: config.AGENT_SILENCE_PROMPT,
      promptMs: config.SILENCE_PROMPT_MS,
      goodbye: config.AGENT_GOODBYE,
      hangUpMs: config.SILENCE_HANGUP_MS,
    },
    dtmf: defaultDtmf,
    voices: config.AGENT_VOICES,
    model: { phrases: config.AGENT_STRONG_PHRASES, fromWords: config.AGENT_STRONG_FROM_WORDS },
    tools: { builtIn: config.AGENT_TOOLS, http: config.AGENT_HTTP_TOOLS },
    faq: config.AGENT_FAQ,
    keywords: config.AGENT_KEYWORDS,
    speculation: { ...defaultSpeculation, ahead: config.AGENT_SPECULATION },
    machineDetection: null,
    recording: config.RECORDING,
    recordingNotice: config.AGENT_RECORDING_NOTICE,
    redaction: config.TRANSCRIPT_REDACTION,
  };
}

const campaignAgents = new WeakMap<Config, CampaignAgents>();

/** The agent of a call, by the settings and by the database where it is to be asked. */
export function resolveAgent(config: Config, campaignId: string | null): Promise<AgentConfig> {
  const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key } = config;
  if (campaignId === null || !config.CAMPAIGNS_TABLE || url === undefined || key === undefined) {
    return agentFor(config, campaignId);
  }
  let ofConfig = campaignAgents.get(config);
  if (ofConfig === undefined) {
    ofConfig = new CampaignAgents({
      clock: systemClock,
      find: createFindCampaign({ url, key }),
      configured: (id) => agentFor(config, id),
      agentOf: (campaign) => agentOfCampaign(config, campaign),
      onFailure: (id, error) =>
        log('error', 'a campaign could not be looked up', {
          campaignId: personalId(id),
          error: describeError(error),
        }),
    });
    campaignAgents.set(config, ofConfig);
  }
  return ofConfig.agentFor(campaignId);
}
