import { beforeEach, describe, expect, it } from 'vitest';
import type { ToolCall } from '../../../src/providers/ports.ts';
import { doAfterwards } from '../../../src/tools/afterwards.ts';
import { builtInTools, builtInToolsSchema } from '../../../src/tools/built-in.ts';
import type { CallActions, ToolCallFacts } from '../../../src/tools/tool.ts';
import { ToolBox } from '../../../src/tools/tool-box.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let done: string[];
let can: boolean;
beforeEach(() => {
  done = [];
  can = true;
});

const actions: CallActions = {
  hangUp: () => void done.push('hang up'),
  transfer: (to) => {
    if (can) done.push(`transfer ${to}`);
    return can;
  },
  pressDigits: (digits) => {
    if (can) done.push(`press ${digits}`);
    return can;
  },
};
const facts: ToolCallFacts = {
  callId: 'call-1',
  userId: 'user-1',
  campaignId: null,
  phoneNumber: '+14155550100',
  startTime: Date.parse('2026-10-25T00:30:00Z'),
  metadata: { plan: 'gold', secret: 'x', long: 'y'.repeat(400), nested: { a: [1] } },
};

function tools(settings: unknown, call = facts, now = Date.parse('2026-10-25T01:15:05Z')): ToolBox {
  const clock = new FakeClock(now);
  return new ToolBox({
    tools: builtInTools(builtInToolsSchema.parse(settings), clock),
    call,
    actions,
    clock,
    onRun: () => {},
  });
}
const asked = (name: string, args: unknown = {}): ToolCall => ({
  id: 'x',
  name,
  arguments: JSON.stringify(args),
});

describe('hang_up', () => {
  it('does not cut off the goodbye: the call ends afterwards', async () => {
    const result = await tools({}).run(asked('hang_up'));
    expect(result.ok).toBe(true);
    expect(done).toEqual([]);
    expect(doAfterwards(result.afterwards!, actions)).toBeNull();
    expect(done).toEqual(['hang up']);
  });

  it('can be asked for again after the caller has interrupted the goodbye', async () => {
    const box = tools({});
    await box.run(asked('hang_up'));
    doAfterwards((await box.run(asked('hang_up'))).afterwards!, actions);
    expect(done).toEqual(['hang up']);
  });
});

describe('transfer_call', () => {
  const transfer = {
    destinations: [{ name: 'sales', to: '+4930123456' }, { to: 'sip:desk@example.com' }],
    prefixes: ['+1415'],
  };
  const transferred = async (settings: unknown, to: string) => {
    const result = await tools({ transfer: settings }).run(asked('transfer_call', { to }));
    expect(done).toEqual([]);
    if (result.afterwards !== undefined) doAfterwards(result.afterwards, actions);
    return { ok: result.ok, done: done.splice(0) };
  };

  it('is told first, and connects afterwards, by name, address or allowed prefix', async () => {
    expect(await transferred(transfer, 'sales')).toEqual({ ok: true, done: ['transfer +4930123456'] });
    expect(await transferred(transfer, '+4930123456')).toEqual({ ok: true, done: ['transfer +4930123456'] });
    expect(await transferred(transfer, 'sip:desk@example.com')).toEqual({
      ok: true,
      done: ['transfer sip:desk@example.com'],
    });
    expect(await transferred(transfer, '+1 (415) 555-0100')).toEqual({
      ok: true,
      done: ['transfer +14155550100'],
    });
  });

  it.each([
    '+19005550100',
    '+493012345678',
    '14155550100',
    'sip:+14155550100@evil.example',
    '+1415555010012345678',
    'SALES;+1415',
    '+1415\n+1900',
    '',
  ])('does not let a caller talk the model into calling %j', async (to) => {
    expect(await transferred(transfer, to)).toEqual({ ok: false, done: [] });
  });

  it('rings for half a minute, or as long as the operator says', async () => {
    const ask = asked('transfer_call', { to: 'sales' });
    expect((await tools({ transfer }).run(ask)).afterwards).toMatchObject({ ringSeconds: 30 });
    const short = { ...transfer, ringSeconds: 12 };
    expect((await tools({ transfer: short }).run(ask)).afterwards).toMatchObject({ ringSeconds: 12 });
  });

  it('leaves a model no choice where only a list is allowed', async () => {
    const box = tools({ transfer: { destinations: transfer.destinations } });
    expect(box.definitions.find((each) => each.name === 'transfer_call')!.parameters).toMatchObject({
      properties: { to: { enum: ['sales', 'sip:desk@example.com'] } },
      required: ['to'],
    });
    expect(await transferred({ destinations: transfer.destinations }, '+14155550100')).toEqual({
      ok: false,
      done: [],
    });
  });

  it('says so when the leg cannot transfer, instead of leaving the caller in silence', async () => {
    can = false;
    const result = await tools({ transfer }).run(asked('transfer_call', { to: 'sales' }));
    expect(doAfterwards(result.afterwards!, actions)).toBe('The call could not be transferred.');
  });

  it.each([
    [{}, 'neither'],
    [{ destinations: [{ to: '030123' }] }, 'neither a number in E.164'],
    [{ destinations: [{ to: 'sip:a@b c' }] }, 'nor a SIP address'],
    [{ destinations: [{ to: 'sip:a,b=c@example.com' }] }, 'nor a SIP address'],
    [{ prefixes: ['+1415'], ringSeconds: 600 }, '120'],
    [{ prefixes: ['1415'] }, 'E.164'],
    [
      {
        destinations: [
          { name: 'a', to: '+1415' },
          { name: 'a', to: '+1416' },
        ],
      },
      'one name',
    ],
  ])('refuses a configuration that could not work: %j', (settings, message) => {
    const result = builtInToolsSchema.safeParse({ transfer: settings });
    expect(result.error?.message).toContain(message);
  });
});

