import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { isWebhookSecret, webhookHeaders } from '../../../src/tools/webhook-signature.ts';

const secretOf = (bytes: number, fill: number) => `whsec_${Buffer.alloc(bytes, fill).toString('base64')}`;
const current = secretOf(24, 1);
const previous = secretOf(64, 2);
const body = '{"tool":"book","arguments":{"name":"Zoë 🙂"}}';

describe('a signed request', () => {
  it("is accepted by the standard's own library, with either secret while one is being replaced", async () => {
    const headers = await webhookHeaders('tool_1', Date.now(), body, [current, previous]);
    expect(new Webhook(current).verify(body, headers)).toEqual(JSON.parse(body));
    expect(new Webhook(previous).verify(body, headers)).toEqual(JSON.parse(body));
  });

  it('is refused by it if anything of it was changed', async () => {
    const headers = await webhookHeaders('tool_1', Date.now(), body, [current]);
    const webhook = new Webhook(current);
    expect(() => webhook.verify(`${body} `, headers)).toThrow('No matching signature');
    expect(() => webhook.verify(body, { ...headers, 'webhook-id': 'tool_2' })).toThrow(
      'No matching signature',
    );
    const later = String(Number(headers['webhook-timestamp']) + 1);
    expect(() => webhook.verify(body, { ...headers, 'webhook-timestamp': later })).toThrow(
      'No matching signature',
    );
    expect(() => new Webhook(previous).verify(body, headers)).toThrow('No matching signature');
  });

  it('is the same as the one that the library makes', async () => {
    const at = 1_674_087_231_999;
    const headers = await webhookHeaders('msg_1', at, body, [current]);
    expect(headers).toEqual({
      'webhook-id': 'msg_1',
      'webhook-timestamp': '1674087231',
      'webhook-signature': new Webhook(current).sign('msg_1', new Date(at), body),
    });
  });

  it.each(['', 'secret', 'whsec_', 'whsec_!!!!', secretOf(23, 1), secretOf(65, 1), secretOf(24, 1).slice(6)])(
    'is not signed with a secret that is none: %j',
    async (secret) => {
      expect(isWebhookSecret(secret)).toBe(false);
      await expect(webhookHeaders('tool_1', 0, body, [secret])).rejects.toThrow(TypeError);
    },
  );
});
