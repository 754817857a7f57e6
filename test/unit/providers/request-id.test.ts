import { describe, expect, it } from 'vitest';
import { providerFailure } from '../../../src/call/provider-failure.ts';
import { answerDetails, requestIdOf } from '../../../src/providers/attempts.ts';
import { ProviderError } from '../../../src/providers/ports.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('a vendor’s id of a request', () => {
  it.each([
    ['OpenAI', 'x-request-id', 'req_0f3a5c77aa12b4c6d8e0f1a2b3c4d5e6'],
    ['Anthropic', 'request-id', 'req_011CSHoEeqs5C35K2UUqR7Fy'],
    ['Bedrock', 'x-amzn-RequestId', '7b2f0d5e-3c4d-4f7a-9c51-0d1e2f3a4b5c'],
    ['Deepgram', 'dg-request-id', 'a0857d97-e9b4-4f8e-b7a5-7c8f1d0e9b6a'],
    ['Cloudflare', 'cf-ray', '8f0c2d3e4a5b6c7d-FRA'],
  ])('is read from what %s answers: %s', (_, name, value) => {
    expect(requestIdOf(new Headers({ [name]: value }))).toEqual({ requestId: value });
    const headers = new Headers({ [name]: value, 'retry-after': '2' });
    expect(answerDetails(headers, new FakeClock())).toEqual({ requestId: value, retryAfterMs: 2_000 });
  });

  it.each(['', 'two words', 'x'.repeat(129), 'é'])('is left out where it is none: %j', (value) => {
    expect(requestIdOf({ get: () => value })).toEqual({});
  });

  it('stands with the failure that the call tells, also of an answer before the last attempt was given up', () => {
    const answered = new ProviderError('a/b', 'unavailable', 'down', { status: 503, requestId: 'req_1' });
    expect(providerFailure(answered)).toEqual({
      type: 'failure',
      code: 'PROVIDER_UNAVAILABLE',
      provider: 'a/b',
      message: 'down',
      requestId: 'req_1',
    });
    const givenUp = new ProviderError('a/b', 'timeout', 'too late', { cause: answered });
    expect(providerFailure(givenUp)).toMatchObject({ code: 'PROVIDER_TIMEOUT', requestId: 'req_1' });
    const unknown = new ProviderError('a/b', 'unavailable', 'no connection', { cause: new TypeError('x') });
    expect(providerFailure(unknown)).not.toHaveProperty('requestId');
  });
});
