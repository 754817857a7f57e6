import { describe, expect, it } from 'vitest';
import { defaultSilence } from '../../../src/call/agent-config.ts';
import type { CallOptions } from '../../../src/call/call-options.ts';
import type { PastCall } from '../../../src/call/past-call.ts';
import { anonymous } from '../../../src/call/principal.ts';
import type { Message, ToolCall } from '../../../src/providers/ports.ts';
import { createCall, spokenRequests } from '../../support/call-harness.ts';
import { anotherLeg, remains, takenUp } from '../../support/lost-call.ts';
import { scriptedSpeechModel } from '../../support/scripted-speech-model.ts';

type TestCall = ReturnType<typeof createCall>;

const request = (more: object = {}) => ({
  callId: 'call-1',
  userId: 'user-1',
  metadata: {},
  sampleRate: 8000 as const,
  resumeToken: 'token',
  ...more,
});

const drop = (call: TestCall) => call.call.disconnected(call.callLeg);
const long = 'We are open from Tuesday to Saturday and the workshop takes bicycles of every kind until five.';

describe('a socket that is lost', () => {
  it('#24 random drops: the call waits, and goes on where the caller stopped hearing', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['Hours?'], answer: () => [long] },
    });
    await call.start();
    await call.speak(600);
    await call.silence(2_000);
    drop(call);
    const [before, at] = [call.leg.said.length, call.elapsed()];
    await call.clock.advance(10_000);
    expect(call.leg.said.length).toBe(before);
    expect(call.leg.closed).toBeNull();
    const leg = anotherLeg(call);
    expect(call.call.refusalOf(request(), anonymous)).toBeNull();
    call.call.attach(leg);
    await call.clock.advance(9_000);
    expect(leg.said.length).toBeGreaterThan(10);
    expect(call.transcript()).toEqual(['caller: Hours?', `agent: ${long}`]);
    expect(call.ofType('turn.recorded').at(-1)?.turn.interrupted).toBe(false);
    // Nothing was left out, and what was sent and not heard was sent again: at most the lead and two pieces.
    const sentMs = call.leg.said.reduce((sum, piece) => sum + piece.ms, 0);
    expect(sentMs).toBeGreaterThanOrEqual(long.length * 50);
    expect(sentMs).toBeLessThan(long.length * 50 + 600);
    expect(call.leg.said[before]!.at - at).toBe(10_000);
    expect(call.ofType('leg.resumed').map(({ afterMs }) => afterMs)).toEqual([10_000]);
    call.from.hangUp();
    await call.clock.advance(100);
    expect(call.ofType('call.counted')[0]?.counts).toMatchObject({ drops: 1, resumes: 1 });
    expect(call.clock.pending).toBe(0);
  });

  it('costs the call after the grace, which ended when the line was lost', async () => {
    const call = createCall();
    await call.start();
    await call.silence(2_000);
    drop(call);
    const lostAt = call.clock.now();
    await call.clock.advance(29_900);
    expect(call.ofType('call.ended')).toEqual([]);
    await call.clock.advance(200);
    expect(call.ofType('call.closed')[0]).toMatchObject({ reason: 'disconnected', endTime: lostAt });
    expect(call.clock.pending).toBe(0);
    expect(call.asked.open).toBe(0);
  });

  it('takes no key of an entry, and no time of it', async () => {
    const call = createCall({ agent: { greeting: '' } });
    await call.start();
    for (const key of '47') call.from.dtmf(key, 80);
    drop(call);
    await call.clock.advance(8_000);
    expect(call.asked.messages).toEqual([]);
    call.call.attach(anotherLeg(call));
    for (const key of '11#') call.from.dtmf(key, 80);
    await call.clock.advance(2_000);
    expect(call.transcript()[0]).toBe('caller: Keys pressed: 4 7 1 1');
  });

  it('while the caller speaks, keeps what was said before it', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['My name is', 'Anna.'] } });
    await call.start();
    await call.speak(800);
    drop(call);
    await call.clock.advance(1_000);
    call.call.attach(anotherLeg(call));
    await call.clock.advance(3_000);
    expect(call.transcript()).toEqual(['caller: My name is', 'agent: All right.']);
    expect(call.asked.utteranceSamples).toHaveLength(1);
  });

  it('while an answer is being made: it is heard after the return', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['One?'], firstTokenMs: 2_000, answer: () => ['Here it is.'] },
    });
    await call.start();
    await call.speak(600);
    await call.silence(1_000);
    drop(call);
    await call.clock.advance(12_000);
    expect(call.leg.said).toEqual([]);
    const leg = anotherLeg(call);
    call.call.attach(leg);
    await call.clock.advance(2_000);
    expect(leg.said[0]).toBe('Here it is.');
    expect(call.transcript().at(-1)).toBe('agent: Here it is.');
  });

  it('asks no silent caller on a dead line, and does not hang up', async () => {
    const call = createCall({ agent: { greeting: '' } });
    await call.start();
    drop(call);
    await call.clock.advance(29_000);
    expect(call.asked.spoken).toEqual([]);
    call.call.attach(anotherLeg(call));
    await call.clock.advance(9_000);
    expect(call.asked.spoken).toEqual([]);
    await call.clock.advance(1_500);
    expect(call.asked.spoken).toEqual(['Are you still there?']);
  });
});

