import { describe, expect, it, vi } from 'vitest';
import type { StartedCallFacts } from '../../../src/call/events.ts';
import { loadConfig, missingSettings } from '../../../src/config.ts';
import {
  storedCall,
  storedTransfers,
  transcriptToStore,
  turnsToStore,
} from '../../../src/durable/stored-call.ts';
import { redactionKinds } from '../../../src/privacy/kinds.ts';
import { hashNumber } from '../../../src/privacy/number-hash.ts';
import type { RecordedTurn } from '../../../src/records/call-records.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const call: StartedCallFacts = {
  callId: 'a',
  userId: 'user-1',
  campaignId: null,
  phoneNumber: '+4930901820',
  startTime: 0,
  metadata: { phoneNumber: '+4930901820', order: 7 },
  sampleRate: 8000,
  recording: false,
  chunkSamples: 16_000,
  redaction: redactionKinds,
};
const key = 'k'.repeat(32);
const config = loadConfig({});
const never = new AbortController().signal;

function said(...texts: string[]): RecordedTurn[] {
  return texts.map((text, position) => ({
    position,
    role: position % 2 === 0 ? 'caller' : 'agent',
    text,
    startMs: position,
    endMs: position + 1,
    interrupted: false,
    latency: null,
  }));
}

describe("the caller's number", () => {
  it('is stored as it came, masked, or as a hash', async () => {
    const stored = (settings: object) => storedCall(call, loadConfig(settings));
    expect(await stored({})).toBe(call);
    expect(await stored({ STORED_PHONE_NUMBERS: 'masked' })).toEqual({
      ...call,
      phoneNumber: '+49…20',
      metadata: { phoneNumber: '+49…20', order: 7 },
    });
    const { phoneNumber, metadata } = await stored({
      STORED_PHONE_NUMBERS: 'hashed',
      PERSONAL_DATA_KEY: key,
    });
    expect(phoneNumber).toMatch(/^hmac:[\w-]{43}$/);
    expect(metadata).toEqual({ phoneNumber, order: 7 });
  });

  it('of whoever a caller was connected to is stored likewise; a name at a host is not one', async () => {
    const attempt = {
      at: 0,
      ringingAt: null,
      endedAt: 1,
      outcome: 'busy',
      cause: null,
      sipStatus: 486,
    } as const;
    const to = ['+493012345678', 'sip:+493012345678@trunk.example', 'sip:sales@example.com'];
    const stored = async (settings: object) => {
      const attempts = to.map((each) => ({ ...attempt, to: each }));
      return (await storedTransfers(attempts, loadConfig(settings))).map((each) => each.to);
    };
    expect(await stored({})).toEqual(to);
    expect(await stored({ STORED_PHONE_NUMBERS: 'masked' })).toEqual([
      '+49…78',
      'sip:+49…78@trunk.example',
      'sip:sales@example.com',
    ]);
    const hash = await hashNumber(key, '+493012345678');
    expect(await stored({ STORED_PHONE_NUMBERS: 'hashed', PERSONAL_DATA_KEY: key })).toEqual([
      hash,
      `sip:${hash}@trunk.example`,
      'sip:sales@example.com',
    ]);
  });

  it('is nowhere in the metadata of a carrier either, however it is written there', async () => {
    const ofCarrier: StartedCallFacts = {
      ...call,
      metadata: {
        ...call.metadata,
        from: '004930901820',
        to: '+498912345678',
        sip: { header: ['Anna <sip:+49-30-90 18 20@example.com>'], callerid: 4930901820 },
        carrier: { dialect: 'telnyx', callId: 'v3:a1' },
      },
    };
    for (const how of [
      { STORED_PHONE_NUMBERS: 'hashed', PERSONAL_DATA_KEY: key },
      { STORED_PHONE_NUMBERS: 'masked' },
    ]) {
      const { phoneNumber, metadata } = await storedCall(ofCarrier, loadConfig(how));
      expect(metadata).toEqual({
        phoneNumber,
        order: 7,
        from: phoneNumber,
        to: '+498912345678',
        sip: { header: [phoneNumber], callerid: phoneNumber },
        carrier: { dialect: 'telnyx', callId: 'v3:a1' },
      });
    }
  });

  it('is the one that the carrier shows as well, where the operator has named another', async () => {
    const metadata = { phoneNumber: '+4930901820', from: '+498912345678' };
    const stored = await storedCall(
      { ...call, metadata },
      loadConfig({ STORED_PHONE_NUMBERS: 'hashed', PERSONAL_DATA_KEY: key }),
    );
    expect(stored.metadata.from).toBe(await hashNumber(key, '+498912345678'));
  });

  it('has one hash however it is written, and another one under another key', async () => {
    const hash = await hashNumber(key, '+4930901820');
    for (const same of ['+49 30 901820', '004930901820', '+49 (30) 90-18-20'])
      expect(await hashNumber(key, same)).toBe(hash);
    expect(await hashNumber(key, '+4930901821')).not.toBe(hash);
    expect(await hashNumber(`${key}k`, '+4930901820')).not.toBe(hash);
    // RFC 2104 by another implementation: `printf 'phone:+4930901820' | openssl dgst -sha256 -hmac $(printf 'k%.0s' {1..32}) -binary | base64`.
    expect(hash).toBe('hmac:KemVm47UzCkIQ0vKN0nL_MH8ri7fZKSD8VognJ_qOgc');
  });

  it('keeps calls from beginning where it is to be hashed without a key', () => {
    expect(missingSettings(loadConfig({ STORED_PHONE_NUMBERS: 'hashed' }))).toContain('PERSONAL_DATA_KEY');
    expect(() => loadConfig({ PERSONAL_DATA_KEY: 'short' })).toThrow(/PERSONAL_DATA_KEY/);
  });
});

