import { describe, expect, it } from 'vitest';
import { defaultInterruption } from '../../../src/call/agent-config.ts';
import { ProviderError } from '../../../src/providers/ports.ts';
import { createCall } from '../../support/call-harness.ts';

const long =
  'We are open from Tuesday to Saturday and the workshop takes bicycles of every kind until five in the afternoon.';

/** A call in which the agent has begun a long answer, 1.5 s of which were heard. */
async function inLongAnswer(transcripts: (string | Error)[], more: Parameters<typeof createCall>[0] = {}) {
  const call = createCall({
    ...more,
    agent: { greeting: '', ...more.agent },
    script: {
      transcripts: ['When are you open?', ...transcripts],
      answer: (messages) => [messages.at(-1)?.content === 'When are you open?' ? long : 'As you like.'],
      ...more.script,
    },
  });
  await call.start();
  await call.speak(600);
  await call.silence(2_000);
  expect(call.leg.said.length).toBeGreaterThan(0);
  return call;
}

const outcomes = (call: ReturnType<typeof createCall>) =>
  call.ofType('overlap').map((event) => `${event.outcome}: ${event.because}`);

describe('the caller speaks over the agent', () => {
  it('#1 carrier buffer goes on playing: the clear goes out with the next message after speech is detected', async () => {
    const call = await inLongAnswer(['Stop, please.']);
    const before = call.leg.said.length;
    await call.speak(140);
    expect(call.leg.actions.at(-1)).toBe('clear');
    // One piece at the most between the first voiced frame and the clear: detection takes 120 ms.
    expect(call.leg.said.length - before).toBeLessThanOrEqual(2);
    const atClear = call.leg.said.length;
    await call.speak(400);
    expect(call.leg.said.length).toBe(atClear);
  });

  it('#2 unspoken text in history: it holds what was heard, cut at a word', async () => {
    const call = await inLongAnswer(['Stop, please.']);
    await call.speak(600);
    await call.silence(3_000);
    expect(outcomes(call)).toEqual(['interrupted: speech']);
    const heard = call.transcript()[1]!.replace('agent: ', '');
    expect(long.startsWith(heard)).toBe(true);
    // 1.6 s of an answer of 50 ms a character.
    expect(heard.length).toBeGreaterThan(22);
    expect(heard.length).toBeLessThan(36);
    expect(call.asked.messages.at(-1)?.slice(-2)).toEqual([
      { role: 'assistant', content: heard },
      { role: 'user', content: 'Stop, please.' },
    ]);
    expect(call.transcript().slice(2)).toEqual(['caller: Stop, please.', 'agent: As you like.']);
  });

  it('#5 double replies: late audio of an interrupted answer is never spoken', async () => {
    const call = await inLongAnswer(['Stop, please.'], {
      script: {
        answer: (messages) =>
          messages.length > 2
            ? ['Fine.']
            : ['The first sentence is short. ', 'The second one ', 'comes very late.'],
        tokenMs: 700,
      },
    });
    await call.speak(600);
    await call.silence(6_000);
    expect(call.leg.said.flatMap((piece) => piece.text ?? [])).toEqual([
      'The first sentence is short.',
      'Fine.',
    ]);
  });

  it('#6 "uh-huh" stops the agent: after a backchannel it goes on where it stopped', async () => {
    const call = await inLongAnswer(['Uh-huh.']);
    await call.speak(400);
    await call.silence(9_000);
    expect(outcomes(call)).toEqual(['resumed: backchannel']);
    expect(call.transcript()).toEqual(['caller: When are you open?', 'caller: Uh-huh.', `agent: ${long}`]);
    // Nothing was said twice, nothing left out: taken-back audio was sent again once.
    const turn = call.ofType('turn.recorded').at(-1)!.turn;
    expect(turn.interrupted).toBe(false);
    expect(call.asked.messages.length).toBe(1);
  });

  it('resumes a false interruption within 2 s of silence, whatever becomes of the transcript', async () => {
    const call = await inLongAnswer(['Too late.'], { script: { transcriptMs: 0 } });
    call.plan.transcriptMs = 60_000;
    await call.speak(300);
    await call.silence(1_900);
    const before = call.leg.said.length;
    await call.silence(700);
    expect(outcomes(call)).toEqual(['resumed: nothing']);
    expect(call.leg.said.length).toBeGreaterThan(before);
  });

  it('goes on after a cough: sound without words', async () => {
    const call = await inLongAnswer(['']);
    await call.speak(300);
    await call.silence(9_000);
    expect(outcomes(call)).toEqual(['resumed: nothing']);
    expect(call.transcript().at(-1)).toBe(`agent: ${long}`);
  });

  it('#7 the agent interrupts itself by echo: its own words are no words of the caller', async () => {
    const call = await inLongAnswer(['Open from Tuesday to Saturday']);
    await call.speak(500);
    await call.silence(9_000);
    expect(outcomes(call)).toEqual(['resumed: echo']);
    expect(call.transcript()).toEqual(['caller: When are you open?', `agent: ${long}`]);
  });

  it('#4 agent mute after interruption: it answers the next turn', async () => {
    const call = await inLongAnswer(['Stop, please.', 'And on Sunday?']);
    await call.speak(600);
    await call.silence(3_000);
    await call.speak(600);
    await call.silence(3_000);
    expect(call.transcript().slice(-2)).toEqual(['caller: And on Sunday?', 'agent: As you like.']);
    expect(call.ofType('listening').length).toBeGreaterThanOrEqual(2);
  });

  it('does not silence the agent in the first moments of its audio, and understands the caller all the same', async () => {
    const call = createCall({
      agent: { interruption: { ...defaultInterruption, warmUpMs: 1_000 } },
      script: { transcripts: ['I have a question.'] },
    });
    await call.start();
    await call.speak(400);
    expect(call.leg.actions).toEqual([]);
    await call.silence(3_000);
    expect(call.transcript()).toContain('caller: I have a question.');
  });

  it('hears a greeting to its end that may not be interrupted, and answers what was said over it', async () => {
    const call = createCall({
      agent: {
        greeting: 'This call is recorded for quality and for training.',
        interruption: { ...defaultInterruption, greeting: false },
      },
      script: { transcripts: ['I know, I know, go on please.'] },
    });
    await call.start();
    await call.speak(900);
    await call.silence(4_000);
    expect(call.leg.actions).not.toContain('clear');
    expect(call.transcript()).toEqual([
      'agent: This call is recorded for quality and for training.',
      'caller: I know, I know, go on please.',
      'agent: All right.',
    ]);
  });

  it('is not mute for ever after a reply that ended while it was held, on a leg without clear', async () => {
    const call = await inLongAnswer(['That is too much.']);
    call.dialect.canClear = false;
    await call.silence(3_400);
    // Over the last 300 ms, which such a leg plays in any case.
    await call.speak(700);
    await call.silence(4_000);
    expect(call.transcript().at(-1)).toBe('agent: As you like.');
    expect(call.leg.said.some((piece) => piece.text === 'As you like.')).toBe(true);
  });

  it('is not mute for ever after a reply that failed while it was held', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['One?', '', 'Two?'], firstTokenMs: 1_000 },
    });
    const outage = new ProviderError('scripted/vendor', 'unavailable', 'The vendor is down');
    call.plan.answer = () => [outage];
    call.plan.speech = () => outage;
    await call.start();
    await call.speak(600);
    await call.silence(800);
    await call.speak(900);
    await call.silence(2_000);
    call.plan.answer = () => ['Here I am.'];
    call.plan.speech = (request) => request.text.length * 50;
    await call.speak(600);
    await call.silence(4_000);
    expect(call.transcript().at(-1)).toBe('agent: Here I am.');
    expect(call.leg.said.some((piece) => piece.text === 'Here I am.')).toBe(true);
  });

  it('goes on under music or a television: sound without an end and without words', async () => {
    const call = await inLongAnswer([]);
    await call.speak(12_000);
    expect(outcomes(call)).toEqual(['resumed: nothing']);
    expect(call.transcript().at(-1)).toBe(`agent: ${long}`);
  });

  it('holds at the end of the warm-up somebody who speaks on', async () => {
    const call = createCall({
      agent: {
        greeting: 'This is a long greeting which nobody wants to hear to its end.',
        interruption: { ...defaultInterruption, warmUpMs: 1_000 },
      },
      script: { transcripts: ['I have a question.'] },
    });
    await call.start();
    await call.speak(1_100);
    expect(call.leg.actions).toContain('clear');
  });

  it('does not answer its own echo that is understood only after it has ended', async () => {
    const call = createCall({
      agent: {
        greeting: 'Welcome to the workshop of the harbour.',
        interruption: { ...defaultInterruption, greeting: false },
      },
      script: { transcripts: ['Welcome to the workshop of the harbour'], transcriptMs: 1_500 },
    });
    await call.start();
    await call.silence(300);
    await call.speak(1_500);
    await call.silence(4_000);
    expect(call.asked.messages).toEqual([]);
    expect(call.transcript()).toEqual(['agent: Welcome to the workshop of the harbour.']);
  });

  it('does not begin to speak over a caller who speaks already', async () => {
    const outage = new ProviderError('scripted/vendor', 'unavailable', 'The vendor is down');
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: [outage, 'Here is the rest.'], transcriptMs: 1_000 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(700);
    await call.speak(1_500);
    expect(call.leg.said).toEqual([]);
    await call.silence(4_000);
    expect(call.transcript()).toContain('caller: Here is the rest.');
    expect(call.transcript().at(-1)).toBe('agent: All right.');
  });

  it('counts as heard what a leg without clear has been sent', async () => {
    const call = await inLongAnswer(['Stop, please.']);
    call.dialect.canClear = false;
    await call.speak(600);
    await call.silence(3_000);
    const heard = call.transcript()[1]!.replace('agent: ', '');
    // The lead of some 300 ms more than a leg with clear: six characters.
    expect(heard.length).toBeGreaterThan(28);
  });
});

