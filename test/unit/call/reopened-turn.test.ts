import { describe, expect, it } from 'vitest';
import { CallCounter } from '../../../src/call/call-counts.ts';
import { createCall, testEndpointing } from '../../support/call-harness.ts';

/** A caller who says `first`, and before he has heard anything of its answer, `second`. */
async function goesOn(
  [first, second]: [string, string],
  more: Parameters<typeof createCall>[0] = {},
  pauseMs = 700,
) {
  const call = createCall({
    ...more,
    agent: { greeting: '', ...more.agent },
    script: { transcripts: [first, second], firstTokenMs: 1_500, ...more.script },
  });
  await call.start();
  await call.speak(600);
  await call.silence(pauseMs);
  await call.speak(600);
  await call.silence(5_000);
  return call;
}

const said = (call: ReturnType<typeof createCall>) => call.leg.said.flatMap((piece) => piece.text ?? []);
const shown = (call: ReturnType<typeof createCall>) =>
  call.ofType('transcript').flatMap(({ role, text, final }) => (role === 'caller' && final ? [text] : []));

describe('a turn that was taken for over, and goes on before its answer is heard', () => {
  it('is one turn: answered once, recorded once', async () => {
    const call = await goesOn(['I have a bike.', 'It is broken.']);
    expect(said(call)).toEqual(['All right.']);
    expect(call.transcript()).toEqual(['caller: I have a bike it is broken.', 'agent: All right.']);
    expect(call.asked.messages.at(-1)?.slice(1)).toEqual([
      { role: 'user', content: 'I have a bike it is broken.' },
    ]);
    const [, whole] = call.ofType('turn.recorded');
    expect(whole?.turn.startMs).toBeLessThan(600);
    expect(whole?.turn.endMs).toBeGreaterThan(1_800);
  });

  it('is counted as such, and is no interruption', async () => {
    const call = await goesOn(['I have a bike.', 'It is broken.']);
    const counter = new CallCounter();
    for (const event of call.events) counter.hear(event);
    expect(counter.counts).toMatchObject({ reopened: 1, interruptions: 0, answered: 1 });
  });

  it('shows the client each of its words once', async () => {
    const call = await goesOn(['I have a bike.', 'It is broken.']);
    expect(shown(call)).toEqual(['I have a bike.', 'It is broken.']);
  });

  it('goes on with any word: nobody says “okay” to what he has not heard', async () => {
    const call = await goesOn(['I have a bike.', 'Okay.']);
    expect(call.transcript()[0]).toBe('caller: I have a bike. Okay.');
    expect(call.ofType('turn.reopened')).toHaveLength(1);
  });

  it('is answered as it was where what comes is nothing', async () => {
    const call = await goesOn(['I have a bike.', '']);
    expect(call.transcript()).toEqual(['caller: I have a bike.', 'agent: All right.']);
    expect(call.ofType('turn.reopened')).toEqual([]);
  });

  it('is over where something of its answer was heard', async () => {
    const call = await goesOn(['I have a bike.', 'It is broken.'], { script: { firstTokenMs: 50 } });
    expect(call.ofType('turn.reopened')).toEqual([]);
    expect(call.transcript()[0]).toBe('caller: I have a bike.');
  });
});

describe('an answer that is ready early', () => {
  const endpointing = { ...testEndpointing, speakMs: 1_200 };

  it('is not heard before the caller has had the time to go on', async () => {
    const call = await goesOn(['I have a bike.', 'It is broken.'], {
      agent: { greeting: '', endpointing },
      script: { firstTokenMs: 50 },
    });
    expect(said(call)).toEqual(['All right.']);
    expect(call.transcript()[0]).toBe('caller: I have a bike it is broken.');
    const [latency] = call.ofType('latency');
    expect(latency?.totalMs).toBe(1_200);
    // The time was the caller's, not the service's.
    expect(latency?.endpointWaitMs).toBe(1_150);
    expect(latency?.processingMs).toBe(0);
  });

  it.each([
    ['a question was asked', 'Are you open?', { endpointing }],
    ['nothing is to be waited for', 'We came.', { endpointing: testEndpointing }],
  ])('is heard at once where %s', async (_, text, agent) => {
    const call = createCall({
      agent: { greeting: '', ...agent },
      script: { transcripts: [text], firstTokenMs: 50 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(3_000);
    expect(call.ofType('latency')[0]?.totalMs).toBe(550);
  });

  it('is heard at once where keys were pressed', async () => {
    const call = createCall({ agent: { greeting: '', endpointing }, script: { firstTokenMs: 50 } });
    await call.start();
    call.from.dtmf('1', 100);
    call.from.dtmf('#', 100);
    await call.silence(1_000);
    expect(call.ofType('latency')[0]?.totalMs).toBe(50);
  });
});
