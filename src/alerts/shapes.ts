import type { Notice } from './evaluate.ts';
import type { Webhook } from './webhooks.ts';

/**
 * What a webhook is sent, in its own form. `source` names the deployment. Nothing in it is anybody's: rules are of the whole deployment, and
 * the names of nodes, providers and deliveries are the operator's own.
 */
export function bodyOf(webhook: Webhook, notice: Notice, source: string): string {
  switch (webhook.shape) {
    case 'generic':
      return JSON.stringify(generic(notice, source));
    case 'slack':
      return JSON.stringify(slack(notice, source));
    case 'pagerduty':
      return JSON.stringify(pagerDuty(webhook.routingKey, notice, source));
  }
}

/** `type`, `timestamp` and `data` as Standard Webhooks recommends ("Payload structure"). */
function generic(notice: Notice, source: string) {
  const { kind, rule, severity, title, detail, value, threshold, unit, since, at } = notice;
  return {
    type: `alert.${kind}`,
    timestamp: iso(at),
    data: {
      /** The same from the first news of an alert to the last. */
      alert: `${rule}-${since}`,
      source,
      ...{ rule, severity, title, detail, value, threshold, unit },
      since: iso(since),
    },
  };
}

const marks = {
  critical: ':red_circle:',
  warning: ':large_yellow_circle:',
  resolved: ':large_green_circle:',
};

/**
 * `text` is what notifications show, `blocks` the message (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
 * A header has 150 characters at most, the text of a section 3,000 (https://docs.slack.dev/reference/block-kit/blocks/header-block).
 */
function slack(notice: Notice, source: string) {
  const { kind, rule, severity, title, detail, since, at } = notice;
  const mark = kind === 'resolved' ? marks.resolved : marks[severity];
  const now = { firing: severity, repeated: `still ${severity}`, resolved: 'over' }[kind];
  const header = cut(`${now}: ${title}`, 130);
  const lasted = kind === 'firing' ? '' : `, for ${duration(at - since)}`;
  return {
    text: escaped(`[${source}] ${header}`),
    blocks: [
      { type: 'header', text: { type: 'plain_text', emoji: true, text: `${mark} ${header}` } },
      { type: 'section', text: { type: 'mrkdwn', text: escaped(cut(detail, 2_000)) } },
      {
        type: 'context',
        elements: [{ type: 'mrkdwn', text: escaped(`${source} · ${rule} · since ${iso(since)}${lasted}`) }],
      },
    ],
  };
}

/**
 * An event of the Events API v2. The key by which PagerDuty takes events for one alert is that of the rule: a trigger while the alert is open
 * is added to it, and a repeat changes nothing (`reference/events-v2/openapiv3.json` of https://github.com/PagerDuty/api-schema;
 * lengths: https://developer.pagerduty.com/docs/send-alert-event).
 */
function pagerDuty(routingKey: string, notice: Notice, source: string) {
  const { kind, rule, severity, title, detail, value, threshold, unit, since } = notice;
  const event = { routing_key: routingKey, dedup_key: `${source}/${rule}` };
  if (kind === 'resolved') return { ...event, event_action: 'resolve' };
  return {
    ...event,
    event_action: 'trigger',
    client: 'AI Call Handler',
    payload: {
      summary: cut(`${title}: ${detail}`, 1_024),
      source,
      severity,
      timestamp: iso(since),
      component: 'ai-call-handler',
      class: rule,
      custom_details: { detail, value, threshold, unit },
    },
  };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** The three characters that mean something in Slack's texts (https://docs.slack.dev/messaging/formatting-message-text). */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function duration(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