describe('a client that comes back', () => {
  it('takes the call from a socket that still lives: the newest one counts', async () => {
    const call = createCall({ agent: { greeting: long } });
    await call.start();
    await call.silence(1_000);
    const leg = anotherLeg(call);
    call.call.attach(leg);
    expect(call.leg.closed).toBe('replaced');
    await call.clock.advance(500);
    expect(leg.said.length).toBeGreaterThan(3);
    // The end of the old socket is no news.
    drop(call);
    await call.clock.advance(40_000);
    expect(call.ofType('leg.lost')).toEqual([]);
  });

  it.each([
    ['no token', { resumeToken: null }, 'CALL_ID_IN_USE'],
    ['a wrong token', { resumeToken: 'tokem' }, 'CALL_ID_IN_USE'],
    ['an empty token', { resumeToken: '' }, 'CALL_ID_IN_USE'],
    ['a longer token', { resumeToken: 'tokentoken' }, 'CALL_ID_IN_USE'],
    ['another call’s id', { callId: 'call-2' }, 'CALL_ID_MISMATCH'],
    ['another user', { userId: 'user-2' }, 'UNAUTHORIZED'],
    ['another rate', { sampleRate: 16000 }, 'BAD_MESSAGE'],
  ])('is turned away with %s', async (_, wrong, code) => {
    const call = createCall();
    await call.start();
    expect(call.call.refusalOf(request(wrong) as ReturnType<typeof request>, anonymous)?.code).toBe(code);
  });

  it('needs no token where it is the node that started the call, and no other', async () => {
    const node = { kind: 'node', id: 'fs-1', users: ['user-1'], campaigns: '*' } as const;
    const call = createCall({ call: { principal: node } });
    await call.start();
    const bare = request({ resumeToken: null });
    expect(call.call.refusalOf(bare, node)).toBeNull();
    for (const other of [anonymous, { ...node, id: 'fs-2' }, { ...node, kind: 'user' } as const]) {
      expect(call.call.refusalOf(bare, other)?.code).toBe('CALL_ID_IN_USE');
    }
    // The token of somebody else's call is worth nothing to who may not call for them.
    const stranger = { kind: 'user', id: 'user-2', users: ['user-2'], campaigns: '*' } as const;
    expect(call.call.refusalOf(request(), stranger)?.code).toBe('CALL_ID_IN_USE');
    expect(call.call.refusalOf(bare, { ...node, users: ['user-2'] })?.code).toBe('CALL_ID_IN_USE');
  });

  it('is turned away from a call that has ended, or has not begun', async () => {
    const call = createCall();
    expect(call.call.refusalOf(request(), anonymous)?.code).toBe('CALL_ID_IN_USE');
    await call.start();
    call.from.hangUp();
    expect(call.call.refusalOf(request(), anonymous)?.code).toBe('CALL_ID_IN_USE');
  });
});

