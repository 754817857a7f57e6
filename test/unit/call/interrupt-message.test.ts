import { describe, expect, it } from 'vitest';
import { defaultInterruption } from '../../../src/call/agent-config.ts';
import { createCall } from '../../support/call-harness.ts';
import { createDuplexCall } from '../../support/duplex-harness.ts';

const long =
  'We are open from Tuesday to Saturday and the workshop takes bicycles of every kind until five in the afternoon.';

describe('a client that asks for silence without a word', () => {
  it('gets it at once, the record holds what was heard, and nothing is answered', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['When are you open?'], answer: () => [long] },
    });
    await call.start();
    await call.speak(600);
    await call.silence(2_000);
    const sent = call.leg.said.length;
    expect(sent).toBeGreaterThan(0);
    call.from.interrupt();
    expect(call.leg.actions.at(-1)).toBe('clear');
    await call.silence(3_000);
    expect(call.leg.said.length).toBe(sent);
    expect(call.asked.messages).toHaveLength(1);
    const heard = call.transcript()[1]!.replace('agent: ', '');
    expect(heard.length).toBeGreaterThan(0);
    expect(long.startsWith(heard)).toBe(true);
    expect(heard).not.toBe(long);
    expect(call.ofType('turn.recorded').at(-1)?.turn.interrupted).toBe(true);
    expect(call.events.map(({ type }) => type).lastIndexOf('listening')).toBeGreaterThan(
      call.events.map(({ type }) => type).lastIndexOf('overlap'),
    );
  });

  it('stops an answer that is still being thought of', async () => {
    const call = createCall({
      agent: { greeting: '' },
      script: { transcripts: ['When?'], answer: () => [long], tokenMs: 1_500 },
    });
    await call.start();
    await call.speak(600);
    await call.silence(1_200);
    expect(call.ofType('thinking')).toHaveLength(1);
    expect(call.leg.said).toEqual([]);
    call.from.interrupt();
    await call.silence(5_000);
    expect(call.leg.said).toEqual([]);
    expect(call.transcript()).toEqual(['caller: When?']);
  });

  it('does not get it for a greeting that must be heard, nor where nothing is said', async () => {
    const call = createCall({
      agent: { greeting: long, interruption: { ...defaultInterruption, greeting: false } },
    });
    await call.start();
    await call.silence(500);
    call.from.interrupt();
    await call.silence(9_000);
    expect(call.leg.actions).not.toContain('clear');
    expect(call.transcript()).toEqual([`agent: ${long}`]);
    const events = call.events.length;
    call.from.interrupt();
    expect(call.events.length).toBe(events);
  });

  it('is told that there is no call yet', async () => {
    const call = createCall();
    call.from.interrupt();
    expect(call.ofType('leg.error')).toMatchObject([{ code: 'NOT_STARTED' }]);
    await call.start();
  });

  it('gets it from a model that listens and speaks at once, too', async () => {
    const call = createDuplexCall();
    call.engine.begin();
    await call.speak(600);
    call.model.hear('When?');
    await call.silence(900);
    call.model.say(long);
    await call.silence(800);
    call.engine.interrupt();
    expect(call.leg.actions.at(-1)).toBe('clear');
    await call.silence(2_000);
    expect(call.ofType('overlap')).toMatchObject([{ outcome: 'interrupted' }]);
    expect(call.turns().at(-1)).toMatchObject({ role: 'agent', interrupted: true });
    await call.finish();
  });
});