describe('#8 the end of a turn', () => {
  it('is not in the middle of a dictated number: its groups are one turn', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['My number is oh seven seven.', 'Nine hundred.', 'And that is all.'] },
    });
    await call.start();
    for (let group = 0; group < 2; group++) {
      await call.speak(800);
      await call.silence(1_200);
    }
    expect(call.asked.messages).toEqual([]);
    await call.speak(800);
    await call.silence(2_000);
    expect(call.asked.messages.length).toBe(1);
    expect(call.transcript()[0]).toMatch(
      /^caller: My number is oh seven seven.*nine hundred.*and that is all\.$/i,
    );
  });

  it('comes sooner after a finished question than after words that break off', async () => {
    const answeredAfter = async (text: string) => {
      const call = createCall({ agent: { greeting: '' }, script: { transcripts: [text] } });
      await call.start();
      await call.speak(600);
      const lastVoiced = call.elapsed();
      await call.silence(4_000);
      return call.leg.said[0]!.at - lastVoiced;
    };
    expect(await answeredAfter('Where are you?')).toBe(500);
    expect(await answeredAfter('I would like to')).toBe(1_500);
  });

  it('is no longer waited for when the caller hangs up: what was said is recorded', async () => {
    const call = createCall({ agent: { greeting: '' }, script: { transcripts: ['I would like to'] } });
    await call.start();
    await call.speak(600);
    await call.silence(700);
    call.from.hangUp();
    await call.clock.advance(0);
    expect(call.transcript()).toEqual(['caller: I would like to']);
    expect(call.clock.pending).toBe(0);
  });
});
