import { afterEach, describe, expect, it, vi } from 'vitest';
import { noCounts } from '../../../src/call/call-counts.ts';
import type { CallEvent } from '../../../src/call/events.ts';
import {
  describeError,
  log,
  logCallEvent,
  personalId,
  personalPath,
  personalWords,
} from '../../../src/log.ts';
import { maskId, maskNumber, maskText } from '../../../src/privacy/mask.ts';
import { RecordsError } from '../../../src/records/call-records.ts';
import type { ToolRun } from '../../../src/tools/tool.ts';

afterEach(() => vi.restoreAllMocks());

function logged(write: () => void): Record<string, unknown>[] {
  const lines: string[] = [];
  for (const method of ['log', 'warn', 'error'] as const) {
    vi.spyOn(console, method).mockImplementation((line: string) => void lines.push(line));
  }
  write();
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('numbers', () => {
  it.each([
    ['+4917012345678', '+49…78'],
    ['+1 555 010 0123', '+1…23'],
    ['+35312345678', '+353…78'],
    ['030 901820', '…20'],
    // So short that its end would be most of it.
    ['12345', '…'],
    ['', '…'],
  ])('%s is shown as %s', (number, shown) => {
    expect(maskNumber(number)).toBe(shown);
  });

  it('are masked wherever they stand, and nothing else is', () => {
    expect(maskText('from +49 170 1234567 to bob@example.com')).toBe('from +49…67 to …@…');
    for (const text of [
      'openai/gpt-4o-mini-tts',
      'log conversation',
      'a sentence, of 12 words, in 2026',
      'call/fact/17',
    ]) {
      expect(maskText(text)).toBe(text);
    }
  });
});

describe('ids', () => {
  it.each([
    '9f47c10b-58cc-4372-a567-0e02b2c3d479',
    '12345678-1234-4123-8123-123456789012',
    'f2b0c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091',
    'my-first-call',
    'campaign_1',
  ])('that say nothing are shown: %s', (id) => {
    expect(maskId(id)).toBe(id);
  });

  it.each(['4917012345678', 'tel-4917012345678', '0170-1234567', 'bob@example.com', '555.123.4567-call'])(
    'that may be somebody’s are not, and can be told apart: %s',
    (id) => {
      const shown = maskId(id);
      expect(shown).toMatch(/~[0-9a-f]{8}$/);
      expect(shown).not.toMatch(/\d{4}.*~|@e|bob/);
      expect(maskId(id)).toBe(shown);
      expect(maskId(`${id}0`)).not.toBe(shown);
    },
  );
});

describe('errors', () => {
  it.each<[unknown, string]>([
    [new TypeError('fetch failed'), 'TypeError: fetch failed'],
    [
      new RecordsError('call_ended: status 403: permission denied for function call_ended', {
        retryable: false,
        code: '42501',
      }),
      'RecordsError 42501: call_ended: status 403: permission denied for function call_ended',
    ],
    [new Error('the delivery took longer than 60000 ms'), 'Error: the delivery took longer than … ms'],
    [
      Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:443'), { code: 'ECONNREFUSED' }),
      'Error ECONNREFUSED: connect ECONNREFUSED … 443',
    ],
    [
      new Error('400 Invalid content: "My name is Ann Smith, 4111 1111"'),
      'Error: 400 Invalid content … is …',
    ],
    ['a token sk-1234 of bob@example.com', '… token … of …'],
    [
      Object.assign(new Error('x'), { name: 'Ann Smith', code: 'bob@example.com', status: '0170 1234567' }),
      'Error: …',
    ],
    [undefined, 'undefined'],
  ])('%s', (error, shown) => {
    expect(describeError(error).shown).toBe(shown);
  });

  it('are bounded', () => {
    expect(describeError(new Error('timeout '.repeat(10_000))).shown.length).toBeLessThan(400);
  });
});

describe('a line', () => {
  it('shows of a path which part is an id that a machine made, and masks the others', () => {
    const made = '/api/v1/recordings/51234567-1234-4123-8123-123456789012';
    expect(personalPath(made).shown).toBe(made);
    expect(personalPath('/api/v1/recordings/+4917012345678').shown).toMatch(
      /^\/api\/v1\/recordings\/\+49…78~/,
    );
  });

  it('names its fields that may hold personal data', () => {
    const [line] = logged(() =>
      log('warn', 'something', {
        callId: personalId('4917012345678'),
        error: personalWords('Ann'),
        attempts: 2,
        to: '+4917012345678',
      }),
    );
    expect(line).toEqual({
      level: 'warn',
      message: 'something',
      callId: expect.stringMatching(/^…78~/),
      error: '…',
      attempts: 2,
      // What is not marked is not trusted either.
      to: '+49…78',
      personal: ['callId', 'error'],
    });
  });

  it('is refused by the compiler where such a field is not marked', () => {
    logged(() => {
      // @ts-expect-error an id from outside
      log('info', 'something', { callId: 'a' });
      // @ts-expect-error an error's words
      log('info', 'something', { error: String(new Error('a')) });
    });
  });

  it('of a transfer has the call’s trace, as every line of the call, and not the number', () => {
    const transfer = { to: '+4917012345678', at: 0, ringingAt: null, until: 1 };
    const [line] = logged(() => logCallEvent('a', { type: 'transfer', state: 'asked', transfer }, 'trace-1'));
    expect(line).toMatchObject({ message: 'transfer', trace: 'trace-1', state: 'asked' });
    expect(JSON.stringify(line)).not.toContain('12345');
  });

  it('has the trace of its call', () => {
    const transfer = { to: '+4930901820', at: 0, ringingAt: null, until: 1 };
    const run = { id: '1', name: 'book', arguments: '{}', content: '', ok: true, at: 0, tookMs: 1 };
    const lines = logged(() => {
      for (const event of [
        { type: 'tool.ran', run: { ...run, idempotencyKey: 'tool_1' } },
        { type: 'transfer', state: 'asked', transfer },
        { type: 'failure', code: 'INTERNAL_ERROR', provider: null, message: 'x' },
        { type: 'call.counted', counts: noCounts },
        { type: 'call.closed', reason: 'hangup', status: 'ended', endTime: 1 },
      ] satisfies CallEvent[]) {
        logCallEvent('a', event, 'trace-1');
      }
    });
    expect(lines.map((line) => [line.message, line.trace])).toEqual(
      ['tool ran', 'transfer', 'failure in a call', 'call counted', 'call ended'].map((message) => [
        message,
        'trace-1',
      ]),
    );
  });

  it('has no name of a tool that the model has made up', () => {
    const run: ToolRun = {
      id: '1',
      name: 'call_ann_smith',
      arguments: '{"of": "Ann"}',
      content: 'There is no such tool.',
      ok: false,
      at: 0,
      tookMs: 1,
      idempotencyKey: null,
    };
    const lines = logged(() => {
      logCallEvent('a', { type: 'tool.ran', run }, undefined);
      logCallEvent(
        'a',
        { type: 'tool.ran', run: { ...run, name: 'book', idempotencyKey: 'tool_1' } },
        undefined,
      );
    });
    expect(lines.map((line) => line.tool)).toEqual(['…', 'book']);
    expect(JSON.stringify(lines)).not.toMatch(/ann/i);
  });
});
