import { afterEach, describe, expect, it } from 'vitest';
import { arrivals, deepgramCall, eventually } from '../../support/deepgram-call.ts';
import { silence, spoken } from '../../support/deepgram-double.ts';

type Call = Awaited<ReturnType<typeof deepgramCall>>;

let call: Call | null = null;
afterEach(async () => {
  await call?.close();
  expect(call?.clock.pending).toBe(0);
  call = null;
});

async function begin(...how: Parameters<typeof deepgramCall>): Promise<Call> {
  call = await deepgramCall(...how);
  return call;
}

/** As the listener does: frames of 20 ms. */
function push({ session }: Call, samples: Int16Array, rate = 8000): void {
  const frame = rate / 50;
  for (let at = 0; at < samples.length; at += frame) session.push(samples.subarray(at, at + frame));
}

const final = (utterance: number, text: string) => ({ type: 'final', utterance, text });

describe('Nova', () => {
  it('asks for what the call has: encoding, rate, language, words to expect', async () => {
    const { double, connected } = await begin([], { mipOptOut: true }, { keywords: ['Acme', 'Zoë & Co'] });
    await connected();
    const { url, headers } = double.connections[0]!;
    expect(url.pathname).toBe('/v1/listen');
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      model: 'nova-3',
      encoding: 'mulaw',
      sample_rate: '8000',
      language: 'en',
      interim_results: 'true',
      endpointing: '300',
      utterance_end_ms: '1000',
      mip_opt_out: 'true',
    });
    expect(url.searchParams.getAll('keyterm')).toEqual(['Acme', 'Zoë & Co']);
    expect(headers.authorization).toBe('Token key');
  });

  it.each([8000, 16_000] as const)(
    'loses no sample at %i Hz, and numbers utterances from 0',
    async (rate) => {
      const { double, session, result, results, events } = await begin([], {}, { sampleRate: rate });
      push(call!, spoken('one two', rate), rate);
      expect(session.endUtterance()).toBe(0);
      await result(0);
      push(call!, spoken('three', rate), rate);
      expect(session.endUtterance()).toBe(1);
      await result(1);
      expect(results()).toEqual([final(0, 'one two'), final(1, 'three')]);
      expect(double.heard()).toEqual(Int16Array.from([...spoken('one two', rate), ...spoken('three', rate)]));
      const seconds = events.flatMap((event) => (event.type === 'usage' ? [event.usage.audioSeconds] : []));
      expect(seconds).toEqual([0.48, 0.24]);
    },
  );

  it('replaces interim text, and sends what it has at the pause as stable', async () => {
    const { double, session, interims, result, results } = await begin();
    push(call!, spoken('one two three'));
    await eventually(() => interims().length > 0);
    expect(interims()[0]).toEqual({ type: 'interim', utterance: 0, text: 'one two' });
    session.pause();
    await eventually(() => interims().some(({ stable }) => stable));
    expect(interims().at(-1)).toEqual({ type: 'interim', utterance: 0, text: 'one two three', stable: true });
    expect(double.texts()).toEqual(['Finalize']);
    session.endUtterance();
    // Nothing was said since: the text is there at once.
    await result();
    expect(results()).toEqual([final(0, 'one two three')]);
    await arrivals();
    expect(double.texts()).toEqual(['Finalize']);
  });

  it('joins what was said before and after a pause', async () => {
    const { session, interims, result, results } = await begin();
    push(call!, spoken('one two'));
    session.pause();
    await eventually(() => interims().some(({ stable }) => stable));
    push(call!, spoken('three'));
    session.pause();
    session.endUtterance();
    await result();
    expect(results()).toEqual([final(0, 'one two three')]);
  });

  it('answers utterances in their order, however fast they follow', async () => {
    const { session, result, results } = await begin();
    for (const words of ['one', 'two three', 'four']) {
      push(call!, spoken(words));
      session.endUtterance();
    }
    session.endUtterance();
    await result(3);
    expect(results()).toEqual([final(0, 'one'), final(1, 'two three'), final(2, 'four'), final(3, '')]);
  });

  it('does not let what was discarded into the next utterance', async () => {
    const { session, double, result, results, events } = await begin();
    push(call!, spoken('one two three'));
    await double.until(() => double.heard().length > 0);
    session.discardUtterance();
    push(call!, spoken('four'));
    expect(session.endUtterance()).toBe(0);
    await result();
    expect(results()).toEqual([final(0, 'four')]);
    expect(JSON.stringify(events)).not.toContain('two');
  });

  it('tells the provider’s end of turn, and the language that it heard', async () => {
    const { double, events, connected } = await begin([], {}, { language: undefined } as never);
    await connected();
    push(call!, spoken('one'));
    push(call!, silence(1200));
    await eventually(() => events.some((event) => event.type === 'endOfTurn'));
    expect(events.filter((event) => event.type !== 'interim')).toEqual([
      { type: 'language', language: 'es' },
      { type: 'endOfTurn', utterance: 0 },
    ]);
    expect(double.connections[0]!.url.searchParams.get('language')).toBe('multi');
  });

  it('does not wait for an answer to Finalize that the vendor need not give', async () => {
    const { double, clock, session, interims, result, results } = await begin([{ ignoreFinalize: 1 }]);
    push(call!, spoken('one'));
    push(call!, silence(800));
    await eventually(() => interims().some(({ stable }) => stable));
    session.endUtterance();
    await double.until(() => double.texts().includes('Finalize'));
    await clock.advance(999);
    expect(results()).toEqual([]);
    await clock.advance(1);
    await result();
    expect(results()).toEqual([final(0, 'one')]);
    expect(double.dialled).toBe(1);
  });

  it('does not take the next utterance’s text for one that still waits', async () => {
    const { session, interims, result, results } = await begin([{ ignoreFinalize: 1 }]);
    push(call!, spoken('one'));
    push(call!, silence(800));
    await eventually(() => interims().some(({ stable }) => stable));
    session.endUtterance();
    push(call!, spoken('two'));
    session.endUtterance();
    await result(1);
    expect(results()).toEqual([final(0, 'one'), final(1, 'two')]);
  });

  it('keeps the connection between utterances', async () => {
    const { double, clock, connected, session, result } = await begin();
    await connected();
    await clock.advance(4_000);
    await clock.advance(4_000);
    await double.until(() => double.texts().length === 2);
    expect(double.texts()).toEqual(['KeepAlive', 'KeepAlive']);
    push(call!, spoken('one'));
    session.endUtterance();
    await result();
    await clock.advance(3_900);
    await arrivals();
    expect(double.texts()).toEqual(['KeepAlive', 'KeepAlive', 'Finalize']);
  });

  it('says goodbye when the call is over, and tells nothing more', async () => {
    const { double, hangUp, over, events, connected, session, clock } = await begin();
    await connected();
    push(call!, spoken('one two three'));
    session.endUtterance();
    hangUp.abort();
    await over;
    expect(events).toEqual([]);
    expect(clock.pending).toBe(0);
    push(call!, spoken('four'));
    session.pause();
    session.discardUtterance();
    expect(session.endUtterance()).toBe(1);
    await double.connections[0]!.closed;
    expect(double.texts().at(-1)).toBe('CloseStream');
    expect(double.dialled).toBe(1);
  });
});