it('transfer_call: premium-rate and shared-cost numbers are behind no prefix, but may be destinations', async () => {
  const to = (settings: object) =>
    tools({ transfer: settings }).run(asked('transfer_call', { to: '+49 900 1234567' }));
  expect((await to({ prefixes: ['+49'] })).ok).toBe(false);
  expect((await to({ prefixes: ['+49900'] })).ok).toBe(false);
  const named = tools({ transfer: { destinations: [{ name: 'hotline', to: '+499001234567' }] } });
  expect((await named.run(asked('transfer_call', { to: 'hotline' }))).ok).toBe(true);
});

describe('press_digits', () => {
  it('presses them, the same ones again too', async () => {
    const box = tools({ pressDigits: true });
    await Promise.all([
      box.run(asked('press_digits', { digits: '1' })),
      box.run(asked('press_digits', { digits: '1' })),
    ]);
    await box.run(asked('press_digits', { digits: '4711#*AD' }));
    expect(done).toEqual(['press 1', 'press 1', 'press 4711#*AD']);
  });

  it.each(['', '12 34', 'E', '1'.repeat(33), '1\n'])('refuses %j', async (digits) => {
    expect((await tools({ pressDigits: true }).run(asked('press_digits', { digits }))).ok).toBe(false);
    expect(done).toEqual([]);
  });

  it('says so when the leg cannot', async () => {
    can = false;
    expect(await tools({ pressDigits: true }).run(asked('press_digits', { digits: '1' }))).toEqual({
      ok: false,
      content: 'Keys cannot be pressed on this line.',
    });
  });
});

describe('call_facts', () => {
  const told = async (callFacts: unknown, call?: ToolCallFacts, now?: number) =>
    JSON.parse((await tools({ callFacts }, call, now).run(asked('call_facts'))).content) as Record<
      string,
      unknown
    >;

  it('tells the local time on both sides of the change of the clocks, so that no appointment is an hour off', async () => {
    expect(await told({ timeZone: 'Europe/Berlin' })).toEqual({
      callerNumber: '+14155550100',
      callStarted: '2026-10-25T02:30:00+02:00',
      now: '2026-10-25T02:15:05+01:00',
      weekday: 'Sunday',
      timeZone: 'Europe/Berlin',
    });
  });

  it('tells the local day, not the day in UTC, and midnight as 00', async () => {
    const midnight = Date.parse('2026-12-31T18:30:00Z');
    expect(await told({ timeZone: 'Asia/Kolkata' }, facts, midnight)).toMatchObject({
      now: '2027-01-01T00:00:00+05:30',
      weekday: 'Friday',
    });
    expect(await told({}, facts, midnight)).toMatchObject({
      now: '2026-12-31T18:30:00+00:00',
      timeZone: 'UTC',
    });
  });

  it('tells of the metadata only what was chosen, and nothing long or inherited', async () => {
    const metadataKeys = ['plan', 'long', 'absent', 'toString', 'nested'];
    expect((await told({ metadataKeys })).metadata).toEqual({ plan: 'gold', nested: { a: [1] } });
  });

  it('answers within the bound whatever the client sent', async () => {
    const metadataKeys = Array.from({ length: 20 }, (_, i) => `key${i}`);
    const with20 = (value: string) =>
      told(
        { metadataKeys },
        { ...facts, metadata: Object.fromEntries(metadataKeys.map((key) => [key, value])) },
      );
    expect(Object.keys((await with20('"'.repeat(149))).metadata as object)).toHaveLength(20);
    expect(await with20('é'.repeat(150))).not.toHaveProperty('metadata');
  });

  it('refuses a time zone that there is not, when it is configured', () => {
    const result = builtInToolsSchema.safeParse({ callFacts: { timeZone: 'Europe/Berlyn' } });
    expect(result.error?.message).toContain('no IANA time zone');
  });
});

describe('the tools of an agent', () => {
  it('are shown to the model as plain JSON Schema of an object', () => {
    const box = tools({ transfer: { prefixes: ['+1'] }, pressDigits: true, callFacts: {} });
    expect(box.definitions.map((each) => each.name)).toEqual([
      'hang_up',
      'transfer_call',
      'press_digits',
      'call_facts',
    ]);
    for (const { parameters, description } of box.definitions) {
      expect(parameters.type).toBe('object');
      expect(parameters).not.toHaveProperty('$schema');
      expect(description).not.toBe('');
    }
  });

  it('are what is configured, and by default none that reaches anybody else', () => {
    expect(tools({}).definitions.map((each) => each.name)).toEqual(['hang_up']);
    expect(tools({ hangUp: false }).definitions).toEqual([]);
  });
});
