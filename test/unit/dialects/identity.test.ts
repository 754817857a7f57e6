import { describe, expect, it } from 'vitest';
import { type CallFacts, type Handshake, identify } from '../../../src/dialects/identity.ts';

const handshake = (more: Partial<Handshake> = {}): Handshake => ({
  callId: 'minted',
  callIdBound: false,
  query: new URLSearchParams(),
  headers: new Headers(),
  numbers: {
    '+15550199': { userId: 'shop', campaignId: 'spring' },
    '08047491899': { userId: 'office' },
  },
  holder: null,
  ...more,
});
const facts = (more: Partial<CallFacts> = {}): CallFacts => ({ ids: {}, parameters: {}, ...more });
const identified = (told: Partial<CallFacts>, request: Partial<Handshake> = {}) => {
  const who = identify('test', facts(told), handshake(request));
  if ('refusal' in who) throw new Error(who.refusal.message);
  return who;
};

describe('who calls', () => {
  it('is what the first message names, before the query, before the headers, before the number', () => {
    const query = new URLSearchParams('userId=in-query');
    const headers = new Headers({ 'X-User-Id': 'in-header' });
    const to = '+15550199';
    const users = [
      identified({ to, parameters: { user_id: 'in-message' } }, { query, headers }),
      identified({ to }, { query, headers }),
      identified({ to }, { headers }),
      identified({ to }),
    ].map(({ userId }) => userId);
    expect(users).toEqual(['in-message', 'in-query', 'in-header', 'shop']);
  });

  it('is the token’s holder where nobody is named, before the number', () => {
    const holder = { userId: 'me', campaignId: 'mine' };
    const who = identified({ to: '+15550199' }, { holder });
    expect([who.userId, who.metadata.campaignId]).toEqual(['me', 'mine']);
    const named = identified(
      { parameters: { userId: 'other' } },
      { holder: { ...holder, campaignId: null } },
    );
    expect([named.userId, named.metadata.campaignId]).toEqual(['other', undefined]);
    // A single-call token is for its campaign: who names its user alone still means that.
    const own = identified({ parameters: { userId: 'me' } }, { holder });
    expect([own.userId, own.metadata.campaignId]).toEqual(['me', 'mine']);
  });

  it.each(['userId', 'user_id', 'UserID', 'user-id', 'X-User-Id', 'X-PH-userId'])(
    'may be named %s, which is no parameter then',
    (name) => {
      const who = identified({ parameters: { [name]: 'me', other: 1 } });
      expect([who.userId, who.metadata]).toEqual(['me', { other: 1, carrier: { dialect: 'test' } }]);
    },
  );

  it.each(['+15550199', '15550199', '+1 (555) 0199', 'sip:+15550199@example.com;user=phone'])(
    'is found by the called number, written as %s',
    (to) => {
      const who = identified({ from: '+15550100', to });
      expect([who.userId, who.metadata.campaignId, who.metadata.phoneNumber]).toEqual([
        'shop',
        'spring',
        '+15550100',
      ]);
    },
  );

  it('is found in a URL whose plus nobody has escaped', () => {
    const query = new URLSearchParams('from=+15550100&to=+15550199');
    const { userId, metadata } = identified({}, { query });
    expect([userId, metadata.phoneNumber]).toEqual(['shop', '+15550100']);
  });

  it('is found by a number in national form, where it stands so in NUMBERS', () => {
    expect(identified({ to: '08047491899' }).userId).toBe('office');
  });

  it.each([
    [{ outbound: true }, ''],
    [{ parameters: { Direction: 'outbound-api' } }, ''],
    [{}, 'direction=outbound'],
  ])(
    'is found by the calling number in a call that we make, as %j %s says, whose party is the one called',
    (told, query) => {
      const numbers = { from: '+15550199', to: '+15550100' };
      const who = identified({ ...numbers, ...told }, { query: new URLSearchParams(query) });
      expect([who.userId, who.metadata.phoneNumber]).toEqual(['shop', '+15550100']);
    },
  );

  it.each([
    { outbound: false },
    { outbound: false, parameters: { direction: 'outbound' } },
    { parameters: { direction: 'inbound' } },
    // Most carriers do not tell.
    {},
  ])('is not found by the number that a caller shows, %j', (told) => {
    const shown = facts({ from: '+15550199', to: '+15550100', ...told });
    expect(identify('test', shown, handshake())).toMatchObject({ refusal: { code: 'UNAUTHORIZED' } });
  });

  it('is the one that is named first: what a caller shows may have got into the URL as it is', () => {
    const query = new URLSearchParams('userId=shop&campaignId=spring&from=1&userId=victim&campaignId=other');
    const { userId, metadata } = identified({}, { query });
    expect([userId, metadata.campaignId]).toEqual(['shop', 'spring']);
  });

  it('is not named by HTTP’s own headers', () => {
    const headers = new Headers({ From: '+15550199' });
    expect(identify('test', facts(), handshake({ headers }))).toMatchObject({
      refusal: { message: 'test: the leg names no userId, and no number either' },
    });
  });

  it('has not the number’s campaign where another user is named than the number’s', () => {
    const who = identified({ to: '+15550199', parameters: { userId: 'me' } });
    expect([who.userId, who.metadata.campaignId]).toEqual(['me', undefined]);
  });

  it.each([
    [{}, 'no number either'],
    [{ to: '+4930' }, 'a number that is not in NUMBERS'],
    [{ to: '__proto__' }, 'a number that is not in NUMBERS'],
    [{ parameters: { userId: 'u'.repeat(129) } }, 'no number either'],
    [{ parameters: { userId: { a: 1 } } }, 'no number either'],
  ])('is not known from %j: refused, saying why', (told, why) => {
    const who = identify('test', facts(told), handshake());
    expect(who).toEqual({
      refusal: { code: 'UNAUTHORIZED', message: `test: the leg names no userId, and ${why}` },
    });
  });
});

describe('the call’s id', () => {
  const user = { userId: 'u' };
  it('is the named one, else the one in the URL, else the carrier’s, else the minted one', () => {
    const bound = { callId: 'in-url', callIdBound: true };
    const ids = [
      identified({ carrierCallId: 'CA1', parameters: { ...user, callId: 'named' } }, bound),
      identified({ carrierCallId: 'CA1', parameters: user }, bound),
      identified({ carrierCallId: 'v3:a/b=', parameters: user }),
      identified({ parameters: user }),
    ].map(({ callId }) => callId);
    expect(ids).toEqual(['named', 'in-url', 'v3_a_b_', 'minted']);
  });

  it.each(['../x', '..', 'ä', 'x'.repeat(129)])('is refused where %j is named', (callId) => {
    const who = identify('test', facts({ parameters: { ...user, callId } }), handshake());
    expect(who).toMatchObject({ refusal: { code: 'BAD_MESSAGE' } });
  });
});

describe('parameters', () => {
  it('beyond 16 Ki characters refuse the call', () => {
    const parameters = { userId: 'u', a: 'x'.repeat(17_000) };
    expect(identify('test', facts({ parameters }), handshake())).toMatchObject({
      refusal: { code: 'BAD_MESSAGE' },
    });
  });

  it('cannot change what an object is', () => {
    const parameters = JSON.parse('{"userId":"u","__proto__":{"polluted":true}}') as Record<string, unknown>;
    const { metadata } = identified({ parameters });
    expect((metadata as { polluted?: boolean }).polluted).toBeUndefined();
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
  });
});
