// What `cpu` measures: the stages of a call, each by itself, in workerd. `?stage=NAME&seconds=N` does what N seconds of a call need.
import { DurableObject } from 'cloudflare:workers';
import fvadWasm from '@echogarden/fvad-wasm/fvad.wasm';
import { aboveBackground } from 'source/audio/background.ts';
import { decodeMulaw, encodeMulaw } from 'source/audio/g711.ts';
import { withoutTones } from 'source/audio/tones.ts';
import { loadVoiceActivity } from 'source/audio/voice-activity.ts';
import { defaultEndpointing } from 'source/call/agent-config.ts';
import { systemClock } from 'source/call/clock.ts';
import { Listener } from 'source/call/listener.ts';
import { Playout } from 'source/call/playout.ts';
import { RecordingTimeline } from 'source/call/recording-timeline.ts';
import { SqliteJournal } from 'source/durable/sqlite-journal.ts';
import { migrate } from 'source/durable/storage.ts';
import { openAiSpeechToText } from 'source/providers/openai/speech-to-text.ts';

const RATE = 8_000;
const FRAME = 160;
const FRAMES = 50;
/** As the service has it by default: `SPOOL_INTERVAL` less what late frames may take. */
const CHUNK_MS = 1_600;

const noSession = {
  events: (async function* () {})(),
  push: () => {},
  pause: () => {},
  endUtterance: () => 0,
  discardUtterance: () => {},
};
const nobody = new Proxy({}, { get: () => () => {} });

/** Every stage is made anew for a run, so that none is run on another one's state. */
const stages = {
  decode: () => {
    const out = new Int16Array(FRAME);
    return ({ bytes }) => decodeMulaw(bytes, out);
  },
  'voice activity': (object) => {
    const detector = object.detectors.create({ sampleRate: RATE });
    return ({ samples }) => detector.isVoiced(samples);
  },
  'voice activity, tones': (object) => {
    const detector = withoutTones(object.detectors.create({ sampleRate: RATE }), RATE);
    return ({ samples }) => detector.isVoiced(samples);
  },
  'voice activity, tones, background': (object) => {
    const voice = object.detectors.create({ sampleRate: RATE });
    const detector = aboveBackground(withoutTones(voice, RATE), RATE);
    return ({ samples }) => detector.isVoiced(samples);
  },
  endpointing: () => {
    const listener = new Listener({
      clock: { now: () => 0, after: () => ({ cancel: () => {} }) },
      sampleRate: RATE,
      endpointing: defaultEndpointing,
      language: null,
      keywords: [],
      detector: { isVoiced: (frame) => frame[0] !== 0, reset: () => {}, close: () => {} },
      speechToText: { open: () => noSession },
      handler: nobody,
    });
    return ({ samples }, i) => listener.push(samples, i * FRAME, i * 20);
  },
  mix: () => {
    const timeline = new RecordingTimeline({
      sampleRate: RATE,
      startTime: 0,
      chunkMs: CHUNK_MS,
      store: () => true,
    });
    return ({ samples }, i) => {
      const now = (i + 1) * 20;
      timeline.caller(samples, now);
      // Half of the time it is the agent who speaks, in pieces of 100 ms.
      if (i % 10 === 0) timeline.agent(samples, now - 20);
      if (i % 80 === 0) timeline.storeUntil(now);
    };
  },
  spool: (object) => {
    const caller = new Int16Array((RATE * CHUNK_MS) / 1_000).fill(7);
    const journal = object.journal();
    let index = 0;
    return async (_, i) => {
      if (i % 80 !== 79) return;
      // Sound on one side: who listens is silent.
      journal.appendAudio({ index: index++, length: caller.length, caller, agent: null });
      await object.ctx.storage.sync();
    };
  },
  transcribe: (object) => {
    const { signal } = new AbortController();
    const session = openAiSpeechToText({
      apiKey: 'bench',
      baseUrl: object.env.SPEECH_TO_TEXT,
      model: 'gpt-transcribe',
    }).open({ sampleRate: RATE, signal });
    const events = session.events[Symbol.asyncIterator]();
    return async ({ samples }, i) => {
      // Two seconds of speech, then two seconds of silence; its window is sent at the pause, and is the whole utterance.
      const at = i % 200;
      if (at < 95) session.push(samples);
      if (at === 95) session.pause();
      if (at !== 120) return;
      session.endUtterance();
      for (;;) if ((await events.next()).value.type === 'final') return;
    };
  },
  playout: () => {
    let now = 0;
    let due = null;
    const clock = {
      now: () => now,
      after: (ms, task) => {
        due = { at: now + ms, task };
        return { cancel: () => (due = null) };
      },
    };
    const playout = new Playout({
      clock,
      sampleRate: RATE,
      pieceMs: 100,
      leadMs: 300,
      send: () => {},
      flush: () => {},
      mark: () => false,
      onHeard: () => {},
    });
    let segment = null;
    return ({ samples }, i) => {
      now = i * 20;
      // An answer of two seconds every four.
      if (i % 200 === 0) segment = playout.begin('An answer of about two seconds.');
      if (i % 200 < 100) segment.push(samples.slice());
      if (i % 200 === 99) segment.end(true);
      while (due !== null && due.at <= now) {
        const { task } = due;
        due = null;
        task();
      }
    };
  },
  encode: () => {
    // The agent speaks half of the time.
    return ({ samples }, i) => (i % 2 === 0 ? encodeMulaw(samples) : null);
  },
  timers: () => async (_, i) => {
    // One for each chunk of the recording.
    if (i % 80 === 0) await new Promise((resolve) => systemClock.after(0, resolve));
  },
};

export class Stages extends DurableObject {
  detectors = null;

  journal() {
    migrate(this.ctx.storage.sql);
    return new SqliteJournal(this.ctx.storage.sql);
  }

  async fetch(request) {
    const query = new URL(request.url).searchParams;
    this.detectors ??= await loadVoiceActivity(fvadWasm);
    const bytes = new Uint8Array(await request.arrayBuffer());
    const frames = Array.from({ length: Math.floor(bytes.length / FRAME) }, (_, i) => {
      const frame = bytes.subarray(i * FRAME, (i + 1) * FRAME);
      return { bytes: frame, samples: decodeMulaw(frame) };
    });
    const stage = stages[query.get('stage')](this);
    const total = Number(query.get('seconds')) * FRAMES;
    for (let i = 0; i < total; i++) {
      const result = stage(frames[i % frames.length], i);
      if (result instanceof Promise) await result;
    }
    return new Response('done');
  }
}

export default {
  fetch(request, env) {
    if (request.method === 'GET') return Response.json(Object.keys(stages));
    return env.STAGES.get(env.STAGES.newUniqueId()).fetch(request);
  },
};