describe('Nova, when the connection is lost', () => {
  it('sends again what was not settled, and nothing that was', async () => {
    const settled = spoken('one two').length;
    const { double, session, interims, result, results } = await begin([
      { cutAt: settled + spoken('three').length },
    ]);
    push(call!, spoken('one two'));
    session.pause();
    await eventually(() => interims().some(({ stable }) => stable));
    push(call!, spoken('three'));
    session.pause();
    await call!.connected(2);
    push(call!, spoken('four'));
    session.endUtterance();
    await result();
    expect(results()).toEqual([final(0, 'one two three four')]);
    expect(double.heard(1)).toEqual(spoken('three four'));
  });

  it.each([{ cutAt: 1920 }, { closeAt: 1920 }])(
    'still answers the utterances that are over, in order: %j',
    async (fault) => {
      const { session, result, results } = await begin([fault]);
      push(call!, spoken('one'));
      session.endUtterance();
      push(call!, spoken('two'));
      session.endUtterance();
      await call!.connected(1);
      await eventually(() => call!.clock.pending > 0 || results().length === 2);
      await call!.pass(1_000);
      await result(1);
      expect(results()).toEqual([final(0, 'one'), final(1, 'two')]);
    },
  );

  it('is there again before the next utterance', async () => {
    const { double, connected, session, result, results } = await begin();
    push(call!, spoken('one'));
    session.endUtterance();
    await result();
    double.connections[0]!.cut();
    await connected(2);
    push(call!, spoken('two'));
    session.endUtterance();
    await result(1);
    expect(results()).toEqual([final(0, 'one'), final(1, 'two')]);
    expect(double.heard(1)).toEqual(spoken('two'));
  });

  it('notices a socket that is silent while audio is pushed', async () => {
    const words = 'one two three four five six seven eight';
    const { double, clock, session, result, results } = await begin([{ muteFrom: 0 }]);
    push(call!, spoken(words));
    await double.until(() => double.heard().length === spoken(words).length);
    await clock.advance(1_999);
    expect(double.dialled).toBe(1);
    await clock.advance(1);
    await call!.pass(300);
    await call!.connected(2);
    session.endUtterance();
    await result();
    expect(results()).toEqual([final(0, words)]);
  });

  it('answers an utterance with a failure when no text comes in time, and serves the next one', async () => {
    const mute = { muteFrom: 0 };
    const { clock, session, result, results, double } = await begin([mute, mute, mute]);
    push(call!, spoken('one'));
    await call!.connected();
    session.endUtterance();
    await call!.pass(4_900, 100);
    expect(results()).toEqual([]);
    await clock.advance(100);
    await result();
    expect(results()).toMatchObject([
      { type: 'failed', utterance: 0, error: { provider: 'deepgram/nova-3', failure: 'timeout' } },
    ]);
    const dialled = double.dialled;
    push(call!, spoken('two'));
    session.endUtterance();
    await call!.pass(3_000);
    await result(1);
    expect(results()[1]).toEqual(final(1, 'two'));
    expect(double.dialled).toBeGreaterThan(dialled);
  });

  it('leaves a connection on which a text is overdue', async () => {
    const { clock, session, result, connected, double } = await begin([{ muteFrom: 0 }], {
      silentMs: 60_000,
      finalMs: 1_000,
    });
    push(call!, spoken('one'));
    await connected();
    session.endUtterance();
    await clock.advance(1_000);
    await result();
    await call!.pass(300);
    await connected(2);
    await double.connections[0]!.closed;
  });

  it('makes do with the text so far when the rest does not come', async () => {
    const { session, interims, results, result } = await begin([
      { muteFrom: spoken('one two three').length },
      { muteFrom: 0 },
      { muteFrom: 0 },
      { muteFrom: 0 },
    ]);
    push(call!, spoken('one two three'));
    await eventually(() => interims().length > 0);
    session.endUtterance();
    await call!.pass(5_000, 100);
    await result();
    expect(results()).toMatchObject([
      { type: 'final', utterance: 0, text: expect.stringContaining('one'), lost: { failure: 'timeout' } },
    ]);
  });

  it('gives no more than three further attempts to a vendor that is down, and asks it again later', async () => {
    const { double, session, result, results, clock } = await begin([
      { refuse: 503 },
      { refuse: 429 },
      { refuse: 503 },
      { refuse: 429 },
    ]);
    push(call!, spoken('one'));
    session.endUtterance();
    await eventually(() => double.dialled === 1 && clock.pending >= 2);
    await arrivals();
    expect(double.dialled).toBe(1);
    await call!.pass(4_000);
    await result();
    expect(double.dialled).toBe(4);
    expect(results()).toMatchObject([{ type: 'failed', error: { failure: 'rate_limited', status: 429 } }]);
    push(call!, spoken('two'));
    session.endUtterance();
    await result(1);
    expect(results()[1]).toEqual(final(1, 'two'));
  });

  it('does not try again with a key that was refused', async () => {
    const { double, session, result, results } = await begin([], { apiKey: 'wrong' });
    push(call!, spoken('one'));
    session.endUtterance();
    await result();
    expect(double.dialled).toBe(1);
    expect(results()).toMatchObject([{ type: 'failed', error: { failure: 'unauthorized' } }]);
    expect(JSON.stringify(results())).not.toContain('wrong');
  });

  it('gives up an attempt to connect that hangs', async () => {
    const { double, clock, session, result, results } = await begin([{ refuse: 'hang' }]);
    push(call!, spoken('one'));
    session.endUtterance();
    await eventually(() => double.dialled === 1);
    await clock.advance(3_000);
    await eventually(() => clock.pending >= 2);
    await clock.advance(250);
    await result();
    expect(results()).toEqual([final(0, 'one')]);
  });

  it.each([
    'no JSON',
    '{"type":"Results","start":0}',
    '{"type":"Results","start":-1,"duration":1,"channel":{"alternatives":[]}}',
    '[]',
    Uint8Array.of(1, 2, 3),
  ])('leaves a connection that sends what cannot be understood: %s', async (malformed) => {
    const { session, result, results } = await begin([{ malformed }]);
    push(call!, spoken('one'));
    session.endUtterance();
    await call!.connected();
    await eventually(() => call!.double.connections.length === 2 || call!.clock.pending >= 2);
    await call!.pass(400);
    await result();
    expect(results()).toEqual([final(0, 'one')]);
  });

  it('does not mind a message of a type that is new', async () => {
    const { double, session, result, results } = await begin([{ malformed: '{"type":"Novelty"}' }]);
    push(call!, spoken('one'));
    session.pause();
    await double.until(() => double.texts().includes('Finalize'));
    push(call!, spoken('two'));
    session.endUtterance();
    await result();
    expect(double.dialled).toBe(1);
    expect(results()).toMatchObject([{ type: 'final', text: expect.stringContaining('two') }]);
  });

  it('keeps a bounded length of audio, and says that some was lost', async () => {
    const { double, clock, session, result, results } = await begin([{ refuse: 'hang' }], { keptMs: 1_000 });
    push(call!, spoken('one two three four five six seven eight'));
    await eventually(() => double.dialled === 1);
    await clock.advance(3_000);
    await eventually(() => clock.pending >= 1);
    await clock.advance(250);
    await call!.connected();
    session.endUtterance();
    await result();
    expect(results()).toMatchObject([
      { type: 'final', text: 'five six seven eight', lost: { failure: 'unavailable' } },
    ]);
  });
});
