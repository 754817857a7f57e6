import type { Clock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { describeError, log } from '../log.ts';
import { isTransientStatus, retryAfterMs } from '../providers/attempts.ts';
import { webhookHeaders } from '../tools/webhook-signature.ts';
import type { Notice } from './evaluate.ts';
import { bodyOf } from './shapes.ts';
import type { Webhook } from './webhooks.ts';

/** What came of one attempt. */
export type Sent =
  | { outcome: 'delivered' }
  /** May succeed another time; `afterMs` is how long the receiver asked to be left alone. */
  | { outcome: 'failed'; afterMs: number }
  /** The receiver does not want it like this: an address or a key is wrong, a channel is gone. */
  | { outcome: 'refused' };

/** Standard Webhooks: 15 to 30 s ("Request timeout"); whoever takes longer to say that it has an alert is asked again. */
const TIMEOUT_MS = 15_000;

/** One attempt to tell one webhook. Never rejects; says in the log what went wrong. */
export async function send(webhook: Webhook, notice: Notice, source: string, clock: Clock): Promise<Sent> {
  const fields = { webhook: webhook.name, rule: notice.rule, kind: notice.kind };
  try {
    const body = bodyOf(webhook, notice, source);
    const signed =
      webhook.secrets.length > 0 ? await webhookHeaders(notice.id, clock.now(), body, webhook.secrets) : {};
    const headers = { 'Content-Type': 'application/json', ...signed };
    const response = await within(clock, TIMEOUT_MS, async (signal) => {
      // Signed for this address, and for no other.
      const answer = await fetch(webhook.url, { method: 'POST', headers, body, redirect: 'manual', signal });
      await answer.body?.cancel();
      return answer;
    });
    if (response.ok) return { outcome: 'delivered' };
    const { status } = response;
    log('error', 'a webhook has not taken an alert', { ...fields, status });
    if (!isTransientStatus(status)) return { outcome: 'refused' };
    return { outcome: 'failed', afterMs: retryAfterMs(response.headers, clock) };
  } catch (error) {
    log('error', 'a webhook could not be reached', { ...fields, error: describeError(error) });
    return { outcome: 'failed', afterMs: 0 };
  }
}
