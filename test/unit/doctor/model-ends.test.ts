import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { providerSettings } from '../../../src/provider-settings.ts';
import { membersOf } from '../../../tools/doctor/members.ts';
import { endOf, ModelEnds } from '../../../tools/doctor/model-ends.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type Answer, body, hang, json, OpenAiDouble, refuse, status } from '../../support/openai-double.ts';

const now = Date.parse('2026-11-21T15:00:00Z');
let double: OpenAiDouble;
let clock: FakeClock;
beforeEach(async () => {
  double = await OpenAiDouble.start();
  clock = new FakeClock(now);
});
afterEach(async () => {
  expect(clock.pending).toBe(0);
  await double.close();
});

function ask(answer: Answer) {
  double.script('/models', answer);
  const config = loadConfig({ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: double.baseUrl, STT_MODEL: 'whisper-1' });
  const [hearing] = membersOf(providerSettings(config));
  return new ModelEnds(clock, new AbortController().signal).of(hearing!);
}
const listed = (shutdown_date?: string | null) =>
  json({
    object: 'list',
    data: [
      { id: 'other', shutdown_date: '2026-12-01' },
      { id: 'whisper-1', shutdown_date },
    ],
  });

describe('a model’s end', () => {
  it('is the date that its vendor tells', async () => {
    expect(await ask(listed('2027-02-26'))).toEqual({ date: '2027-02-26T00:00:00.000Z', days: 97 });
    expect(double.requests[0]).toMatchObject({ method: 'GET', headers: { authorization: 'Bearer k' } });
  });

  it.each([
    ['is not announced', listed(null)],
    ['is left out', listed()],
    ['is no date', listed('soon')],
    ['is of another kind', json({ data: [{ id: 'whisper-1', shutdown_date: 1 }] })],
    ['of a model that is not listed', json({ data: [] })],
    ['of a server without a list', status(404)],
    ['of a key that may not list', status(403)],
    ['of a server that answers with a page', body('<html>', 'text/html')],
    ['of a broken line', refuse()],
  ])('is none where it %s', async (_, answer) => {
    expect(await ask(answer)).toBeNull();
    expect(double.requests).toHaveLength(1);
  });

  it('is not waited for beyond five seconds', async () => {
    const asking = ask(hang());
    await double.received(0);
    await clock.advance(5_000);
    expect(await asking).toBeNull();
  });

  it.each([
    ['2026-11-21', 0],
    ['2026-11-22', 1],
    ['2026-11-22T23:59:00Z', 1],
    ['2026-11-20', -1],
    ['2027-01-06', 46],
  ])('on %s is %i days away', (told, days) => {
    expect(endOf(told, now)?.days).toBe(days);
  });
});
