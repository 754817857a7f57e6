import { afterEach, describe, expect, it } from 'vitest';
import { arrivals, deepgramCall, eventually } from '../../support/deepgram-call.ts';
import { overAfterMs, silence, spoken } from '../../support/deepgram-double.ts';

type Call = Awaited<ReturnType<typeof deepgramCall>>;

let call: Call | null = null;
afterEach(async () => {
  await call?.close();
  expect(call?.clock.pending).toBe(0);
  call = null;
});

async function begin(
  faults: Parameters<typeof deepgramCall>[0] = [],
  settings: Parameters<typeof deepgramCall>[1] = {},
  options: Parameters<typeof deepgramCall>[2] = {},
): Promise<Call> {
  call = await deepgramCall(faults, { model: 'flux-general-en', ...settings }, options);
  await call.connected();
  return call;
}

/** As the listener does: frames of 20 ms, of which the last 240 ms are the silence that makes a pause. */
function say({ session }: Call, words: string): void {
  const samples = Int16Array.from([...spoken(words), ...silence(240)]);
  for (let at = 0; at < samples.length; at += 160) session.push(samples.subarray(at, at + 160));
}

const final = (utterance: number, text: string) => ({ type: 'final', utterance, text });

describe('Flux', () => {
  it('asks for the multilingual model’s language as a hint, and tells which one it heard', async () => {
    const { double } = await begin(
      [],
      { model: 'flux-general-multi', eotThreshold: 0.8 },
      { language: 'es-MX' },
    );
    expect(double.connections[0]!.url.pathname).toBe('/v2/listen');
    expect(Object.fromEntries(double.connections[0]!.url.searchParams)).toEqual({
      model: 'flux-general-multi',
      encoding: 'mulaw',
      sample_rate: '8000',
      eot_threshold: '0.8',
      eager_eot_threshold: '0.5',
      language_hint: 'es',
    });
    await call!.close();
    const { events } = await begin([], { model: 'flux-general-multi' }, { language: undefined } as never);
    say(call!, 'one');
    await eventually(() => events.some((event) => event.type === 'language'));
    expect(events.find((event) => event.type === 'language')).toEqual({ type: 'language', language: 'es' });
  });

  it('hears the silence that the call leaves out, so that its end of turn comes', async () => {
    const { double, session, events, results, result } = await begin();
    say(call!, 'one two');
    session.pause();
    await call!.pass(overAfterMs);
    expect(events.filter((event) => event.type === 'endOfTurn')).toEqual([
      { type: 'endOfTurn', utterance: 0 },
    ]);
    const eager = events.findIndex((event) => event.type === 'interim' && event.stable);
    expect(events[eager]).toEqual({ type: 'interim', utterance: 0, text: 'one two', stable: true });
    expect(eager).toBeLessThan(events.findIndex((event) => event.type === 'endOfTurn'));
    const heard = double.heard().length;
    await call!.pass(1_000);
    expect(double.heard().length).toBe(heard);
    session.endUtterance();
    await result();
    expect(results()).toEqual([final(0, 'one two')]);
    expect(double.texts()).toEqual([]);
  });

  it('goes on with the turn when the caller does', async () => {
    const { session, events, result, results } = await begin();
    say(call!, 'one');
    session.pause();
    await call!.pass(160);
    say(call!, 'two');
    session.pause();
    await call!.pass(overAfterMs);
    session.endUtterance();
    await result();
    expect(results()).toEqual([final(0, 'one two')]);
    expect(events.filter((event) => event.type === 'endOfTurn')).toHaveLength(1);
  });

  it('is told that the turn is over where the call has decided it first', async () => {
    const { double, session, result, results } = await begin();
    say(call!, 'one two');
    session.pause();
    await eventually(() => call!.interims().some(({ text }) => text === 'one two'));
    session.endUtterance();
    await result();
    expect(results()).toEqual([final(0, 'one two')]);
    expect(double.texts()).toEqual(['ForceEndTurn']);
  });

  it.each([0, 4_000])('ends a turn only after all of it was heard, %i samples late', async (lag) => {
    const { double, session, result, results } = await begin([{ lag }]);
    say(call!, 'one two three four');
    expect(session.endUtterance()).toBe(0);
    say(call!, 'five');
    expect(session.endUtterance()).toBe(1);
    await call!.pass(800);
    await result(1);
    expect(results()).toEqual([final(0, 'one two three four'), final(1, 'five')]);
    expect(double.texts()).toEqual(['ForceEndTurn', 'ForceEndTurn']);
    expect(double.dialled).toBe(1);
  });

  it('does not cut a turn off before its last words were listened to', async () => {
    const { double, session, interims, result, results } = await begin([{ lag: 4_000 }]);
    say(call!, 'one two three');
    await eventually(() => interims().length > 0);
    say(call!, 'four five');
    session.endUtterance();
    await call!.pass(800);
    await result();
    expect(results()).toEqual([final(0, 'one two three four five')]);
    expect(double.texts()).toEqual(['ForceEndTurn']);
  });

  it('tells soon that nothing was understood of a noise', async () => {
    const { double, session, result, results } = await begin();
    session.push(silence(400));
    session.endUtterance();
    await call!.pass(160);
    await result();
    expect(results()).toEqual([final(0, '')]);
    expect(double.texts()).toEqual([]);
  });

  it.each([true, false])(
    'does not let what was discarded into the next utterance (text known: %s)',
    async (known) => {
      const { session, events, result, results } = await begin();
      say(call!, 'one');
      if (known) await eventually(() => call!.interims().length > 0);
      session.discardUtterance();
      if (known) await arrivals();
      say(call!, 'two');
      session.endUtterance();
      await call!.pass(400);
      await result();
      expect(results()).toEqual([final(0, 'two')]);
      expect(events.filter((event) => event.type === 'endOfTurn')).toEqual([]);
    },
  );

  it('keeps the connection between utterances by a little silence', async () => {
    const { double, clock } = await begin();
    await clock.advance(4_000);
    await double.until(() => double.heard().length > 0);
    expect(double.heard()).toEqual(silence(80));
  });

  it('sends the turn again when the connection is lost within it', async () => {
    const { double, session, result, results } = await begin([{ cutAt: spoken('one two').length }]);
    say(call!, 'one two');
    await call!.connected(2);
    say(call!, 'three');
    session.pause();
    await call!.pass(overAfterMs);
    session.endUtterance();
    await result();
    expect(results()).toEqual([final(0, 'one two three')]);
    expect(double.dialled).toBe(2);
  });

  it('notices a socket that is open and says nothing', async () => {
    const { double, clock, session, result, results } = await begin([{ muteFrom: 100 }]);
    say(call!, 'one two');
    session.endUtterance();
    await double.until(() => double.heard().length >= spoken('one two').length);
    await clock.advance(2_000);
    await call!.connected(2);
    await call!.pass(800);
    await result();
    expect(results()).toEqual([final(0, 'one two')]);
  });

  it('waits for the model’s own end of turn where a server does not know ForceEndTurn', async () => {
    const { double, session, result, results } = await begin([{ refuseForce: true }, { refuseForce: true }]);
    say(call!, 'one two');
    session.pause();
    await eventually(() => call!.interims().length > 0);
    session.endUtterance();
    await call!.connected(2);
    await call!.pass(1_200);
    await result();
    expect(results()).toEqual([final(0, 'one two')]);
    expect(double.texts(1)).toEqual([]);
  });
});
