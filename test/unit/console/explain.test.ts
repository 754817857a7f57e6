import { describe, expect, it } from 'vitest';
import {
  explainClose,
  explainMicrophone,
  explainRefusal,
  insecureContext,
  isFinal,
} from '../../../src/console/model/explain.ts';
import { closeCodes } from '../../../src/dialects/native-messages.ts';

describe('the end of a call', () => {
  it.each(Object.entries(closeCodes))('is explained for the close code of "%s"', (name, code) => {
    const { title, text, kind } = explainClose(code, null);
    expect(title).not.toBe('');
    expect(kind).toBe(name === 'ended' ? 'plain' : 'problem');
    if (kind === 'problem') expect(text).not.toBe('');
    expect(title).not.toBe('The connection broke');
    expect(isFinal(code)).toBe(true);
  });

  it('by a broken connection is not the service’s, and can be come back from', () => {
    expect(explainClose(1006, null).title).toBe('The connection broke');
    expect(explainClose(1006, null).text).toContain('1006');
    expect(isFinal(1006)).toBe(false);
  });

  it('says what the service said last', () => {
    const refused = explainClose(4403, { code: 'UNAUTHORIZED', message: 'This user is not yours' });
    expect(refused.text).toBe('This user is not yours. (UNAUTHORIZED)');
    expect(explainClose(4403, { code: 'INSUFFICIENT_FUNDS', message: 'x' }).text).toMatch(/no funds left/);
  });

  it('as it should be has nothing to explain, whatever went wrong before', () => {
    expect(explainClose(1000, { code: 'INTERNAL_ERROR', message: 'x' })).toMatchObject({
      text: '',
      kind: 'plain',
    });
  });
});

describe('a connection that was refused', () => {
  it.each([
    ['nobody answers', null, /npm start/],
    ['too many requests', { status: 429, body: null }, /Too many requests/],
    ['not set up', { status: 200, body: { missingSettings: ['SUPABASE_URL'] } }, /SUPABASE_URL/],
    ['no reason is known', { status: 200, body: { status: 'ok' } }, /CORS_ORIGINS/],
    ['what answers is something else', { status: 502, body: 'bad gateway' }, /took no call/],
  ])('is explained where %s', (_, health, text) => {
    expect(explainRefusal(health)).toMatchObject({ kind: 'problem', text: expect.stringMatching(text) });
  });
});

describe('a microphone that is not given', () => {
  it.each([
    ['NotAllowedError', /Allow it for this page/],
    ['NotFoundError', /Plug one in/],
    ['NotReadableError', /Another program/],
    ['SomethingNewError', /SomethingNewError/],
  ])('by %s is explained, and a call without one is offered', (name, text) => {
    expect(explainMicrophone(name)).toMatchObject({ canCall: true, text: expect.stringMatching(text) });
  });

  it('over an unsafe connection allows no call at all: there is no audio thread either', () => {
    expect(insecureContext).toMatchObject({ canCall: false, text: expect.stringContaining('https://') });
  });
});
