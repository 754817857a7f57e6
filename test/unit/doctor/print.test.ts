import { describe, expect, it } from 'vitest';
import { providerSchema } from '../../../src/provider-settings.ts';
import {
  defaultModels,
  languageModelVendors,
  speechToSpeechVendors,
  speechToTextVendors,
  textToSpeechVendors,
} from '../../../src/providers/registry.ts';
import type { Examination, Row } from '../../../tools/doctor/examine.ts';
import { type Member, settingNames } from '../../../tools/doctor/members.ts';
import { findingLines, printable, rowLines, summaryLines } from '../../../tools/doctor/print.ts';

const row: Row = {
  title: 'text to speech',
  vendor: 'openai',
  model: 'tts-1',
  outcome: { result: 'ok', firstMs: 211.6, totalMs: 400.2, note: null },
  end: null,
};
const text = (part: Partial<Row>) => rowLines({ ...row, ...part }).join('\n');
const end = (days: number) => ({ date: '2027-01-06T00:00:00.000Z', days });

describe('a provider’s line', () => {
  it('tells the latency', () => {
    expect(text({})).toMatch(/text to speech +openai +tts-1 +ok, first 212 ms, all 400 ms$/);
  });

  it('warns of a model that ends within 90 days, or has ended', () => {
    expect(text({ end: end(91) })).not.toContain('2027');
    expect(text({ end: end(90) })).toContain('ends this model on 2027-01-06, in 90 days');
    expect(text({ end: end(1) })).toContain('in 1 day.');
    expect(text({ end: end(-1) })).toContain('ended this model on 2027-01-06');
  });

  it('warns of the end of a model that has failed, too', () => {
    const failed = { result: 'failed', failure: 'rejected', message: 'm', advice: 'a', afterMs: 1 } as const;
    expect(text({ outcome: failed, end: end(-1) })).toMatch(
      /FAILED after 1 ms: rejected\n +m\n +a\n +WARNING/,
    );
  });
});

describe('the summary', () => {
  const missing = { result: 'missing', settings: ['OPENAI_API_KEY'] } as const;
  const examination: Examination = {
    ok: false,
    missing: ['OPENAI_API_KEY'],
    unguarded: false,
    withoutEffect: [],
    sources: {},
    rows: [{ ...row, outcome: { ...missing, settings: [...missing.settings] } }],
    database: { result: 'ok', totalMs: 12, schema: null },
    findings: [],
  };

  it('takes what is stored with Cloudflare for there, and says that it was not tried', () => {
    const settings = ['SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY'];
    const there = summaryLines({ ...examination, missing: [], database: { result: 'missing', settings } });
    expect(there.join('\n')).toMatch(/database .*not tried\n.*gives them to nobody/);
    const half = summaryLines({
      ...examination,
      missing: settings.slice(1),
      database: { result: 'missing', settings },
    });
    expect(half.join('\n')).toContain('MISSING: SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY');
  });

  it('says what mends a finding', () => {
    const lines = findingLines({
      what: 'CACHE_KV',
      result: 'failed',
      says: 'not there',
      mend: 'npm run kv:create',
    });
    expect(lines).toEqual([
      expect.stringMatching(/CACHE_KV +FAILED: not there$/),
      '      To mend: npm run kv:create',
    ]);
  });

  it('warns where nobody has to prove who they are', () => {
    expect(summaryLines(examination).join('\n')).not.toContain('AUTH');
    expect(summaryLines({ ...examination, unguarded: true }).join('\n')).toContain('WARNING: AUTH is none');
  });

  it('says what to set where nothing is, and that nothing is needed to look around', () => {
    const lines = summaryLines(examination).join('\n');
    expect(lines).toContain('.dev.vars');
    expect(lines).toContain('`npm start` runs on embedded engines');
    expect(lines).toContain('Not everything is set up');
  });

  it('names what is missing where other providers work', () => {
    const lines = summaryLines({ ...examination, rows: [row, ...examination.rows] }).join('\n');
    expect(lines).toContain('Settings that are missing: OPENAI_API_KEY.');
    expect(lines).not.toContain('embedded');
  });

  it('warns of settings that do nothing', () => {
    const withoutEffect = [{ setting: 'TTS_FALLBACK_VOICE', because: 'there is no fall-back' }];
    expect(summaryLines({ ...examination, withoutEffect })).toContain(
      'WARNING: TTS_FALLBACK_VOICE has no effect: there is no fall-back.',
    );
  });

  it('says which settings a Worker would not see', () => {
    const sources = { 'the environment': ['OPENAI_API_KEY'] };
    expect(summaryLines({ ...examination, sources }).join('\n')).toContain('A Worker does not see');
  });
});

describe('what is printed', () => {
  const clean = printable({
    values: {
      OPENAI_API_KEY: 'sk-1234567\n',
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_BEARER_TOKEN_BEDROCK: 'bearer-1',
      AWS_SESSION_TOKEN: 'session-1',
      AGENT_HTTP_TOOL_SECRETS: 'whsec_one, whsec_two',
      AGENT_MAX_OUTPUT_TOKENS: '1000',
      LLM_MODEL: 'gpt-6-luna',
    },
    sources: new Map(),
  });

  it('holds no key, whatever a vendor repeats', () => {
    const said = 'sk-1234567 "sk-1234567\n" AKIDEXAMPLE bearer-1 session-1 whsec_two gpt-6-luna 1000 ms';
    expect(clean(said)).toBe('(hidden) "(hidden) " (hidden) (hidden) (hidden) (hidden) gpt-6-luna 1000 ms');
  });

  it('holds nothing that moves a terminal’s cursor', () => {
    expect(clean('a\u001b[2Jb\r\nc\u202ed')).toBe('a [2Jb c d');
  });
});

describe('the names of settings', () => {
  const members = Object.entries({
    speechToText: speechToTextVendors,
    languageModel: languageModelVendors,
    textToSpeech: textToSpeechVendors,
    speechToSpeech: speechToSpeechVendors,
  }).flatMap(([port, vendors]) => vendors.map((vendor) => ({ port, vendor })));
  const prefix = { speechToText: 'STT', languageModel: 'LLM', textToSpeech: 'TTS', speechToSpeech: 'S2S' };

  it.each(members)('of $vendor ($port) exist', ({ port, vendor }) => {
    const member = {
      port,
      title: '',
      prefixes: [prefix[port as keyof typeof prefix]],
      settings: {
        vendor,
        apiKey: '',
        aws: { region: '', credentials: { accessKeyId: '', secretAccessKey: '' } },
      },
      model: defaultModels[port as 'languageModel'][vendor as 'openai'],
    } as unknown as Member;
    const { keys, addresses, models, voices } = settingNames(member);
    // Workers AI has neither: it is a binding.
    const shared = vendor === 'workers-ai' ? [] : [...keys, ...addresses];
    for (const name of [...shared, ...models, ...voices]) expect(Object.keys(providerSchema)).toContain(name);
  });
});
