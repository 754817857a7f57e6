import { describe, expect, it } from 'vitest';
import { credentialOf, subprotocolHeaders } from '../../../src/auth/credential.ts';

const request = (headers: Record<string, string>, query = '') =>
  new Request(`https://calls.example/ws/call-session${query}`, { headers });
const inHeader = (token: string, name: string | null = null) => ({ token, name, exposed: false });

describe('the credential of a request', () => {
  it('stands in a header', () => {
    expect(credentialOf(request({ Authorization: 'Bearer a.b.c' }), false)).toEqual(inHeader('a.b.c'));
    expect(credentialOf(request({ Authorization: 'bearer   a.b.c ' }), false)).toEqual(inHeader('a.b.c'));
    expect(credentialOf(request({ 'X-Node-Token': 'n' }), false)).toEqual(inHeader('n'));
    const basic = `Basic ${btoa('fs-1:secret:with:colons')}`;
    expect(credentialOf(request({ Authorization: basic }), false)).toEqual(
      inHeader('secret:with:colons', 'fs-1'),
    );
  });

  it('stands in the subprotocol or the address of a socket alone', () => {
    const offered = request({ 'Sec-WebSocket-Protocol': 'call, call-token.t' });
    expect(credentialOf(offered, true)).toEqual({ token: 't', name: null, exposed: true });
    expect(credentialOf(offered, false)).toBeNull();
    expect(credentialOf(request({}, '?token=t'), true)).toEqual({ token: 't', name: null, exposed: true });
    expect(credentialOf(request({}, '?token=t'), false)).toBeNull();
  });

  it('in the header goes before all others', () => {
    const both = { Authorization: 'Bearer h', 'Sec-WebSocket-Protocol': 'call-token.s' };
    expect(credentialOf(request(both, '?token=q'), true)).toEqual(inHeader('h'));
  });

  it('is nobody’s where it cannot be read; it is not passed over', () => {
    for (const header of ['Bearer', 'Digest x', 'Basic !!!', `Basic ${btoa('nocolon')}`, 'a b c']) {
      expect(credentialOf(request({ Authorization: header }, '?token=t'), true)).toEqual(inHeader(''));
    }
    expect(credentialOf(request({}), true)).toBeNull();
  });
});

describe('the subprotocol of the answer', () => {
  it('is one that was offered, and the token only where nothing else was', () => {
    const chosen = (offered: string, known: string[] = []) =>
      subprotocolHeaders(request({ 'Sec-WebSocket-Protocol': offered }), known);
    expect(chosen('call-token.t, call')).toEqual({ 'Sec-WebSocket-Protocol': 'call' });
    expect(chosen('call-token.t')).toEqual({ 'Sec-WebSocket-Protocol': 'call-token.t' });
    expect(chosen('audio.drachtio.org')).toEqual({ 'Sec-WebSocket-Protocol': 'audio.drachtio.org' });
    expect(chosen('x , audio.jambonz.org', ['audio.jambonz.org'])).toEqual({
      'Sec-WebSocket-Protocol': 'audio.jambonz.org',
    });
    expect(subprotocolHeaders(request({}), ['audio.jambonz.org'])).toEqual({});
  });
});
