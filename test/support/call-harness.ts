import {
  type AgentConfig,
  defaultEndpointing,
  defaultInterruption,
  defaultSilence,
} from '../../src/call/agent-config.ts';
import { Call } from '../../src/call/call.ts';
import type { CallOptions } from '../../src/call/call-options.ts';
import { defaultDtmf } from '../../src/call/dtmf.ts';
import { type CallEvent, CallEvents, type CallListener } from '../../src/call/events.ts';
import type { AudioChunk } from '../../src/call/journal.ts';
import type { Closing, Leg } from '../../src/call/leg.ts';
import { defaultModelRule } from '../../src/call/model-rule.ts';
import { anonymous } from '../../src/call/principal.ts';
import { defaultSpeculation } from '../../src/call/speculation.ts';
import type { Dialect, LegHandler, StartRequest } from '../../src/dialects/dialect.ts';
import type { SpeechToText, TextToSpeechRequest } from '../../src/providers/ports.ts';
import type { SpeechToSpeech } from '../../src/providers/speech-to-speech.ts';
import { FakeClock } from './fake-clock.ts';
import { type Script, scriptedProviders } from './scripted-providers.ts';

/** Round times to count with, and answers that are heard as soon as they are made: the defaults are what a benchmark found best. */
export const testEndpointing = { ...defaultEndpointing, endMs: 500, speakMs: 0 };

export const testAgent: AgentConfig = {
  version: 'test',
  owner: null,
  prompt: 'You are a test.',
  greeting: 'Hello there.',
  apology: 'Sorry about that.',
  voice: 'voice',
  language: null,
  maxOutputTokens: 100,
  historyMessages: 10,
  endpointing: testEndpointing,
  interruption: defaultInterruption,
  silence: defaultSilence,
  dtmf: defaultDtmf,
  speculation: { ...defaultSpeculation, ahead: 'nothing' },
  voices: {},
  model: defaultModelRule,
  tools: { builtIn: { hangUp: false, pressDigits: false }, http: [] },
  faq: [],
  keywords: [],
  machineDetection: null,
  recording: true,
  recordingNotice: '',
  redaction: [],
};

/** An empty store of ready audio, to be shared by calls. */
export function readyAudio(): CallOptions['speechCache'] {
  const audio = new Map<string, Int16Array>();
  return {
    identity: 'test',
    store: {
      get: async (key) => audio.get(key) ?? null,
      put: (key, samples) => audio.set(key, samples),
    },
  };
}

