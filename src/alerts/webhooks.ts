import { z } from 'zod';
import { isWebhookSecret } from '../tools/webhook-signature.ts';

/** PagerDuty's own; accounts in its European region have `https://events.eu.pagerduty.com/v2/enqueue`. */
const PAGERDUTY = 'https://events.pagerduty.com/v2/enqueue';

const name = z.string().regex(/^[a-z0-9-]{1,40}$/, '1 to 40 of a-z 0-9 -');
const address = z
  .string()
  .max(2_048)
  .superRefine((url, context) => {
    const problem = problemOfUrl(url);
    if (problem !== null) context.addIssue(problem);
  });
/** `whsec_…`: the current one, and the one before it while it is being replaced. */
const secrets = z
  .string()
  .refine(isWebhookSecret, 'must be whsec_ and base64 of 24 to 64 bytes')
  .array()
  .max(2);
const severities = z.enum(['critical', 'warning']).array().min(1).max(2).default(['critical', 'warning']);

/** Where alerts are sent, and in which form. With `secrets` requests of any form are signed as Standard Webhooks has it. */
const webhookSchema = z.discriminatedUnion('shape', [
  /** JSON of our own. Nothing else tells the receiver whom it is from. */
  z.strictObject({
    shape: z.literal('generic'),
    name: name.default('generic'),
    url: address,
    secrets: secrets.min(1),
    severities,
  }),
  /** A Slack incoming webhook, whose address is its secret. */
  z.strictObject({
    shape: z.literal('slack'),
    name: name.default('slack'),
    url: address,
    secrets: secrets.default([]),
    severities,
  }),
  /** A service with an integration "Events API v2", whose key is the secret. */
  z.strictObject({
    shape: z.literal('pagerduty'),
    name: name.default('pagerduty'),
    url: address.default(PAGERDUTY),
    secrets: secrets.default([]),
    routingKey: z.string().regex(/^[A-Za-z0-9]{32}$/, 'must be the 32 characters of an integration key'),
    severities,
  }),
]);
export type Webhook = z.output<typeof webhookSchema>;

export const webhooksSchema = z
  .array(webhookSchema)
  .max(10)
  .refine((webhooks) => new Set(webhooks.map((webhook) => webhook.name)).size === webhooks.length, {
    error: 'two webhooks have one name',
  });

/** Null: alerts may go there. Nobody else reads them on the way. */
function problemOfUrl(text: string): string | null {
  const url = URL.parse(text);
  if (url === null) return 'is no URL';
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback)) {
    return 'must begin with https:// (http:// is for this machine only)';
  }
  if (url.username !== '' || url.password !== '') return 'must not hold a user or a password';
  return null;
}
