import type { AgentConfig } from '../../src/call/agent-config.ts';
import { DuplexEngine, type DuplexEngineOptions } from '../../src/call/duplex-engine.ts';
import { type CallEvent, CallEvents } from '../../src/call/events.ts';
import { Playout } from '../../src/call/playout.ts';
import { Turns } from '../../src/call/turn.ts';
import { readyAudio, testAgent } from './call-harness.ts';
import { FakeClock } from './fake-clock.ts';
import { scriptedDuplex } from './scripted-duplex.ts';
import { type Script, scriptedProviders } from './scripted-providers.ts';

/** A duplex engine on a fake clock with a scripted model, a leg that notes what it is told, and a caller to speak. */
export function createDuplexCall(
  options: {
    script?: Partial<Script>;
    agent?: Partial<AgentConfig>;
    engine?: Partial<DuplexEngineOptions>;
    beginMs?: number | null;
  } = {},
) {
  const clock = new FakeClock();
  const startTime = clock.now();
  const { providers, asked, plan } = scriptedProviders(clock, options.script);
  const model = scriptedDuplex(clock, options.beginMs === undefined ? {} : { beginMs: options.beginMs });
  const seen: CallEvent[] = [];
  const leg = {
    said: [] as { at: number; ms: number }[],
    actions: [] as string[],
    /** What the caller's ear got: milliseconds of voice. */
    heardMs: 0,
  };
  const events = new CallEvents(clock.now.bind(clock), (error) => {
    throw error;
  });
  events.listen((event) => seen.push(event));
  const playout = new Playout({
    clock,
    sampleRate: 8000,
    pieceMs: 100,
    leadMs: 300,
    send: (samples) => leg.said.push({ at: clock.now() - startTime, ms: samples.length / 8 }),
    flush: () => {},
    mark: () => false,
    onHeard: (samples) => {
      leg.heardMs += samples.filter((sample) => sample !== 0).length / 8;
    },
  });
  const detector = {
    open: true,
    isVoiced: (frame: Int16Array) => frame.some((sample) => sample !== 0),
    reset: () => {},
    close() {
      detector.open = false;
    },
  };
  const engine = new DuplexEngine({
    clock,
    events,
    playout,
    providers,
    duplex: model.duplex,
    agent: { ...testAgent, greeting: '', ...options.agent },
    sampleRate: 8000,
    speechCache: readyAudio(),
    createTools: () => null,
    turns: new Turns(),
    actions: {
      hangUp: () => leg.actions.push('hang up'),
      transfer: (to) => leg.actions.push(`transfer ${to}`) > 0,
      pressDigits: (digits) => leg.actions.push(`press ${digits}`) > 0,
    },
    detector,
    startTime,
    leg: {
      canClear: true,
      clear: () => leg.actions.push('clear'),
      hangUp: (reason) => leg.actions.push(`hang up: ${reason}`),
    },
    ...options.engine,
  });
  let position = 0;
  const frames = async (ms: number, value: number) => {
    for (let at = 0; at < ms; at += 20) {
      await clock.advance(20);
      playout.settle();
      engine.audio(new Int16Array(160).fill(value), position, clock.now());
      position += 160;
    }
  };
  return {
    engine,
    clock,
    startTime,
    model,
    asked,
    plan,
    providers,
    playout,
    events: seen,
    leg,
    detector,
    speak: (ms: number) => frames(ms, 1000),
    silence: (ms: number) => frames(ms, 0),
    /** Ends the call as `Call` does. */
    finish: async () => {
      const finished = engine.finish(30_000);
      playout.close();
      await clock.advance(0);
      await finished;
    },
    ofType: <T extends CallEvent['type']>(type: T) =>
      seen.filter((event): event is Extract<CallEvent, { type: T }> => event.type === type),
    turns: () => seen.flatMap((event) => (event.type === 'turn.recorded' ? [event.turn] : [])),
    /** What the record holds: who said what. */
    transcript: () =>
      seen.flatMap((event) =>
        event.type === 'turn.recorded' ? [`${event.turn.role}: ${event.turn.text}`] : [],
      ),
  };
}
