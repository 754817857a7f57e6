import { describe, expect, it } from 'vitest';
import { agentFor, agentOfCampaign } from '../../../src/agents.ts';
import { loadConfig } from '../../../src/config.ts';
import { type Campaign, CampaignAgents, createFindCampaign } from '../../../src/records/campaigns.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const config = loadConfig({
  AGENT_GREETING: 'The default greeting.',
  CAMPAIGNS: JSON.stringify({ survey: { greeting: 'By the settings.', recording: false } }),
});

/** Agents over a database that answers as `find` says, which may be changed. */
function campaignAgents(find: (campaignId: string) => Promise<Campaign | null>) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const failures: string[] = [];
  const database = { find };
  const agents = new CampaignAgents({
    clock,
    find: (campaignId) => {
      asked.push(campaignId);
      return database.find(campaignId);
    },
    configured: (campaignId) => agentFor(config, campaignId),
    agentOf: (campaign) => agentOfCampaign(config, campaign),
    onFailure: (campaignId, error) => failures.push(`${campaignId}: ${(error as Error).message}`),
  });
  return { agents, clock, asked, failures, database };
}

const survey = (settings: Campaign['settings'] = {}): Campaign => ({ id: 'survey', owner: 'a', settings });

describe('the agent of a campaign', () => {
  it('has what the database says, before the settings, before the default agent', async () => {
    const { agents } = campaignAgents(async () => survey({ greeting: 'By the row.', voice: 'nova' }));
    const agent = await agents.agentFor('survey');
    expect(agent).toMatchObject({
      owner: 'a',
      greeting: 'By the row.',
      voice: 'nova',
      recording: false,
      prompt: config.AGENT_PROMPT,
    });
    const configured = await agentFor(config, 'survey');
    expect(configured).toMatchObject({ owner: null, greeting: 'By the settings.' });
    expect(agent.version).not.toBe(configured.version);
  });

  it('is asked for once a minute', async () => {
    const { agents, clock, asked, database } = campaignAgents(async () => survey({ greeting: 'Before.' }));
    await agents.agentFor('survey');
    database.find = async () => survey({ greeting: 'After.' });
    await clock.advance(59_999);
    expect((await agents.agentFor('survey')).greeting).toBe('Before.');
    await clock.advance(1);
    expect((await agents.agentFor('survey')).greeting).toBe('After.');
    expect(asked).toEqual(['survey', 'survey']);
  });

  it('is the configured one where there is no row, which is remembered as well', async () => {
    const { agents, asked } = campaignAgents(async () => null);
    expect((await agents.agentFor('unknown')).greeting).toBe('The default greeting.');
    await agents.agentFor('unknown');
    expect(asked).toEqual(['unknown']);
  });
});

describe('where the database does not answer', () => {
  it('is the configured agent, at once for the next calls, and asks again after ten seconds', async () => {
    const { agents, clock, asked, failures, database } = campaignAgents(() => new Promise(() => {}));
    const first = agents.agentFor('survey');
    await clock.advance(2_000);
    expect((await first).greeting).toBe('By the settings.');
    expect((await agents.agentFor('survey')).greeting).toBe('By the settings.');
    expect(asked).toHaveLength(1);
    expect(failures).toEqual(['survey: no answer within 2000 ms']);
    database.find = async () => survey({ greeting: 'By the row.' });
    await clock.advance(10_000);
    expect((await agents.agentFor('survey')).greeting).toBe('By the row.');
  });

  it('is the agent that was found last', async () => {
    const { agents, clock, failures, database } = campaignAgents(async () => survey({ greeting: 'Kept.' }));
    await agents.agentFor('survey');
    database.find = () => Promise.reject(new Error('down'));
    for (const wait of [60_000, 10_000, 10_000]) {
      await clock.advance(wait);
      expect(await agents.agentFor('survey')).toMatchObject({ greeting: 'Kept.', owner: 'a' });
    }
    expect(failures).toHaveLength(3);
  });
});

describe('two calls of a campaign at once', () => {
  it('have what was found, though the other one’s question is answered too late', async () => {
    const { agents, clock, database } = campaignAgents(() => new Promise(() => {}));
    const slow = agents.agentFor('survey');
    database.find = async () => survey({ greeting: 'By the row.' });
    await clock.advance(1_000);
    await agents.agentFor('survey');
    await clock.advance(1_000);
    expect(await slow, 'it gave up, and the row is known').toMatchObject({
      greeting: 'By the row.',
      owner: 'a',
    });
    database.find = () => Promise.reject(new Error('down'));
    expect(await agents.agentFor('survey'), 'the next one').toMatchObject({ greeting: 'By the row.' });
  });
});

describe('what comes from outside', () => {
  it('is not asked for where no row can have such an id', async () => {
    const { agents, asked } = campaignAgents(async () => survey());
    for (const id of ['x'.repeat(129), 'a\u0000b', '\ud800']) await agents.agentFor(id);
    expect(asked).toEqual([]);
  });

  it.each([
    ['are nowhere', null],
    ['are all there', survey()],
  ])('fills no memory: of campaigns that %s a thousand are kept', async (_where, campaign) => {
    const { agents, asked } = campaignAgents(async () => campaign);
    for (let index = 0; index <= 1_000; index++) await agents.agentFor(`campaign-${index}`);
    await agents.agentFor('campaign-1');
    expect(asked).toHaveLength(1_001);
    await agents.agentFor('campaign-0');
    expect(asked, 'the oldest one went').toHaveLength(1_002);
  });

  it('drives out no campaign that was found', async () => {
    const { agents, clock, database } = campaignAgents(async (id) =>
      id === 'survey' ? survey({ greeting: 'By the row.' }) : null,
    );
    await agents.agentFor('survey');
    for (let index = 0; index < 2_000; index++) await agents.agentFor(`made-up-${index}`);
    database.find = () => Promise.reject(new Error('down'));
    await clock.advance(60_000);
    expect(await agents.agentFor('survey')).toMatchObject({ greeting: 'By the row.', owner: 'a' });
  });

  it.each([
    ['a key that is none', { colour: 'red' }],
    ['a language that is none', { language: `en${'-aa'.repeat(8)}` }],
    ['a recording that is neither on nor off', { recording: 'perhaps' }],
    ['a prompt without end', { prompt: 'x'.repeat(20_001) }],
  ])('is refused in the row: %s', async (_what, agent) => {
    const find = createFindCampaign({
      url: 'http://supabase.invalid',
      key: 'sb_secret_test',
      fetch: async () => Response.json([{ id: 'survey', user_id: 'a', agent }]),
    });
    await expect(find('survey', new AbortController().signal)).rejects.toMatchObject({
      name: 'RecordsError',
      retryable: false,
      message: expect.stringMatching(/^campaign: agent/),
    });
  });
});
