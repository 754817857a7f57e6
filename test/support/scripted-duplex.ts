import { AsyncQueue } from '../../src/call/async-queue.ts';
import type { Clock, Timer } from '../../src/call/clock.ts';
import type { Duplex, DuplexEvent, DuplexOptions } from '../../src/providers/duplex.ts';
import type { ProviderError } from '../../src/providers/ports.ts';

/** Audio of the model comes in pieces of so many milliseconds, silence included. */
const PIECE_MS = 100;
/** How fast it speaks. */
const MS_A_CHARACTER = 50;
const LOUD = 1_000;

/**
 * A model that listens and speaks at the same time, on a fake clock: its line runs in real time from the moment it has a session. What
 * it hears and says is up to the test; it notes what it was told.
 */
export function scriptedDuplex(clock: Clock, { beginMs = 0 }: { beginMs?: number | null } = {}) {
  const told: string[] = [];
  const sessions: DuplexOptions[] = [];
  let events = new AsyncQueue<DuplexEvent | { failed: ProviderError }>();
  let timer: Timer | null = null;
  let lineMs = 0;
  /** Milliseconds that are still to be said, and whether they are loud. */
  let plan: { ms: number; loud: boolean }[] = [];
  let planEndMs = 0;
  let words: { text: string; fromMs: number; untilMs: number }[] = [];
  let heardMs = 0;
  let open = 0;

  const rate = () => sessions.at(-1)!.sampleRate / 1000;
  const tick = () => {
    const samples = new Int16Array(PIECE_MS * rate());
    let filled = 0;
    while (filled < PIECE_MS && plan.length > 0) {
      const next = plan[0]!;
      const ms = Math.min(next.ms, PIECE_MS - filled);
      if (next.loud) samples.fill(LOUD, filled * rate(), (filled + ms) * rate());
      next.ms -= ms;
      filled += ms;
      if (next.ms <= 0) plan.shift();
    }
    for (const word of words.filter(({ fromMs }) => fromMs < lineMs + PIECE_MS)) {
      events.push({ type: 'agentText', ...word });
    }
    words = words.filter(({ fromMs }) => fromMs >= lineMs + PIECE_MS);
    events.push({ type: 'audio', samples, atMs: lineMs });
    lineMs += PIECE_MS;
    timer = clock.after(PIECE_MS, tick);
  };
  const stopLine = () => {
    timer?.cancel();
    timer = null;
    plan = [];
    words = [];
  };
  const begin = () => {
    stopLine();
    planEndMs = lineMs;
    events.push({ type: 'begun' });
    timer = clock.after(PIECE_MS, tick);
  };

  const duplex: Duplex = {
    provider: 'scripted/duplex',
    open(options) {
      sessions.push(options);
      events = new AsyncQueue();
      open++;
      const close = () => {
        stopLine();
        events.end();
      };
      options.signal.addEventListener('abort', () => {
        open--;
        close();
      });
      if (beginMs !== null) timer = clock.after(beginMs, begin);
      return {
        push: (samples) => {
          heardMs += samples.length / rate();
        },
        note: (text) => told.push(`note ${text}`),
        instruct: (text) => told.push(`instruct ${text}`),
        answer: (delegation, text) => told.push(`answer ${delegation}: ${text}`),
        end: () => {
          told.push('end');
          close();
        },
        events: (async function* () {
          for await (const event of events) {
            if ('failed' in event) throw event.failed;
            yield event;
          }
        })(),
      };
    },
  };
  return {
    duplex,
    told,
    sessions,
    begin,
    get open() {
      return open;
    },
    get heardMs() {
      return heardMs;
    },
    emit: (event: DuplexEvent) => events.push(event),
    /** Says it next, 50 ms a character; each word comes with the audio in which it begins. */
    say(text: string) {
      planEndMs = Math.max(planEndMs, lineMs);
      let at = planEndMs;
      for (const word of text.match(/\s*\S+/g) ?? []) {
        const untilMs = at + word.length * MS_A_CHARACTER;
        words.push({ text: word, fromMs: at, untilMs });
        at = untilMs;
      }
      plan.push({ ms: text.length * MS_A_CHARACTER, loud: true });
      planEndMs = at;
    },
    /** Says nothing for a while before what it says next. */
    rest(ms: number) {
      planEndMs = Math.max(planEndMs, lineMs) + ms;
      plan.push({ ms, loud: false });
    },
    /** Has been interrupted, and says no more of what it was to say. */
    yield() {
      plan = [];
      words = [];
      planEndMs = lineMs;
    },
    /** Has understood these words of the caller. */
    hear(text: string) {
      events.push({ type: 'callerText', text, fromMs: Math.max(0, lineMs - 200), untilMs: lineMs });
    },
    lose(error: ProviderError) {
      stopLine();
      events.push({ type: 'lost', error });
    },
    fail(error: ProviderError) {
      stopLine();
      events.push({ failed: error });
      events.end();
    },
  };
}
