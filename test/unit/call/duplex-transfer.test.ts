import { describe, expect, it } from 'vitest';
import { createDuplexCall } from '../../support/duplex-harness.ts';

const fact = 'The transfer did not come about: the line is busy.';
const failedLine = 'Nobody is at the desk.';
const tools = {
  builtIn: {
    hangUp: false,
    pressDigits: false,
    transfer: { destinations: [], prefixes: ['+49'], ringSeconds: 30, failedLine },
  },
  http: [],
};

/** A call whose caller has been told of the transfer, and hears ringing. */
async function ringing(options: Parameters<typeof createDuplexCall>[0] = {}) {
  const call = createDuplexCall(options);
  call.engine.begin();
  await call.silence(200);
  call.model.say('I connect you.');
  await call.silence(3_000);
  call.engine.suspend();
  return call;
}

describe('a model that listens and speaks at the same time, while the caller is being transferred', () => {
  it('is not heard, and is told what became of it', async () => {
    const call = await ringing();
    const sent = call.leg.said.length;
    call.model.say('Are you still there? Hello?');
    await call.clock.advance(20_000);
    expect(call.leg.said).toHaveLength(sent);
    call.engine.transferFailed(fact);
    call.engine.resume();
    expect(call.model.told.at(-1)).toBe(`instruct Tell the caller now: ${fact}`);
    call.model.yield();
    await call.silence(1_200);
    call.model.say('The desk is busy.');
    await call.silence(5_000);
    expect(call.transcript()).toEqual(['agent: I connect you.', 'agent: The desk is busy.']);
    expect(call.asked.spoken).toEqual([]);
    await call.finish();
  });

  it('has time to say so: the silence begins when the caller is back', async () => {
    const call = await ringing();
    await call.clock.advance(20_000);
    call.engine.transferFailed(fact);
    call.engine.resume();
    await call.silence(2_000);
    expect(call.asked.spoken).toEqual([]);
    await call.finish();
  });

  it('leaves the first word to the operator’s line, and knows what it is about', async () => {
    const call = await ringing({ agent: { tools } });
    await call.clock.advance(20_000);
    call.engine.transferFailed(fact);
    call.engine.resume();
    await call.silence(3_000);
    expect(call.transcript()).toEqual(['agent: I connect you.', `agent: ${failedLine}`]);
    expect(call.model.told.filter((each) => each.includes(fact))).toHaveLength(1);
    expect(call.model.told.filter((each) => each.startsWith('instruct'))).toEqual([]);
    await call.finish();
  });
});