describe('an object that is killed under a call', () => {
  const count = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => `This is sentence number ${from + i} of the agent.`);

  it('says nothing twice in the record, and leaves no sentence out', async () => {
    const agent = { greeting: '' };
    const first = createCall({
      agent,
      script: { transcripts: ['Count.'], answer: () => count(1, 5).map((text) => `${text} `) },
    });
    await first.start();
    await first.speak(600);
    // In the third sentence: each takes 2.05 s.
    await first.silence(500 + 2 * 2_050 + 1_000);
    const second = await takenUp(first, { agent });
    await second.silence(9_000);
    expect([...first.transcript(), ...second.transcript()]).toEqual([
      'caller: Count.',
      `agent: ${count(1, 2).join(' ')}`,
      `agent: ${count(3, 5).join(' ')}`,
    ]);
    const turns = second.ofType('turn.recorded').map(({ turn }) => turn);
    expect(turns.map(({ position, interrupted }) => [position, interrupted])).toEqual([
      [1, true],
      [2, false],
    ]);
    expect(second.asked.messages).toEqual([]);
    expect(second.ofType('call.started')).toEqual([]);
  });

  it('numbers its turns on, so that what is billed later belongs to no turn of before', async () => {
    const script = { transcripts: ['When do you open?', 'And on Sunday?'] };
    const first = createCall({ script });
    await first.start();
    await first.silence(2_000);
    await first.speak(600);
    await first.silence(3_000);
    const numbers = (call: TestCall) => new Set(call.ofType('usage').flatMap(({ turn }) => turn ?? []));
    expect(numbers(first)).toEqual(new Set([1]));
    const second = await takenUp(first, { script });
    await second.silence(500);
    await second.speak(600);
    await second.silence(3_000);
    expect(numbers(second)).toEqual(new Set([2]));
  });

  it('says what the model had written while the speech of its first sentence was still being made', async () => {
    const agent = { greeting: '' };
    const first = createCall({
      agent,
      script: {
        transcripts: ['Count.'],
        answer: () => count(1, 3).map((text) => `${text} `),
        firstAudioMs: 800,
      },
    });
    await first.start();
    await first.speak(600);
    await first.silence(500 + 400);
    const second = await takenUp(first, { agent });
    await second.silence(9_000);
    expect([...first.transcript(), ...second.transcript()]).toEqual([
      'caller: Count.',
      `agent: ${count(1, 3).join(' ')}`,
    ]);
  });

  it('killed twice in one answer: nothing is recorded or said twice', async () => {
    const agent = { greeting: '' };
    const first = createCall({
      agent,
      script: { transcripts: ['Count.'], answer: () => count(1, 5).map((text) => `${text} `) },
    });
    await first.start();
    await first.speak(600);
    await first.silence(500 + 2 * 2_050 + 1_000);
    const second = await takenUp(first, { agent });
    // In the second sentence of what was still to be said.
    await second.silence(2_050 + 1_000);
    // Its own events are all that its object has written down; the call's beginning stands in the first one's.
    second.events.unshift(
      ...first.events.filter(({ type }) => type === 'call.started' || type === 'turn.recorded'),
    );
    const third = await takenUp(second, { agent });
    await third.silence(9_000);
    const turns = [...second.transcript(), ...third.transcript()];
    expect(turns).toEqual([
      'caller: Count.',
      `agent: ${count(1, 2).join(' ')}`,
      `agent: ${count(3, 3).join(' ')}`,
      `agent: ${count(4, 5).join(' ')}`,
    ]);
  });

  it('while the model was still writing: what was written is said, and the rest is asked for', async () => {
    const agent = { greeting: '' };
    const first = createCall({
      agent,
      script: {
        transcripts: ['Count.'],
        answer: () => count(1, 2).map((text) => `${text} `),
        tokenMs: 20_000,
      },
    });
    await first.start();
    await first.speak(600);
    await first.silence(500 + 21_000);
    const second = await takenUp(first, { agent, script: { answer: () => ['And that is all.'] } });
    await second.silence(9_000);
    const agentSaid = [...first.transcript(), ...second.transcript()].slice(1).join(' ');
    for (const sentence of count(1, 1)) expect(agentSaid.split(sentence)).toHaveLength(2);
    expect(second.transcript().at(-1)).toBe('agent: And that is all.');
    expect(second.asked.messages[0]?.at(-1)?.role).toBe('system');
  });

  it('killed again before it went on: the rest is asked for all the same', async () => {
    const agent = { greeting: '' };
    const first = createCall({
      agent,
      script: {
        transcripts: ['Count.'],
        answer: () => count(1, 2).map((text) => `${text} `),
        tokenMs: 20_000,
      },
    });
    await first.start();
    await first.speak(600);
    await first.silence(500 + 21_000);
    const rest = { answer: () => ['And that is all.'] };
    for (const [when, ms] of [
      ['in what was still to be said', 1_000],
      ['while the rest was being thought', 3_000],
    ] as const) {
      const second = await takenUp(first, { agent, script: { ...rest, firstTokenMs: 20_000 } });
      await second.silence(ms);
      second.events.unshift(
        ...first.events.filter(({ type }) => type === 'call.started' || type === 'turn.recorded'),
      );
      const third = await takenUp(second, { agent, script: rest });
      await third.silence(6_000);
      expect([when, third.transcript().at(-1)]).toEqual([when, 'agent: And that is all.']);
      expect(third.asked.messages).toHaveLength(1);
      expect(third.asked.messages[0]?.at(-1)?.role).toBe('system');
    }
  });

  it('while a model spoke by itself: what was heard is kept, and it goes on from there', async () => {
    const agent = { greeting: '' };
    const first = createCall({
      agent,
      scriptedSpeech: (clock) =>
        scriptedSpeechModel(clock, { transcripts: ['Hours?'], responses: [[long]] }).model,
    });
    await first.start();
    await first.speak(600);
    await first.silence(500 + 3_200);
    const told: string[][] = [];
    const second = await takenUp(first, {
      agent,
      scriptedSpeech: (clock) => {
        const speech = scriptedSpeechModel(clock, { responses: [['Until five.']] });
        told.push(speech.told);
        return speech.model;
      },
    });
    await second.silence(3_000);
    const [heard, rest] = second.transcript();
    // At most a second of it is lost, of three and a half.
    expect(long.startsWith(heard!.replace('agent: ', ''))).toBe(true);
    expect(heard!.length).toBeGreaterThan(2_200 / 50);
    expect(rest).toBe('agent: Until five.');
    expect(told[0]!.some((line) => line.includes(heard!.replace('agent: ', '')))).toBe(true);
    expect(told[0]!.some((line) => line.includes('Go on where you stopped'))).toBe(true);
  });

  it('answers the turn whose answer was lost, knowing all that was said', async () => {
    const agent = { greeting: 'Hello there.' };
    const first = createCall({ agent, script: { transcripts: ['And now?'], firstTokenMs: 60_000 } });
    await first.start();
    await first.silence(2_000);
    await first.speak(600);
    await first.silence(1_500);
    expect(first.transcript().at(-1)).toBe('caller: And now?');
    const second = await takenUp(first, { agent });
    await second.silence(3_000);
    expect(second.asked.messages.map((messages) => messages.map(({ content }) => content))).toEqual([
      ['You are a test.', 'Hello there.', 'And now?'],
    ]);
    expect(second.transcript()).toEqual(['agent: All right.']);
    expect(second.asked.spoken).not.toContain('Hello there.');
  });

  it('hears again what was said and not written down: it stands in the spool', async () => {
    const agent = { greeting: '', silence: { ...defaultSilence, holdLine: '' } };
    const first = createCall({ agent, script: { transcripts: ['Lost?'], transcriptMs: 60_000 } });
    await first.start();
    await first.silence(1_000);
    await first.speak(1_000);
    await first.silence(4_500);
    expect(first.transcript()).toEqual([]);
    const second = await takenUp(first, { agent, script: { transcripts: ['Lost?'] } });
    await second.silence(3_000);
    expect(second.transcript()).toEqual(['caller: Lost?', 'agent: All right.']);
    const [turn] = second.ofType('turn.recorded').map((event) => event.turn);
    // Where it was said, not where it was heard again.
    expect(turn!.startMs).toBeGreaterThan(500);
    expect(turn!.endMs).toBe(2_000);
  });

  describe('with a transfer that is to follow what the agent says', () => {
    const desk = { act: 'transfer', to: '+493012345' } as const;
    const asked: ToolCall = { id: 'call_1', name: 'transfer_call', arguments: '{}' };
    const createTools: CallOptions['createTools'] = (_agent, _facts, _actions, onRun) => ({
      definitions: [{ name: 'transfer_call', description: 'Transfers.', parameters: { type: 'object' } }],
      run: async ({ id, name, arguments: args }) => {
        const content = 'Tell the caller so.';
        onRun({ id, name, arguments: args, content, ok: true, at: 0, tookMs: 0, idempotencyKey: 'k' });
        return { ok: true, content, afterwards: desk };
      },
      close: () => {},
    });
    const options = { agent: { greeting: '' }, call: { createTools } };
    const answers = (announcement: string[]) => ({
      transcripts: ['A human, please.'],
      answer: (messages: readonly Message[]) => (messages.at(-1)?.role === 'tool' ? announcement : [asked]),
    });
    const transfersOf = (call: TestCall) =>
      call.leg.actions.filter((action) => action.startsWith('transfer'));
    /** Up to some time after the end of the caller's turn. */
    const begun = async (announcement: string[], ms: number) => {
      const call = createCall({ ...options, script: answers(announcement) });
      await call.start();
      await call.speak(600);
      await call.silence(500 + ms);
      return call;
    };

    it('makes it once what was not heard was said again', async () => {
      const first = await begun(
        count(1, 2).map((text) => `${text} `),
        1_000,
      );
      expect(transfersOf(first)).toEqual([]);
      const second = await takenUp(first, options);
      await second.silence(2_000);
      expect(transfersOf(second)).toEqual([]);
      await second.silence(6_000);
      expect(transfersOf(second)).toEqual(['transfer +493012345']);
      expect(second.ofType('agent.acts').at(-1)?.acts).toEqual([]);
    });

    it('killed twice in it, makes it once', async () => {
      const first = await begun(
        count(1, 3).map((text) => `${text} `),
        1_000,
      );
      const second = await takenUp(first, options);
      await second.silence(3_000);
      second.events.unshift(
        ...first.events.filter(({ type }) => type === 'call.started' || type === 'turn.recorded'),
      );
      const third = await takenUp(second, options);
      await third.silence(8_000);
      expect([first, second, third].flatMap(transfersOf)).toEqual(['transfer +493012345']);
    });

    it('killed between the last word and the transfer, makes it when the line stands again', async () => {
      const first = await begun(['I will connect you.'], 3_000);
      expect(transfersOf(first)).toEqual(['transfer +493012345']);
      const transfers = { pending: null, untold: null, tried: 0 };
      const past: PastCall = { ...remains(first), acts: [desk], transfers };
      const second = createCall({ ...options, call: { createTools, past }, startsAt: first.clock.now() });
      await second.clock.advance(1_000);
      // Nobody can be transferred on a dead line.
      expect(transfersOf(second)).toEqual([]);
      second.call.attach(second.callLeg);
      await second.clock.advance(0);
      expect(transfersOf(second)).toEqual(['transfer +493012345']);
      expect(second.asked.messages).toEqual([]);
    });

    it('killed after it, does not make it again', async () => {
      const first = await begun(['I will connect you.'], 3_000);
      const second = await takenUp(first, options);
      await second.silence(8_000);
      expect([transfersOf(first), transfersOf(second)]).toEqual([['transfer +493012345'], []]);
    });

    it('killed before its announcement was written, makes it after that, however often it is asked for', async () => {
      const first = createCall({ ...options, script: { ...answers([]), firstTokenMs: 1_500 } });
      await first.start();
      await first.speak(600);
      await first.silence(500 + 2_000);
      expect(first.ofType('tool.ran')).toHaveLength(1);
      let rounds = 0;
      const second = await takenUp(first, {
        ...options,
        script: { answer: () => (rounds++ === 0 ? [{ ...asked, id: 'call_2' }] : ['I will connect you.']) },
      });
      await second.silence(5_000);
      expect(second.transcript().at(-1)).toBe('agent: I will connect you.');
      expect(transfersOf(second)).toEqual(['transfer +493012345']);
    });

    it('makes none that the caller has interrupted, before the restart or after it', async () => {
      const first = await begun(
        count(1, 3).map((text) => `${text} `),
        1_000,
      );
      const interrupted = await takenUp(first, { ...options, script: { transcripts: ['No, wait.'] } });
      await interrupted.silence(1_000);
      await interrupted.speak(800);
      await interrupted.silence(9_000);
      expect(interrupted.transcript()).toContain('caller: No, wait.');
      expect(transfersOf(interrupted)).toEqual([]);
      interrupted.events.unshift(...first.ofType('call.started'));
      const last = await takenUp(interrupted, options);
      await last.silence(5_000);
      expect(transfersOf(last)).toEqual([]);
    });
  });

  it('still speaks the language that the caller was heard to speak, and listens for another one', async () => {
    const agent = { greeting: '', voices: { fr: 'Zoé' } };
    const first = createCall({ agent, script: { transcripts: ['Bonjour.'] } });
    await first.start();
    first.asked.hear({ type: 'language', language: 'fr' });
    await first.speak(600);
    await first.silence(4_000);
    const second = await takenUp(first, { agent, script: { transcripts: ['Et demain ?', 'And now?'] } });
    const requests = spokenRequests(second);
    await second.speak(600);
    await second.silence(3_000);
    second.asked.hear({ type: 'language', language: 'en' });
    await second.speak(600);
    await second.silence(3_000);
    expect(requests.filter(({ text }) => text === 'All right.')).toMatchObject([
      { voice: 'Zoé', language: 'fr' },
      { voice: 'voice', language: 'en' },
    ]);
    expect(second.asked.messages.map(([prompt]) => prompt?.content.split('tag ')[1])).toEqual(['fr.', 'en.']);
    // What is known of it is no setting: the transcriber still tells.
    expect(second.asked.languages).toEqual([undefined]);
  });

  it('keeps the recording’s timeline: silence while the line was down, both sides in their places', async () => {
    const agent = { greeting: '' };
    const first = createCall({ agent });
    await first.start();
    await first.speak(5_000);
    const second = await takenUp(first, { agent }, 4_000);
    await second.speak(1_000);
    await second.silence(3_000);
    second.from.hangUp();
    await second.clock.advance(100);
    const chunks = [...first.chunks, ...second.chunks];
    expect(chunks.map(({ index }) => index)).toEqual(chunks.map((_, i) => i));
    const samples = chunks.flatMap(({ caller, length }) => [...(caller ?? new Int16Array(length))]);
    const voicedAt = (ms: number) => samples[ms * 8] !== 0;
    // At most the spool interval is missing of what was said before.
    expect([1_000, 2_950].map(voicedAt)).toEqual([true, true]);
    expect([6_000, 8_900].map(voicedAt)).toEqual([false, false]);
    expect([9_100, 9_900].map(voicedAt)).toEqual([true, true]);
    expect(voicedAt(10_100)).toBe(false);
  });

  it('ends the call after the grace where nobody comes back to the next one', async () => {
    const first = createCall();
    await first.start();
    await first.silence(3_000);
    const past = remains(first);
    const second = createCall({ call: { past }, startsAt: first.clock.now() });
    await second.clock.advance(30_100);
    expect(second.ofType('call.closed')[0]).toMatchObject({ reason: 'disconnected', endTime: past.lostAt });
    expect(second.clock.pending).toBe(0);
  });
});
