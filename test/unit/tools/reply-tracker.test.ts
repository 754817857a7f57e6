import { expect, test } from 'vitest';
import { ReplyTracker } from '../../../tools/caller/reply-tracker.ts';

const parts = {
  endpointWaitMs: 500,
  processingMs: 10,
  providerMs: 200,
  totalMs: 710,
  moments: {},
  providers: [],
};

test('a greeting is a reply to nothing and has no latency', () => {
  const tracker = new ReplyTracker();
  tracker.status('ready');
  expect(tracker.greetingBegun).toBe(false);
  tracker.audio('Hello.', 100, 0, 500);
  expect(tracker.greetingBegun).toBe(true);
  expect(tracker.take(false)).toMatchObject({ text: 'Hello.', latencyMs: null, startMs: 0, endMs: 500 });
});

test('a reply is complete when audio has come and the service is ready again', () => {
  const tracker = new ReplyTracker();
  tracker.utteranceBegins();
  tracker.lastVoiced(1000);
  tracker.status('processing');
  expect(tracker.complete).toBe(false);
  tracker.latency(parts);
  tracker.audio('We open at nine.', 1700, 2000, 2100);
  tracker.audio(null, 1750, 2100, 2200);
  tracker.audio('Anything else?', 1800, 2200, 2300);
  expect(tracker.complete).toBe(false);
  tracker.status('ready');
  expect(tracker.complete).toBe(true);
  expect(tracker.take(false)).toEqual({
    text: 'We open at nine. Anything else?',
    sentences: [
      { text: 'We open at nine.', startMs: 2000 },
      { text: 'Anything else?', startMs: 2200 },
    ],
    latencyMs: 700,
    service: parts,
    startMs: 2000,
    endMs: 2300,
    cutShort: false,
  });
});

test('audio of the reply that is being interrupted does not count as the answer to the interruption', () => {
  const tracker = new ReplyTracker();
  tracker.utteranceBegins();
  tracker.audio('…the old answer goes on', 1000, 0, 100);
  tracker.status('ready');
  expect(tracker.complete).toBe(false);
  expect(tracker.take(true)).toBeNull();
  tracker.status('processing');
  tracker.audio('The new answer.', 2000, 500, 600);
  tracker.status('ready');
  expect(tracker.take(false)?.text).toBe('The new answer.');
});

test('a turn without audio is no reply', () => {
  const tracker = new ReplyTracker();
  tracker.utteranceBegins();
  tracker.status('processing');
  tracker.status('ready');
  expect(tracker.complete).toBe(false);
});

test('every sign of a reply that goes on counts as activity', () => {
  const tracker = new ReplyTracker();
  const seen = [tracker.activity];
  tracker.status('processing');
  seen.push(tracker.activity);
  tracker.audio('Yes.', 0, 0, 1);
  seen.push(tracker.activity);
  tracker.cleared();
  seen.push(tracker.activity);
  expect(seen).toEqual([0, 1, 2, 3]);
});

test('where no dialect tells of it, a reply is what is heard once the caller has finished', () => {
  const tracker = new ReplyTracker(false);
  tracker.audio(null, 100, 0, 500);
  expect(tracker.take(false)).toMatchObject({ text: '', latencyMs: null, endMs: 500 });
  tracker.utteranceBegins();
  tracker.audio(null, 900, 800, 900);
  expect(tracker.complete).toBe(false);
  tracker.lastVoiced(1000);
  tracker.audio(null, 1800, 2000, 2400);
  expect(tracker.complete).toBe(true);
  expect(tracker.take(false)).toMatchObject({ latencyMs: 800, startMs: 2000, endMs: 2400 });
});
