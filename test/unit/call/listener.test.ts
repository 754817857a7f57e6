import { describe, expect, it } from 'vitest';
import { defaultEndpointing } from '../../../src/call/agent-config.ts';
import { Listener, type ListenerHandler, type Utterance } from '../../../src/call/listener.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const FRAME = 160;

/** A listener whose detector finds voice in these frames; every sample of a frame is the frame's number. */
function listenTo(voiced: (frame: number) => boolean) {
  const clock = new FakeClock();
  const heard: number[] = [];
  const pausedAfter: number[] = [];
  const utterances: Utterance[] = [];
  const nothing = () => {};
  const handler: ListenerHandler = {
    ...{ speechStarted: nothing, interim: nothing, turnJudgedOver: nothing, languageHeard: nothing },
    ...{ transcribed: nothing, transcriptionFailed: nothing, usage: nothing, failedOver: nothing },
    utteranceEnded: (utterance) => void utterances.push(utterance),
  };
  const listener = new Listener({
    clock,
    sampleRate: 8000,
    endpointing: defaultEndpointing,
    language: null,
    keywords: [],
    detector: { isVoiced: (frame) => voiced(frame[0]!), reset: nothing, close: nothing },
    speechToText: {
      open: () => ({
        events: (async function* (): AsyncGenerator<never> {})(),
        push: (samples) => void heard.push(...samples),
        pause: () => void pausedAfter.push(heard.length),
        endUtterance: () => utterances.length,
        discardUtterance: nothing,
      }),
    },
    handler,
  });
  return { clock, listener, heard, pausedAfter, utterances };
}

describe('the listener', () => {
  // A dialect decodes each frame into the buffer of the one before it.
  it.each([
    ['frames of 20 ms, of which it makes no copy', FRAME],
    ['parts of frames', 100],
    ['several frames at once', 400],
  ])('hears what was said, in order and whole, in a buffer that is used again: %s', (_, length) => {
    // Speech with a short pause in it, and then silence.
    const { clock, listener, heard, pausedAfter, utterances } = listenTo(
      (frame) => (frame >= 20 && frame < 30) || (frame >= 34 && frame <= 40),
    );
    const line = Int16Array.from({ length: 100 * FRAME }, (__, i) => Math.floor(i / FRAME));
    const buffer = new Int16Array(length);
    for (let at = 0; at < line.length; at += length) {
      buffer.set(line.subarray(at, at + length));
      listener.push(buffer, at, clock.now());
      buffer.fill(-1);
    }
    listener.close();
    // From 300 ms before the sixth voiced frame to 240 ms of silence.
    expect(heard).toEqual([...line.subarray(10 * FRAME, 53 * FRAME)]);
    expect(pausedAfter).toEqual([43 * FRAME]);
    expect(utterances).toMatchObject([{ startSample: 10 * FRAME, endSample: 41 * FRAME }]);
  });
});