describe('TRANSCRIPT_REDACTION', () => {
  it.each<[string, readonly string[]]>([
    ['', []],
    ['none', []],
    ['card', ['card']],
    ['card, email,phone,identity', ['card', 'email', 'phone', 'identity']],
  ])('%s', (setting, kinds) => {
    expect(loadConfig({ TRANSCRIPT_REDACTION: setting }).TRANSCRIPT_REDACTION).toEqual(kinds);
  });

  it('has no other kinds', () => {
    expect(() => loadConfig({ TRANSCRIPT_REDACTION: 'cards' })).toThrow(/TRANSCRIPT_REDACTION/);
  });
});

describe('the transcript of a call in progress', () => {
  const turns = said(
    'It is four one one one',
    'Go on.',
    '1111 1111 1111.',
    'Thank you.',
    'And my mail is a@b.example',
  );

  it('waits for the rest of a number, and has none of it then', () => {
    const written = (count: number, from = 0) =>
      turnsToStore({ call, turns: turns.slice(0, count), failures: [], language: null }, from, config).map(
        ({ position, text }) => `${position} ${text}`,
      );
    expect(written(1)).toEqual([]);
    expect(written(3)).toEqual([]);
    // It could still go on.
    expect(written(4)).toEqual([]);
    expect(written(5)).toEqual([
      '0 It is [card]',
      '1 Go on.',
      '2 [card].',
      '3 Thank you.',
      '4 And my mail is [email]',
    ]);
    expect(written(5, 3)).toEqual(['3 Thank you.', '4 And my mail is [email]']);
  });

  it('is stored as it was said where its agent does not mind, or it began under an older version', () => {
    for (const redaction of [[], undefined]) {
      const journaled = {
        call: { ...call, ...(redaction && { redaction }) },
        turns,
        failures: [],
        language: null,
      };
      if (redaction === undefined) delete (journaled.call as { redaction?: unknown }).redaction;
      expect(turnsToStore(journaled, 0, config)).toEqual(turns);
    }
  });
});

describe('the transcript of a call that is over', () => {
  it('has nothing of a number, nor have the failures', async () => {
    const journaled = {
      call,
      turns: said('4111 1111', 'Go on', '1111 1111', 'My number is 030 901820.'),
      failures: [{ position: 0, at: 0, code: 'X', provider: null, message: 'content: "4111 1111"' }],
      language: null,
    };
    const { turns, failures } = await transcriptToStore(journaled, config, new FakeClock(), never);
    expect(turns.map(({ text }) => text)).toEqual(['[card]', 'Go on', '[card]', 'My number is [phone].']);
    expect(failures[0]?.message).toBe('content: "[card]"');
  });

  it('is looked through in parts where it is long, and others have their turn in between', async () => {
    const talk = Array.from({ length: 60 }, (_, i) =>
      i % 2 === 0 ? `So it is, as I said before. ${'la '.repeat(300)}` : 'Yes.',
    );
    // The end of the first part falls into the number, wherever that is.
    const digits = Array.from({ length: 20 }, () => [
      '4111 1111',
      'Yes?',
      '1111 1111',
      'Yes?',
      'Again.',
      'Go on.',
    ]).flat();
    const turns = said(...talk, ...digits, ...talk);
    const clock = new FakeClock();
    const waits = vi.spyOn(clock, 'after');
    let over = false;
    const storing = transcriptToStore(
      { call, turns, failures: [], language: null },
      config,
      clock,
      never,
    ).finally(() => {
      over = true;
    });
    for (let rests = 0; !over && rests < 100; rests++) await clock.advance(0);
    expect(waits.mock.calls.length).toBeGreaterThan(1);
    const stored = (await storing).turns;
    expect(stored).toHaveLength(turns.length);
    expect(stored.map(({ position }) => position)).toEqual(turns.map(({ position }) => position));
    expect(stored.filter(({ text }) => /1/.test(text))).toEqual([]);
    expect(stored.filter(({ text }) => text === '[card]')).toHaveLength(40);
  });
});
