import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Notice } from '../../../src/alerts/evaluate.ts';
import { bodyOf } from '../../../src/alerts/shapes.ts';
import { type Webhook, webhooksSchema } from '../../../src/alerts/webhooks.ts';

const SINCE = Date.UTC(2026, 10, 21, 12, 0, 0);
const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
const routingKey = '0123456789abcdef0123456789abcdef';

const notice: Notice = {
  id: `provider-failures-${SINCE}-firing`,
  kind: 'firing',
  rule: 'provider-failures',
  severity: 'critical',
  title: 'Providers fail more than 10 times a minute',
  detail: '12 requests failed in the last minute, after all retries (a<b>&c: 12).',
  value: 12,
  threshold: 10,
  unit: 'per minute',
  since: SINCE,
  at: SINCE + 60_000,
};
const resolved: Notice = {
  ...notice,
  kind: 'resolved',
  detail: '0 requests failed.',
  value: 0,
  at: SINCE + 7 * 60_000,
};

const [generic, slack, pagerDuty] = webhooksSchema.parse([
  { shape: 'generic', url: 'https://alerts.example/hook', secrets: [secret] },
  { shape: 'slack', url: 'https://hooks.slack.com/services/T0/B0/x' },
  { shape: 'pagerduty', routingKey },
]) as [Webhook, Webhook, Webhook];

const sent = (webhook: Webhook, of: Notice) => JSON.parse(bodyOf(webhook, of, 'calls-eu'));

/** Block Kit, so far as it is used: https://docs.slack.dev/reference/block-kit/blocks. */
const plainText = z.strictObject({
  type: z.literal('plain_text'),
  text: z.string().min(1).max(150),
  emoji: z.boolean(),
});
const markdown = z.strictObject({ type: z.literal('mrkdwn'), text: z.string().min(1).max(3_000) });
const slackMessage = z.strictObject({
  text: z.string().min(1),
  blocks: z
    .array(
      z.discriminatedUnion('type', [
        z.strictObject({ type: z.literal('header'), text: plainText }),
        z.strictObject({ type: z.literal('section'), text: markdown }),
        z.strictObject({ type: z.literal('context'), elements: z.array(markdown).min(1).max(10) }),
      ]),
    )
    .max(50),
});

/** The request body of `createV2Event` in PagerDuty's `reference/events-v2/openapiv3.json`; lengths as its reference says. */
const pagerDutyEvent = z.strictObject({
  routing_key: z.string().length(32),
  event_action: z.enum(['trigger', 'acknowledge', 'resolve']),
  dedup_key: z.string().min(1).max(255),
  client: z.string().optional(),
  payload: z
    .strictObject({
      summary: z.string().min(1).max(1_024),
      timestamp: z.iso.datetime(),
      severity: z.enum(['critical', 'warning', 'error', 'info']),
      source: z.string().min(1),
      component: z.string(),
      class: z.string(),
      custom_details: z.record(z.string(), z.unknown()),
    })
    .optional(),
});

describe('the generic form', () => {
  it('is a type, a time and the data, as Standard Webhooks recommends', () => {
    expect(sent(generic, notice)).toEqual({
      type: 'alert.firing',
      timestamp: '2026-11-21T12:01:00.000Z',
      data: {
        alert: `provider-failures-${SINCE}`,
        source: 'calls-eu',
        rule: 'provider-failures',
        severity: 'critical',
        title: notice.title,
        detail: notice.detail,
        value: 12,
        threshold: 10,
        unit: 'per minute',
        since: '2026-11-21T12:00:00.000Z',
      },
    });
  });

  it('names an alert’s end as it named its beginning', () => {
    const end = sent(generic, resolved);
    expect(end).toMatchObject({ type: 'alert.resolved', timestamp: '2026-11-21T12:07:00.000Z' });
    expect(end.data.alert).toBe(sent(generic, notice).data.alert);
  });
});