/** A call on a fake clock with scripted providers, a leg that notes what it is told, and a caller to speak. */
export function createCall(
  options: {
    script?: Partial<Script>;
    agent?: Partial<AgentConfig>;
    call?: Partial<CallOptions>;
    /** Milliseconds since the epoch. */
    startsAt?: number;
    /** Waits for what is under way outside the fake clock. */
    flush?: () => Promise<void>;
    /** One model in place of all three. */
    scriptedSpeech?: (clock: FakeClock) => SpeechToSpeech;
    /** In place of the scripted one. */
    speechToText?: (clock: FakeClock) => SpeechToText;
    /** Hears the call's events from the start. */
    listen?: CallListener;
  } = {},
) {
  const clock = new FakeClock(options.startsAt);
  const startedAt = clock.now();
  const scripted = scriptedProviders(clock, options.script);
  scripted.providers.speechToSpeech = options.scriptedSpeech?.(clock) ?? null;
  if (options.speechToText !== undefined) scripted.providers.speechToText = options.speechToText(clock);
  const events: CallEvent[] = [];
  const chunks: AudioChunk[] = [];
  const leg = {
    /** Each piece of audio: when it was sent, its length, and its sentence on the first. */
    said: [] as { at: number; ms: number; text: string | null }[],
    actions: [] as string[],
    closed: null as Closing | null,
  };
  let handler: LegHandler | null = null;
  const dialect: { -readonly [key in keyof Dialect]: Dialect[key] } = {
    name: 'test',
    pieceMs: 100,
    leadMs: 300,
    canClear: true,
    canMark: false,
    hangsUpByClosing: false,
    receive(_message, receiver) {
      handler = receiver;
    },
    say: (samples, text) => leg.said.push({ at: clock.now() - startedAt, ms: samples.length / 8, text }),
    flush: () => {},
    clear: () => leg.actions.push('clear'),
    mark: (name) => leg.actions.push(`mark ${name}`),
    transfer: (to) => leg.actions.push(`transfer ${to}`) > 0,
    cancelTransfer: () => leg.actions.push('cancel transfer'),
    pressDigits: (digits) => leg.actions.push(`press ${digits}`) > 0,
    hangUp: () => leg.actions.push('hang up'),
    show: () => {},
  };
  const callLeg: Leg = {
    dialect,
    close: (closing) => {
      leg.closed ??= closing;
    },
  };
  const callEvents = new CallEvents(clock.now.bind(clock), (error) => {
    throw error;
  });
  callEvents.listen((event) => events.push(event));
  if (options.listen !== undefined) callEvents.listen(options.listen);
  const detectors = { open: 0 };
  const released: string[] = [];
  const call = new Call({
    clock,
    leg: callLeg,
    events: callEvents,
    principal: anonymous,
    providers: scripted.providers,
    speechCache: readyAudio(),
    callId: 'leg-1',
    callIdBound: false,
    resumeToken: 'token',
    limits: {
      callMs: 300_000,
      startMs: 30_000,
      idleMs: 30_000,
      aheadMs: 30_000,
      graceMs: 30_000,
      messagesPerSecond: 200,
    },
    spoolMs: 2_000,
    createDetector: () => {
      detectors.open++;
      return {
        isVoiced: (frame) => frame.some((sample) => sample !== 0),
        reset: () => {},
        close: () => {
          detectors.open--;
        },
      };
    },
    resolveAgent: async () => ({ ...testAgent, ...options.agent }),
    createTools: () => null,
    claimCallId: async () => true,
    mayBeHere: () => true,
    isBlocked: async () => false,
    releaseCallId: (callId) => released.push(callId),
    funds: null,
    slots: null,
    storeAudio: (chunk) => {
      chunks.push(chunk);
      return false;
    },
    ...options.call,
  });
  // One that was taken up has lost its leg, and takes nothing before it has another.
  dialect.receive('', call);
  const leg2 = handler as unknown as LegHandler;
  const frames = async (ms: number, value: number) => {
    for (let at = 0; at < ms; at += 20) {
      await clock.advance(20);
      await options.flush?.();
      call.receive('', callLeg);
      leg2.audio(new Int16Array(160).fill(value));
    }
  };
  return {
    call,
    callLeg,
    clock,
    /** Milliseconds since the harness was made. */
    elapsed: () => clock.now() - startedAt,
    ...scripted,
    events,
    chunks,
    leg,
    from: leg2,
    dialect,
    detectors,
    released,
    start: async (request: Partial<StartRequest> = {}) => {
      leg2.start({
        callId: 'call-1',
        userId: 'user-1',
        metadata: {},
        sampleRate: 8000,
        resumeToken: null,
        ...request,
      });
      await clock.advance(0);
    },
    speak: (ms: number) => frames(ms, 1000),
    silence: (ms: number) => frames(ms, 0),
    ofType: <T extends CallEvent['type']>(type: T) =>
      events.filter((event): event is Extract<CallEvent, { type: T }> => event.type === type),
    /** What the record holds: who said what. */
    transcript: () => {
      const lines = new Map<number, string>();
      for (const event of events) {
        if (event.type !== 'turn.recorded') continue;
        lines.set(event.turn.position, `${event.turn.role}: ${event.turn.text}`);
      }
      return [...lines.values()];
    },
  };
}

/** What text-to-speech is asked for from now on. */
export function spokenRequests(call: ReturnType<typeof createCall>): TextToSpeechRequest[] {
  const requests: TextToSpeechRequest[] = [];
  const { speak } = call.providers.textToSpeech;
  call.providers.textToSpeech.speak = (request, signal) => {
    requests.push(request);
    return speak(request, signal);
  };
  return requests;
}
