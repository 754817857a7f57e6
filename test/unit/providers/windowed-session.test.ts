import { afterEach, describe, expect, it } from 'vitest';
import { ProviderError, type SpeechToTextEvent } from '../../../src/providers/ports.ts';
import { WindowedSession, type WindowOptions } from '../../../src/providers/windowed-session.ts';
import { settle } from '../../support/fake-clock.ts';

const rate = 8000;
const usage = { provider: 'test', audioSeconds: 1 };

interface Job {
  samples: Int16Array;
  signal: AbortSignal;
  done(text: string): Promise<void>;
  fail(error?: ProviderError): Promise<void>;
}

const abort = { current: new AbortController() };
afterEach(() => abort.current.abort());

/** A session whose windows are transcribed when the test says so; usage events are left out of `events`. */
function open(options: Partial<WindowOptions> = {}) {
  abort.current = new AbortController();
  const jobs: Job[] = [];
  const session = new WindowedSession(
    (samples, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        jobs.push({
          samples,
          signal,
          async done(text) {
            resolve({ text, usage });
            await settle();
          },
          async fail(error = new ProviderError('test', 'unavailable', 'no')) {
            reject(error);
            await settle();
          },
        });
      }),
    { sampleRate: rate, signal: abort.current.signal },
    { provider: 'test/files', bufferMs: 2000, runAhead: false, maxInFlight: 3, ...options },
  );
  const events: SpeechToTextEvent[] = [];
  const ended = (async () => {
    for await (const event of session.events) if (event.type !== 'usage') events.push(event);
  })();
  return { session, jobs, events, ended, abort: abort.current };
}

/** Speech that makes so many windows of 2 s. */
function pushWindows(session: WindowedSession, windows: number): void {
  for (let i = 0; i < windows; i++) {
    session.push(speech(2));
    session.pause();
  }
}

/** Noise with a quiet place of 40 ms every second, at its 900th millisecond. */
function speech(seconds: number): Int16Array {
  return Int16Array.from({ length: seconds * rate }, (_, i) => {
    const gap = i % rate >= 7200 && i % rate < 7520;
    return gap ? 0 : ((i * 7919) % 8009) - 4004;
  });
}

