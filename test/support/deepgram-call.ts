import {
  type DeepgramSpeechToTextSettings,
  deepgramSpeechToText,
} from '../../src/providers/deepgram/speech-to-text.ts';
import type { SpeechToTextEvent, SpeechToTextOptions } from '../../src/providers/ports.ts';
import { type DeepgramDouble, deepgramDouble, type Fault } from './deepgram-double.ts';
import { FakeClock } from './fake-clock.ts';
import { dialFromNode } from './socket-double.ts';

/** Lets the event loop go round until it holds; the test's own time-out bounds it. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Lets everything arrive that is on its way over loopback. */
export async function arrivals(): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** One speech-to-text session against the double, whose connections misbehave in turn. */
export async function deepgramCall(
  faults: Fault[] = [],
  settings: Partial<DeepgramSpeechToTextSettings> = {},
  options: Partial<SpeechToTextOptions> = {},
) {
  const double: DeepgramDouble = await deepgramDouble(faults);
  const clock = new FakeClock();
  const hangUp = new AbortController();
  const provider = deepgramSpeechToText(
    { apiKey: 'key', baseUrl: double.url, model: 'nova-3', dial: dialFromNode, ...settings },
    clock,
  );
  const session = provider.open({ sampleRate: 8000, language: 'en', signal: hangUp.signal, ...options });
  const events: SpeechToTextEvent[] = [];
  const over = (async () => {
    for await (const event of session.events) events.push(event);
  })();
  return {
    double,
    clock,
    session,
    events,
    hangUp,
    over,
    /** Finals and failures so far. */
    results: () => events.filter((event) => event.type === 'final' || event.type === 'failed'),
    interims: () => events.filter((event) => event.type === 'interim'),
    /** So many connections were opened, and the session knows it. */
    async connected(count = 1): Promise<void> {
      await eventually(() => double.connections.length >= count);
      await arrivals();
    },
    result: (number = 0) =>
      eventually(() => events.some((event) => isResult(event) && event.utterance === number)),
    /** Lets time pass in steps, each with everything arriving that it has caused. */
    async pass(ms: number, stepMs = 80): Promise<void> {
      for (let left = ms; left > 0; left -= stepMs) {
        await clock.advance(Math.min(stepMs, left));
        await arrivals();
      }
    },
    async close(): Promise<void> {
      hangUp.abort();
      await over;
      await double.close();
    },
  };
}

function isResult(event: SpeechToTextEvent): event is SpeechToTextEvent & { type: 'final' | 'failed' } {
  return event.type === 'final' || event.type === 'failed';
}
