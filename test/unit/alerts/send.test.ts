import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import type { Notice } from '../../../src/alerts/evaluate.ts';
import { send } from '../../../src/alerts/send.ts';
import { webhooksSchema } from '../../../src/alerts/webhooks.ts';
import { systemClock } from '../../../src/call/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type Answer, body, HttpDouble, hang, refuse } from '../../support/http-double.ts';

const notice: Notice = {
  id: 'latency-1700000000000-firing',
  kind: 'firing',
  rule: 'latency',
  severity: 'warning',
  title: 'Callers wait longer than 2 s for an answer',
  detail: '2500 ms on the average over 40 answers of the last 5 minutes.',
  value: 2_500,
  threshold: 2_000,
  unit: 'ms',
  since: 1_700_000_000_000,
  at: 1_700_000_300_000,
};
const current = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const before = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;

let double: HttpDouble | null = null;
afterEach(async () => {
  await double?.close();
  double = null;
});

/** A webhook of ours whose receiver answers so. */
async function webhookAt(answer: Answer, secrets = [current]) {
  double = await HttpDouble.start();
  double.script('/hook', answer);
  const [webhook] = webhooksSchema.parse([{ shape: 'generic', url: `${double.baseUrl}/hook`, secrets }]);
  return webhook!;
}

describe('one attempt', () => {
  it.each<[what: string, answer: Answer, outcome: object]>([
    ['taken', body('', 'text/plain', 202), { outcome: 'delivered' }],
    ['not wanted like this', body('no', 'text/plain', 400), { outcome: 'refused' }],
    ['sent elsewhere', redirect(), { outcome: 'refused' }],
    ['gone', body('', 'text/plain', 410), { outcome: 'refused' }],
    ['failed', body('', 'text/plain', 500), { outcome: 'failed', afterMs: 0 }],
    ['cut off', refuse(), { outcome: 'failed', afterMs: 0 }],
    ['too many', busy('30'), { outcome: 'failed', afterMs: 30_000 }],
    ['too many, with nonsense', busy('soon'), { outcome: 'failed', afterMs: 0 }],
  ])('%s', async (_, answer, outcome) => {
    expect(await send(await webhookAt(answer), notice, 'calls', systemClock)).toEqual(outcome);
    expect(double?.requests).toHaveLength(1);
  });

  it('is given up after 15 s, whatever the receiver does', async () => {
    const webhook = await webhookAt(hang());
    const clock = new FakeClock();
    const sending = send(webhook, notice, 'calls', clock);
    const request = await double!.received(0);
    await clock.advance(15_000);
    expect(await sending).toEqual({ outcome: 'failed', afterMs: 0 });
    // And the connection is let go of.
    await request.gone;
  });

  it('is signed with both secrets while one is being replaced', async () => {
    const webhook = await webhookAt(body('', 'text/plain'), [current, before]);
    await send(webhook, notice, 'calls', systemClock);
    const { headers, body: sent } = await double!.received(0);
    for (const secret of [current, before]) {
      expect(new Webhook(secret).verify(sent.toString(), headers)).toMatchObject({ type: 'alert.firing' });
    }
    expect(headers).toMatchObject({ 'webhook-id': notice.id, 'content-type': 'application/json' });
  });
});

function busy(retryAfter: string): Answer {
  return (_, response) => {
    response.writeHead(429, { 'retry-after': retryAfter }).end();
  };
}

function redirect(): Answer {
  return (_, response) => {
    response.writeHead(307, { location: '/elsewhere' }).end();
  };
}