describe('Slack’s form', () => {
  it('is a message of blocks, with a text for notifications', () => {
    const message = slackMessage.parse(sent(slack, notice));
    expect(message.text).toBe('[calls-eu] critical: Providers fail more than 10 times a minute');
    expect(JSON.stringify(message.blocks)).toContain(':red_circle: critical: Providers fail');
  });

  it('escapes what means something in it', () => {
    const [, section] = slackMessage.parse(sent(slack, notice)).blocks;
    expect(section).toMatchObject({ text: { text: expect.stringContaining('(a&lt;b&gt;&amp;c: 12)') } });
  });

  it('says how long it went on, and when it is over', () => {
    const message = JSON.stringify(slackMessage.parse(sent(slack, resolved)));
    expect(message).toContain(':large_green_circle: over: Providers fail');
    expect(message).toContain('for 7 min');
    const days = { ...notice, kind: 'repeated' as const, at: SINCE + 50 * 3_600_000 };
    expect(JSON.stringify(sent(slack, days))).toContain('still critical: ');
    expect(JSON.stringify(sent(slack, days))).toContain('for 50 h');
  });

  it('keeps to the lengths that Slack takes', () => {
    const long = { ...notice, title: 'x'.repeat(500), detail: 'y'.repeat(9_000) };
    expect(() => slackMessage.parse(sent(slack, long))).not.toThrow();
  });
});

describe('PagerDuty’s form', () => {
  it('triggers and resolves under one key', () => {
    const trigger = pagerDutyEvent.parse(sent(pagerDuty, notice));
    expect(trigger).toMatchObject({
      routing_key: routingKey,
      event_action: 'trigger',
      dedup_key: 'calls-eu/provider-failures',
      payload: { severity: 'critical', source: 'calls-eu', class: 'provider-failures' },
    });
    const resolve = pagerDutyEvent.parse(sent(pagerDuty, resolved));
    expect(resolve).toEqual({
      routing_key: routingKey,
      event_action: 'resolve',
      dedup_key: 'calls-eu/provider-failures',
    });
  });

  it('adds a reminder to the alert that is open', () => {
    const again = pagerDutyEvent.parse(sent(pagerDuty, { ...notice, kind: 'repeated' }));
    expect(again).toMatchObject({ event_action: 'trigger', dedup_key: 'calls-eu/provider-failures' });
  });

  it('keeps to the lengths that PagerDuty takes', () => {
    const long = { ...notice, detail: 'y'.repeat(9_000) };
    expect(() => pagerDutyEvent.parse(sent(pagerDuty, long))).not.toThrow();
  });
});

describe('the setting', () => {
  const refused = (entry: unknown) => webhooksSchema.safeParse([entry]).error?.issues[0]?.message;

  it.each<[what: string, entry: object, why: RegExp]>([
    ['an address that others read', { shape: 'slack', url: 'http://hooks.example/x' }, /https/],
    ['an address with a password', { shape: 'slack', url: 'https://a:b@hooks.example/x' }, /password/],
    ['no address', { shape: 'slack', url: 'hooks' }, /no URL/],
    ['a form that there is not', { shape: 'teams', url: 'https://a.example' }, /./],
    ['a generic one that signs nothing', { shape: 'generic', url: 'https://a.example', secrets: [] }, /./],
    ['a secret that is none', { shape: 'generic', url: 'https://a.example', secrets: ['s'] }, /whsec_/],
    ['a key that is none', { shape: 'pagerduty', routingKey: 'k' }, /32 characters/],
    [
      'a name for the log with a line break',
      { shape: 'slack', url: 'https://a.example', name: 'a\nb' },
      /a-z/,
    ],
    ['what it does not know', { shape: 'slack', url: 'https://a.example', colour: 'red' }, /./],
  ])('refuses %s', (_, entry, why) => {
    expect(refused(entry)).toMatch(why);
  });

  it('tells webhooks apart by their names', () => {
    const two = { shape: 'slack', url: 'https://hooks.example/x' };
    expect(webhooksSchema.safeParse([two, two]).error?.issues[0]?.message).toBe('two webhooks have one name');
    expect(webhooksSchema.safeParse([two, { ...two, name: 'ops' }]).success).toBe(true);
  });

  it('allows this machine without TLS, and PagerDuty’s address by itself', () => {
    expect(refused({ shape: 'slack', url: 'http://127.0.0.1:9/x' })).toBeUndefined();
    expect(pagerDuty.url).toBe('https://events.pagerduty.com/v2/enqueue');
  });
});