it('a window that was sent and then given up costs its seconds, as a guess, and one that still waited nothing', async () => {
  const controller = new AbortController();
  const sent: number[] = [];
  const session = new WindowedSession(
    (samples, signal) =>
      new Promise((_, reject) => {
        sent.push(samples.length / rate);
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
    { sampleRate: rate, signal: controller.signal },
    { provider: 'test/files', bufferMs: 10_000, runAhead: true, maxInFlight: 1 },
  );
  const bills: unknown[] = [];
  const read = (async () => {
    for await (const event of session.events) if (event.type === 'usage') bills.push(event.usage);
  })();
  session.push(speech(3));
  session.pause();
  // The caller goes on: what is under way is of no use, and the longer window waits for its place.
  session.push(speech(1));
  session.pause();
  session.discardUtterance();
  await settle();
  controller.abort();
  await read;
  expect(sent).toEqual([3]);
  expect(bills).toEqual([{ provider: 'test/files', audioSeconds: 3, estimated: true }]);
});

describe('WindowedSession', () => {
  it('transcribes an utterance that fits the buffer in one piece, at its end', async () => {
    const { session, jobs, events } = open();
    session.push(speech(2));
    expect(jobs).toHaveLength(0);
    expect(session.endUtterance()).toBe(0);
    expect(jobs[0]!.samples).toEqual(speech(2));
    await jobs[0]!.done('Hello.');
    expect(events).toEqual([{ type: 'final', utterance: 0, text: 'Hello.' }]);
  });

  it('closes a window at the first pause after the buffer is full, without losing a sample', async () => {
    const { session, jobs, events } = open();
    const whole = speech(7);
    const at = (second: number) => second * rate;
    session.push(whole.subarray(0, at(1)));
    session.pause();
    expect(jobs).toHaveLength(0);
    session.push(whole.subarray(at(1), at(3)));
    expect(jobs).toHaveLength(0);
    session.pause();
    expect(jobs).toHaveLength(1);
    session.push(whole.subarray(at(3), at(5)));
    session.pause();
    await jobs[0]!.done('I want to.');
    await jobs[1]!.done('Book a table.');
    expect(events).toEqual([
      { type: 'interim', utterance: 0, text: 'I want to.' },
      { type: 'interim', utterance: 0, text: 'I want to book a table.', stable: true },
    ]);
    session.push(whole.subarray(at(5)));
    session.endUtterance();
    expect(jobs.flatMap(({ samples }) => [...samples])).toEqual([...whole]);
    await jobs[2]!.done('For two.');
    expect(events.at(-1)).toEqual({ type: 'final', utterance: 0, text: 'I want to book a table for two.' });
  });

  it('cuts speech without a pause at its quietest place, after three buffers, without losing a sample', () => {
    const { session, jobs } = open({ maxInFlight: 99 });
    const whole = speech(15);
    for (let at = 0; at < whole.length; at += 160) session.push(whole.subarray(at, at + 160));
    session.endUtterance();
    expect(jobs).toHaveLength(3);
    for (const { samples } of jobs.slice(0, 2)) {
      expect(samples.length).toBeLessThanOrEqual(6 * rate);
      expect(samples.length).toBeGreaterThanOrEqual(3 * rate);
      expect(Math.max(...samples.subarray(-40))).toBe(0);
    }
    expect(jobs.flatMap(({ samples }) => [...samples])).toEqual([...whole]);
  });

  it('cuts the same windows however the audio is pushed', () => {
    const whole = speech(20);
    const windows = [160, 161, 4000, whole.length].map((length) => {
      const { session, jobs } = open({ maxInFlight: 99 });
      for (let at = 0; at < whole.length; at += length) session.push(whole.subarray(at, at + length));
      session.endUtterance();
      return jobs.map(({ samples }) => samples.length);
    });
    for (const lengths of windows) expect(lengths).toEqual(windows[0]);
  });

  it('has the text ready at the end of the turn where it was transcribed at the last pause', async () => {
    const { session, jobs, events } = open({ runAhead: true });
    session.push(speech(1));
    session.pause();
    await jobs[0]!.done('Yes, please.');
    expect(events).toEqual([{ type: 'interim', utterance: 0, text: 'Yes, please.', stable: true }]);
    session.endUtterance();
    await settle();
    expect(events.at(-1)).toEqual({ type: 'final', utterance: 0, text: 'Yes, please.' });
    expect(jobs).toHaveLength(1);
  });

  it('calls text stable only where it holds everything up to the pause, and tells so where only that is new', async () => {
    const { session, jobs, events } = open({ runAhead: true, bufferMs: 2_000 });
    session.push(speech(2));
    // Transcribed in the middle of speech: more of it may be on the way.
    await jobs[0]!.done('What time');
    session.push(speech(1));
    session.pause();
    await jobs[1]!.done('What time');
    session.push(speech(1));
    session.pause();
    session.push(speech(1));
    await jobs[2]!.done('What time is it');
    const told = events.flatMap((event) =>
      event.type === 'interim' ? [`${event.text}${event.stable ? ' (stable)' : ''}`] : [],
    );
    expect(told.slice(0, 2)).toEqual(['What time', 'What time (stable)']);
    expect(told.slice(2)).not.toContain('What time is it (stable)');
  });

  it('waits for what it transcribes ahead rather than to ask twice', async () => {
    const { session, jobs, events } = open({ runAhead: true });
    session.push(speech(1));
    session.pause();
    session.endUtterance();
    expect(jobs).toHaveLength(1);
    await jobs[0]!.done('Yes.');
    expect(events).toEqual([{ type: 'final', utterance: 0, text: 'Yes.' }]);
  });

  it('transcribes anew what goes on after a pause, and drops the older request', async () => {
    const { session, jobs, events } = open({ runAhead: true });
    session.push(speech(2).subarray(0, rate));
    session.pause();
    session.push(speech(2).subarray(rate, 2 * rate - 80));
    session.pause();
    expect(jobs[0]!.signal.aborted).toBe(true);
    expect(jobs[1]!.samples).toHaveLength(2 * rate - 80);
    session.endUtterance();
    await jobs[1]!.done('One and two.');
    expect(events).toEqual([{ type: 'final', utterance: 0, text: 'One and two.' }]);
    expect(jobs).toHaveLength(2);
  });

  it('shows what a caller says who makes no pause', async () => {
    const { session, jobs, events } = open({ runAhead: true });
    const whole = speech(5);
    for (let at = 0; at < whole.length; at += 160) session.push(whole.subarray(at, at + 160));
    expect(jobs.map(({ samples }) => samples.length / rate)).toEqual([2, 4]);
    await jobs[1]!.done('Well I was thinking');
    expect(events).toEqual([{ type: 'interim', utterance: 0, text: 'Well I was thinking' }]);
  });

  it.each([0, Number.POSITIVE_INFINITY])('never cuts with a buffer of %d ms', (bufferMs) => {
    const { session, jobs } = open({ bufferMs });
    for (let i = 0; i < 6; i++) session.push(speech(5));
    expect(jobs).toHaveLength(0);
    session.endUtterance();
    expect(jobs[0]!.samples).toHaveLength(30 * rate);
  });

  it('joins texts in the order of the audio, whichever comes first', async () => {
    const { session, jobs, events } = open();
    pushWindows(session, 3);
    session.endUtterance();
    await jobs[2]!.done('three');
    await jobs[1]!.done('two');
    expect(events).toEqual([]);
    await jobs[0]!.done('one');
    expect(events).toEqual([{ type: 'final', utterance: 0, text: 'one two three' }]);
  });

  it('finishes utterances in their order, and shows the next one’s interim text only then', async () => {
    const { session, jobs, events } = open();
    session.push(speech(1));
    expect(session.endUtterance()).toBe(0);
    pushWindows(session, 1);
    await jobs[1]!.done('second begins');
    expect(events).toEqual([]);
    await jobs[0]!.done('first');
    expect(events).toEqual([
      { type: 'final', utterance: 0, text: 'first' },
      { type: 'interim', utterance: 1, text: 'second begins', stable: true },
    ]);
    expect(session.endUtterance()).toBe(1);
  });

  it('has no more windows in flight than it may; the others follow', async () => {
    const { session, jobs } = open({ maxInFlight: 2 });
    pushWindows(session, 6);
    session.endUtterance();
    expect(jobs).toHaveLength(2);
    for (let finished = 0; finished < jobs.length; finished++) {
      expect(jobs.length - finished).toBeLessThanOrEqual(2);
      await jobs[finished]!.done('x');
    }
    expect(jobs.length).toBeGreaterThan(5);
  });

  it('keeps what was understood when a window fails', async () => {
    const { session, jobs, events } = open();
    pushWindows(session, 2);
    session.endUtterance();
    const lost = new ProviderError('test', 'timeout', 'late');
    await jobs[0]!.fail(lost);
    await jobs[1]!.done('for two.');
    expect(events).toEqual([{ type: 'final', utterance: 0, text: 'for two.', lost }]);
  });

  it('has failed when nothing was understood and a window failed, with the first failure', async () => {
    const { session, jobs, events } = open();
    pushWindows(session, 2);
    session.endUtterance();
    const first = new ProviderError('test', 'rate_limited', 'first');
    await jobs[1]!.fail();
    await jobs[0]!.fail(first);
    expect(events).toEqual([{ type: 'failed', utterance: 0, error: first }]);
    session.push(speech(1));
    expect(session.endUtterance()).toBe(1);
    await jobs[2]!.done('Hello.');
    expect(events.at(-1)).toEqual({ type: 'final', utterance: 1, text: 'Hello.' });
  });

  it('does not ask a transcriber about silence, which would invent words for it', async () => {
    const { session, jobs, events } = open();
    session.push(new Int16Array(rate).fill(3));
    session.endUtterance();
    session.endUtterance();
    await settle();
    expect(jobs).toHaveLength(0);
    expect(events).toEqual([0, 1].map((utterance) => ({ type: 'final', utterance, text: '' })));
  });

  it('fills up what is too short for the vendor', () => {
    const { session, jobs } = open();
    session.push(speech(1).subarray(0, 240));
    session.endUtterance();
    expect(jobs[0]!.samples).toHaveLength(1600);
    expect(jobs[0]!.samples.subarray(0, 240)).toEqual(speech(1).subarray(0, 240));
  });

  it('drops what was no speech: its audio, its requests and its text', async () => {
    const { session, jobs, events } = open({ maxInFlight: 1 });
    pushWindows(session, 2);
    session.push(speech(1));
    const dropped = jobs[0]!;
    session.discardUtterance();
    expect(dropped.signal.aborted).toBe(true);
    await settle();
    session.push(speech(1));
    expect(session.endUtterance()).toBe(0);
    expect(jobs).toHaveLength(2);
    expect(jobs[1]!.samples).toEqual(speech(1));
    await jobs[1]!.done('Hello.');
    expect(events).toEqual([{ type: 'final', utterance: 0, text: 'Hello.' }]);
  });

  it('leaves an utterance that has ended alone when the next one is dropped', async () => {
    const { session, jobs, events } = open();
    session.push(speech(1));
    session.endUtterance();
    session.push(speech(3));
    session.discardUtterance();
    await jobs[0]!.done('Hello.');
    expect(events).toEqual([{ type: 'final', utterance: 0, text: 'Hello.' }]);
  });

  it('does not show an interim text that was dropped before it was read', async () => {
    const controller = new AbortController();
    const session = new WindowedSession(
      async () => ({ text: 'cough', usage }),
      { sampleRate: rate, signal: controller.signal },
      { provider: 'test/files', bufferMs: 1000, runAhead: true, maxInFlight: 3 },
    );
    session.push(speech(3));
    await settle();
    session.discardUtterance();
    session.endUtterance();
    const seen: SpeechToTextEvent[] = [];
    for await (const event of session.events) {
      if (event.type === 'usage') continue;
      seen.push(event);
      controller.abort();
    }
    expect(seen).toEqual([{ type: 'final', utterance: 0, text: '' }]);
  });

  it('ends with its signal: requests are aborted, nothing more is yielded, nothing is accepted', async () => {
    const { session, jobs, events, ended, abort } = open();
    pushWindows(session, 2);
    session.endUtterance();
    abort.abort(new Error('hung up'));
    await ended;
    expect(jobs.every((job) => job.signal.aborted)).toBe(true);
    session.push(speech(9));
    session.endUtterance();
    await settle();
    expect(jobs).toHaveLength(2);
    expect(events).toEqual([]);
  });

  it('ends at once if its signal has already fired', async () => {
    const session = new WindowedSession(
      () => Promise.reject(new Error('must not be asked')),
      { sampleRate: rate, signal: AbortSignal.abort() },
      { provider: 'test/files', bufferMs: 2000, runAhead: true, maxInFlight: 3 },
    );
    session.push(speech(3));
    session.endUtterance();
    for await (const event of session.events) expect.unreachable(JSON.stringify(event));
  });

  it('keeps no reference to the samples it is pushed', () => {
    const { session, jobs } = open();
    const samples = speech(1);
    session.push(samples);
    samples.fill(0);
    session.endUtterance();
    expect(jobs[0]!.samples).toEqual(speech(1));
  });
});
