import type { VoiceActivityDetector } from '../../src/audio/voice-activity.ts';
import {
  defaultInterruption,
  defaultSilence,
  type EndpointingOptions,
  type InterruptionOptions,
} from '../../src/call/agent-config.ts';
import { FRAME_MS } from '../../src/call/endpointing.ts';
import { defaultSpeculation } from '../../src/call/speculation.ts';
import { createCall } from '../../test/support/call-harness.ts';
import { type Timings, TYPICAL, timingsNamed } from '../provider-timings.ts';
import { lineRate } from './clips.ts';
import type { Scene } from './scenes.ts';
import { TimedSpeechToText, type Transcriber } from './timed-speech-to-text.ts';

/** What is varied. */
export interface Settings {
  name: string;
  endpointing: EndpointingOptions;
  interruption?: InterruptionOptions;
  /** Of the vendors; absent: as published. */
  timings?: Timings;
  /** One for audio at {@link lineRate}. */
  createDetector(): VoiceActivityDetector;
}

/** What became of a turn. */
export interface TurnOutcome {
  scene: Scene;
  /** From the true end to the call's decision to answer, in milliseconds; negative: it cut the caller off. Null: it never answered. */
  waitMs: number | null;
  /** The caller heard the agent before the true end. */
  spokenOver: boolean;
  /** The call had decided too early, and took that back: what came is one turn. */
  takenBack: boolean;
  /** From the true end to the first audio of the answer that the caller heard after it; null: there was none. */
  audioMs: number | null;
  /** What the turn was answered to. */
  text: string;
}

/** What became of a sound over the agent's speech. */
export interface OverlapOutcome {
  scene: Scene;
  /** From its first voiced sample until the agent fell silent, for a moment or for good; null: it did not. */
  silentAfterMs: number | null;
  /** Until it was judged to be an interruption; null: it was not. */
  interruptedAfterMs: number | null;
  text: string;
}

/** Published figures: how they are known stands in bench/provider-timings.ts. */
export const timings = timingsNamed(TYPICAL);

/** Said over which the sounds come: some 16 s, without a question, and without the words of any clip. */
const MONOLOGUE =
  'Thanks a lot. The workshop repairs bicycles of every kind from Tuesday until Saturday. ' +
  'Small repairs are finished while customers drink coffee. Larger jobs need about three days. ' +
  'Wheels, brakes and lights are in stock. Electric bicycles are looked after by Martin, who has learned his trade in Holland. ' +
  'Spare parts arrive every Thursday morning.';

/** The answer, in tokens: as in `npm run bench -- pipeline`, its first sentence has twelve. No clip has its words. */
const ANSWER = 'Thanks| a| lot|,| the| workshop| repairs| wheels| until| Saturday| morning|.'.split('|');

/** Longer than a call waits at its end for what is still being transcribed. */
const FINISH_MS = 20_000;
const FRAME = (lineRate * FRAME_MS) / 1_000;

/** Plays a turn to a call that listens, until the caller has finished and hears an answer. */
export async function playTurn(
  scene: Scene,
  settings: Settings,
  transcriber: Transcriber,
): Promise<TurnOutcome> {
  const { call, frame } = callFor(scene, settings, transcriber, '');
  await call.start();
  const endMs = toMs(scene.talk.end);
  let outcome: TurnOutcome = {
    scene,
    waitMs: null,
    spokenOver: false,
    takenBack: false,
    audioMs: null,
    text: '',
  };
  for (let at = 0; at + FRAME <= scene.line.length; at += FRAME) {
    await frame(scene.line.subarray(at, at + FRAME));
    const turn = call.ofType('turn.recorded').find((event) => event.turn.role === 'caller')?.turn;
    if (turn !== undefined && outcome.waitMs === null) {
      outcome = { ...outcome, waitMs: call.elapsed() - endMs, text: turn.text };
    }
    if (outcome.waitMs !== null && call.leg.said.some(({ at }) => at >= endMs)) break;
  }
  outcome.spokenOver = call.leg.said.some(({ at }) => at < endMs);
  outcome.takenBack = call.ofType('turn.reopened').length > 0;
  const answeredAt = call.leg.said.find(({ at }) => at >= endMs)?.at;
  outcome.audioMs = answeredAt === undefined ? null : answeredAt - endMs;
  await finish(call);
  return outcome;
}

/** Plays a sound to a call whose agent is speaking. */
export async function playOverlap(
  scene: Scene,
  settings: Settings,
  transcriber: Transcriber,
): Promise<OverlapOutcome> {
  const { call, frame } = callFor(scene, settings, transcriber, MONOLOGUE);
  await call.start();
  const startMs = toMs(scene.talk.start);
  const outcome: OverlapOutcome = { scene, silentAfterMs: null, interruptedAfterMs: null, text: '' };
  for (let at = 0; at + FRAME <= scene.line.length; at += FRAME) {
    await frame(scene.line.subarray(at, at + FRAME));
    if (call.leg.actions.length > 0) outcome.silentAfterMs ??= call.elapsed() - startMs;
    const judged = call.ofType('overlap').find((event) => event.outcome === 'interrupted');
    if (judged !== undefined) {
      outcome.interruptedAfterMs = call.elapsed() - startMs;
      outcome.text = judged.text;
      break;
    }
  }
  outcome.text ||= call.ofType('overlap').at(-1)?.text ?? '';
  await finish(call);
  return outcome;
}

/** A call as the service makes it, but for its clock, its leg and its providers. */
function callFor(scene: Scene, settings: Settings, transcriber: Transcriber, greeting: string) {
  const { speechToTextMs, firstTokenMs, tokensPerSecond, firstAudioMs } = settings.timings ?? timings;
  let heard: TimedSpeechToText | null = null;
  const call = createCall({
    agent: {
      greeting,
      language: 'en',
      endpointing: settings.endpointing,
      interruption: settings.interruption ?? defaultInterruption,
      silence: defaultSilence,
      speculation: defaultSpeculation,
    },
    script: {
      answer: () => ANSWER,
      firstTokenMs,
      tokenMs: 1_000 / tokensPerSecond,
      firstAudioMs,
    },
    call: { createDetector: () => experienced(settings.createDetector(), scene.before) },
    speechToText: (clock) => {
      heard = new TimedSpeechToText(transcriber, clock, speechToTextMs);
      return heard;
    },
  });
  const frame = async (samples: Int16Array) => {
    await call.clock.advance(FRAME_MS);
    if (heard?.busy) {
      await heard.settled();
      await call.clock.advance(0);
    }
    call.call.receive('', call.callLeg);
    call.from.audio(samples);
  };
  return { call, frame };
}

const toMs = (samples: number) => (samples * 1_000) / lineRate;

/** A detector that has heard what the line brought before. */
function experienced(detector: VoiceActivityDetector, before: Int16Array): VoiceActivityDetector {
  for (let at = 0; at + FRAME <= before.length; at += FRAME) {
    detector.isVoiced(before.subarray(at, at + FRAME));
  }
  return detector;
}

/** Ends a call, and lets go of what it holds. */
async function finish(call: ReturnType<typeof createCall>): Promise<void> {
  call.call.hangUp();
  await call.clock.advance(FINISH_MS);
}
