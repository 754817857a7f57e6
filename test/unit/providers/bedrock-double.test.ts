import {
  AccessDeniedException,
  BedrockRuntimeClient,
  InvokeModelWithResponseStreamCommand,
  ThrottlingException,
} from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { message } from '../../support/anthropic-double.ts';
import {
  apiKey,
  authorised,
  BedrockDouble,
  chunks,
  credentials,
  exception,
  exceptionMessage,
  jsonOf,
  messages,
  region,
} from '../../support/bedrock-double.ts';

const modelId = 'anthropic.claude-haiku-4-5-20251001-v1:0';
const path = `/model/${encodeURIComponent(modelId)}/invoke-with-response-stream`;
const body = { anthropic_version: 'bedrock-2023-05-31', max_tokens: 50, messages: [] };

let double: BedrockDouble;
beforeEach(async () => {
  double = await BedrockDouble.start();
});
afterEach(() => double.close());

function client(settings: Partial<ConstructorParameters<typeof BedrockRuntimeClient>[0]> = {}) {
  return new BedrockRuntimeClient({
    region,
    credentials,
    endpoint: double.baseUrl,
    maxAttempts: 1,
    // The client's own speaks HTTP/2 alone, for its bidirectional streams.
    requestHandler: new NodeHttpHandler(),
    ...settings,
  });
}

async function invoke(bedrock = client()): Promise<unknown[]> {
  const answer = await bedrock.send(
    new InvokeModelWithResponseStreamCommand({
      modelId,
      contentType: 'application/json',
      body: JSON.stringify(body),
    }),
  );
  const events: unknown[] = [];
  for await (const item of answer.body ?? []) {
    if (item.chunk?.bytes === undefined) throw new Error(`no chunk: ${Object.keys(item)}`);
    events.push(JSON.parse(new TextDecoder().decode(item.chunk.bytes)));
  }
  return events;
}

const reply = message({ texts: ['Hel', 'lo.'] });

describe('the Bedrock double, driven by the official client', () => {
  it('takes its signature, and streams chunks that it understands', async () => {
    double.script(path, authorised(messages(chunks(reply)), Date.now));
    const events = await invoke();
    expect(events).toMatchObject(reply.filter((event) => event.type !== 'ping'));
    expect(jsonOf(double.requests[0]!)).toEqual(body);
    expect(double.unexpected).toEqual([]);
  });

  it('takes its API key', async () => {
    double.script(path, authorised(messages(chunks(reply)), Date.now));
    const bearer = client({ token: { token: apiKey }, authSchemePreference: ['httpBearerAuth'] });
    expect(await invoke(bearer)).toHaveLength(chunks(reply).length);
    expect(double.requests[0]!.headers.authorization).toBe(`Bearer ${apiKey}`);
  });

  it.each([
    ['secret', { credentials: { ...credentials, secretAccessKey: 'other' } }],
    ['key', { credentials: { ...credentials, accessKeyId: 'AKIDOTHER' } }],
    ['session', { credentials: { ...credentials, sessionToken: 'other' } }],
    ['region', { region: 'us-east-1' }],
  ])('refuses its signature with another %s', async (_, settings) => {
    double.script(path, authorised(messages(chunks(reply)), Date.now));
    await expect(invoke(client(settings))).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  });

  it('refuses an old signature', async () => {
    double.script(
      path,
      authorised(messages(chunks(reply)), () => Date.now() + 301_000),
    );
    await expect(invoke()).rejects.toMatchObject({ name: 'InvalidSignatureException' });
  });

  it('fails as Bedrock does, with a status and in the middle of a stream', async () => {
    double.script(
      path,
      exception(429, 'ThrottlingException'),
      exception(403, 'AccessDeniedException'),
      messages([...chunks(reply).slice(0, 3), exceptionMessage('throttlingException', 'slow down')]),
    );
    await expect(invoke()).rejects.toThrow(ThrottlingException);
    await expect(invoke()).rejects.toThrow(AccessDeniedException);
    await expect(invoke()).rejects.toMatchObject({ name: 'ThrottlingException', message: 'slow down' });
  });
});
