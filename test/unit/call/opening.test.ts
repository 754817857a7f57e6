import { describe, expect, it } from 'vitest';
import { defaultInterruption } from '../../../src/call/agent-config.ts';
import { openingLeft, openingOf } from '../../../src/call/opening.ts';
import { createCall, testAgent } from '../../support/call-harness.ts';

const recordingNotice = 'This call is recorded.';
const agent = { ...testAgent, recordingNotice };
const notice = { text: recordingNotice, interruptible: false };
const greeting = { text: 'Hello there.', interruptible: true };
const turn = (role: 'caller' | 'agent', text: string) => ({
  turn: { role, text, position: 0, startMs: 0, endMs: 0, interrupted: false, latency: null },
});
const sentence = (text: string) => ({ text, from: 0, until: 1 });

describe('the opening of a call', () => {
  it('is the notice of the recording, then the greeting', () => {
    expect(openingOf(agent)).toEqual([notice, greeting]);
  });

  it('has no notice where nothing is recorded, and no empty line', () => {
    expect(openingOf({ ...agent, recording: false })).toEqual([greeting]);
    expect(openingOf({ ...agent, greeting: '' })).toEqual([notice]);
    expect(openingOf({ ...agent, recordingNotice: '', greeting: '' })).toEqual([]);
  });

  it.each([
    ['before the first word', [], [], [], { current: null, rest: [notice, greeting] }],
    ['in the notice', [], [], [recordingNotice], { current: notice, rest: [greeting] }],
    ['at the end of the notice', [], [sentence(recordingNotice)], [], { current: notice, rest: [greeting] }],
    ['before the greeting', [turn('agent', recordingNotice)], [], [], { current: null, rest: [greeting] }],
    [
      'in the greeting',
      [turn('agent', recordingNotice)],
      [],
      ['Hello there.'],
      { current: greeting, rest: [] },
    ],
    [
      'after the greeting',
      [turn('agent', recordingNotice), turn('agent', 'Hello there.')],
      [],
      [],
      { current: null, rest: [] },
    ],
    [
      'in an answer',
      [turn('agent', recordingNotice), turn('agent', 'Hello there.'), turn('caller', 'Hi.')],
      [],
      ['Yes?'],
      { current: null, rest: [] },
    ],
    [
      'once the caller has spoken over the notice',
      [turn('agent', recordingNotice), turn('caller', 'Hello?')],
      [],
      [],
      { current: null, rest: [] },
    ],
    [
      'once the caller has spoken and no notice was heard',
      [turn('caller', 'Hello?')],
      [],
      [],
      { current: null, rest: [notice] },
    ],
    [
      'twice in the notice',
      [{ turn: { ...turn('agent', 'This call').turn, interrupted: true } }],
      [],
      ['is recorded.'],
      { current: notice, rest: [greeting] },
    ],
    [
      'in the notice, and then in the greeting',
      [{ turn: { ...turn('agent', 'This call').turn, interrupted: true } }, turn('agent', 'is recorded.')],
      [],
      ['Hello there.'],
      { current: greeting, rest: [] },
    ],
  ])('that was cut off %s is taken up where it was', (_, history, heard, unheard, left) => {
    expect(openingLeft(agent, { history, heard, unheard })).toEqual(left);
  });
});

describe('the notice of the recording', () => {
  it('is heard first, and the greeting follows', async () => {
    const call = createCall({ agent: { recordingNotice } });
    await call.start();
    await call.silence(6_000);
    expect(call.transcript()).toEqual([`agent: ${recordingNotice}`, 'agent: Hello there.']);
  });

  it('cannot be interrupted; who spoke over it is answered, not greeted', async () => {
    const call = createCall({ agent: { recordingNotice }, script: { transcripts: ['Are you open?'] } });
    await call.start();
    await call.speak(500);
    await call.silence(6_000);
    expect(call.transcript()).toEqual([
      `agent: ${recordingNotice}`,
      'caller: Are you open?',
      'agent: All right.',
    ]);
    expect(call.ofType('turn.recorded')[0]!.turn.interrupted).toBe(false);
  });

  it('is not cut short by a key either', async () => {
    const call = createCall({ agent: { recordingNotice, interruption: defaultInterruption } });
    await call.start();
    await call.silence(200);
    call.from.dtmf('1', 80);
    await call.silence(8_000);
    expect(call.transcript().slice(0, 2)).toEqual([`agent: ${recordingNotice}`, 'caller: Keys pressed: 1']);
  });

  it('is not said in a call that is not recorded', async () => {
    const call = createCall({ agent: { recordingNotice, recording: false } });
    await call.start();
    await call.silence(4_000);
    expect(call.transcript()).toEqual(['agent: Hello there.']);
    expect(call.chunks).toEqual([]);
  });
});
