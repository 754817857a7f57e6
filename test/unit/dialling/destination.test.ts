import { describe, expect, it } from 'vitest';
import { destinationOf, isDialRule } from '../../../src/dialling/destination.ts';

const kindOf = (to: string, allowed: string[], denied: string[] = []) =>
  destinationOf(to, { allowed, denied }).kind;

describe('whom the service dials', () => {
  it('is a number in E.164, however it is written', () => {
    for (const to of ['+4930901820', '+49 30 90 18 20', '+49 (30) 90.18-20']) {
      expect(destinationOf(to, { allowed: ['*'], denied: [] })).toEqual({
        kind: 'number',
        to: '+4930901820',
      });
    }
  });

  it('is no number that cannot be, and none of a country alone', () => {
    for (const to of [
      '',
      '0049301',
      '030901820',
      '110',
      '+49',
      '+49301',
      '+4930901820;ext=5',
      '+49abc',
      '++493',
    ]) {
      expect([to, kindOf(to, ['*'])]).toEqual([to, 'wrong']);
    }
  });

  it('is who is allowed: by country, by prefix, and nobody by default', () => {
    expect(kindOf('+4930901820', [])).toBe('forbidden');
    expect(kindOf('+4930901820', ['DE'])).toBe('number');
    expect(kindOf('+4930901820', ['AT', '+4989'])).toBe('forbidden');
    expect(kindOf('+4930901820', ['+4930'])).toBe('number');
    // Jamaica has the code of the United States, and is what a fraud dials.
    expect(kindOf('+12025550123', ['US'])).toBe('number');
    expect(kindOf('+18762345678', ['US'])).toBe('forbidden');
  });

  it('is nobody who is denied, nobody whom it costs what nobody expects, and no satellite unless it is named', () => {
    expect(kindOf('+4930901820', ['*'], ['+4930'])).toBe('forbidden');
    expect(kindOf('+499001234567', ['*', '+49'])).toBe('forbidden');
    expect(kindOf('+491805123456', ['DE'])).toBe('forbidden');
    expect(kindOf('+88213300000', ['*'])).toBe('forbidden');
    expect(kindOf('+88213300000', ['+88213'])).toBe('number');
  });

  it('is a SIP address of a host that is allowed', () => {
    const allowed = ['*', 'sip:192.0.2.20', 'sip:pbx.example.com'];
    expect(destinationOf('sip:anna@192.0.2.20:5070', { allowed, denied: [] })).toEqual({
      kind: 'sip',
      to: 'sip:anna@192.0.2.20:5070',
    });
    expect(destinationOf('SIP:100@PBX.example.com', { allowed, denied: [] })).toEqual({
      kind: 'sip',
      to: 'sip:100@pbx.example.com',
    });
    expect(kindOf('sip:anna@192.0.2.21', allowed)).toBe('forbidden');
    for (const to of [
      ...[
        'sip:',
        'sip:a b@192.0.2.20',
        'sip:a@192.0.2.20;maddr=1.2.3.4',
        'sip:a@192.0.2.20?x=y',
        'sip:a@b@192.0.2.20',
      ],
      ...[
        'sip:a@192.0.2.20:0',
        'sip:a@192.0.2.20:65536',
        'sip:a@-x',
        'sips:a@192.0.2.20',
        'sip:a,b@192.0.2.20',
      ],
    ]) {
      expect([to, kindOf(to, allowed)]).toEqual([to, 'wrong']);
    }
  });

  it('is named by rules that can be', () => {
    for (const rule of ['*', 'DE', '+49', '+493012', 'sip:192.0.2.20', 'sip:pbx.example.com']) {
      expect([rule, isDialRule(rule)]).toEqual([rule, true]);
    }
    for (const rule of ['', 'XX', 'de', '49', '+0', 'sip:', 'sip:a@b', '**']) {
      expect([rule, isDialRule(rule)]).toEqual([rule, false]);
    }
  });
});
