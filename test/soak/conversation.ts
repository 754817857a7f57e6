import type { Call } from '../../tools/caller/call.ts';
import { CallFailedError, placeCall } from '../../tools/caller/place-call.ts';
import type { CallOptions, CallReport, Reply } from '../../tools/caller/types.ts';
import type { Heard, Knock, Said, Told } from './facts.ts';
import type { CallPlan, Wire } from './plan.ts';
import { type Question, questions, voice } from './questions.ts';
import { loudMs } from './recording.ts';

/** The longest wait for anything of a conversation, and the longest call: the service's own are shorter. */
const PATIENCE_MS = 30_000;
const MOST_CALL_MS = 150_000;

/** Where calls go, and what callers speak with. */
export interface Scene {
  /** `ws://…`, without a path. */
  url: string;
  /** Distinguishes the calls of a run from those of another. */
  name: string;
  speech(text: string, sampleRate: 8000 | 16000, voice: string): Promise<Int16Array>;
}

export function urlOf(scene: Scene, wire: Pick<Wire, 'as'> = {}): string {
  return `${scene.url}/ws/${wire.as ?? 'call-session'}`;
}

export function idOf(scene: Scene, { index, kind }: CallPlan): string {
  return `${scene.name}-${index}-${kind}`;
}

/** One call, and what its caller knows of it afterwards. Never rejects. */
export class Conversation {
  readonly knocks: Knock[] = [];
  readonly #scene: Scene;
  readonly #plan: CallPlan;
  readonly #said: (Omit<Said, 'reply' | 'startMs' | 'endMs'> & { utterance: number })[] = [];

  constructor(scene: Scene, plan: CallPlan) {
    this.#scene = scene;
    this.#plan = plan;
  }

  get callId(): string {
    return idOf(this.#scene, this.#plan);
  }

  /** Places the call; `options` go before what the plan says. */
  async place(script: (call: Call) => Promise<void>, options: Partial<CallOptions> = {}): Promise<Told> {
    const { wire, user, namesCall } = this.#plan;
    const beganAt = performance.now();
    const { as, transport, encoding, sampleRate } = wire;
    const ended = await placeCall({
      url: urlOf(this.#scene, wire),
      ...(namesCall ? { callId: this.callId } : {}),
      userId: user,
      metadata: { phoneNumber: '+15550100', to: '+15550199' },
      ...(as === undefined ? { transport, encoding, sampleRate } : { as }),
      timeoutMs: PATIENCE_MS,
      maxCallMs: MOST_CALL_MS,
      keepAudio: false,
      ...options,
      script,
    }).then(
      (report) => ({ report, failure: null }),
      (error: unknown) => ({
        report: error instanceof CallFailedError ? error.report : null,
        failure: error instanceof Error ? error.message : String(error),
      }),
    );
    return this.#told(ended.report, ended.failure, beganAt);
  }

  /** Asks, and waits for the answer to its end. */
  async ask(call: Call, question: Question): Promise<void> {
    await this.say(call, question, true);
    await call.waitForReply();
  }

  async say(call: Call, question: Question, waited: boolean): Promise<void> {
    const samples = await this.prepare(call, question);
    const { text, answer } = question;
    const utterance = call.report().utterances.length;
    this.#said.push({ text, answer, waited, loudMs: loudMs(samples, call.sampleRate), utterance });
    await call.say(samples, text);
  }

  /** Has what will be said made. */
  prepare(call: Pick<Call, 'sampleRate'>, { text }: Question): Promise<Int16Array> {
    return this.#scene.speech(text, call.sampleRate, voice);
  }

  #told(report: CallReport | null, failure: string | null, beganAt: number): Told {
    const common = { failure, beganAt, endedAt: performance.now(), knocks: this.knocks };
    if (report === null) return { ...noCall(this.callId), ...common };
    return {
      callId: report.callId,
      begun: true,
      ...common,
      errors: report.errors.map(({ code }) => code),
      close: report.close?.code ?? null,
      durationMs: report.durationMs,
      sentMs: report.frames.sent * 20,
      said: this.#said.flatMap(({ utterance, ...said }) => {
        const heard = report.utterances[utterance];
        // It was in the middle of being said when the call ended.
        if (heard === undefined) return [];
        const { voicedStartMs: startMs, voicedEndMs: endMs, reply } = heard;
        return [{ ...said, startMs, endMs, reply: heardIn(reply) }];
      }),
      greeting: heardIn(report.greeting),
      resumes: report.drops.filter(({ lastedMs }) => lastedMs !== null).length,
      lateMs: report.frames.latestMs,
      skippedMs: report.frames.slippedMs,
    };
  }
}

/** Of a caller whose call never began. */
export function noCall(callId: string): Omit<Told, 'failure' | 'beganAt' | 'endedAt' | 'knocks'> {
  return {
    callId,
    begun: false,
    errors: [],
    close: null,
    durationMs: 0,
    sentMs: 0,
    said: [],
    greeting: null,
    resumes: 0,
    lateMs: 0,
    skippedMs: 0,
  };
}

function heardIn(reply: Reply | null): Heard | null {
  if (reply === null) return null;
  const { startMs, endMs, latencyMs } = reply;
  const sentences = reply.sentences.map(({ text }) => text).filter((text) => text !== '');
  return { startMs, endMs, latencyMs, sentences };
}

export function questionAt(index: number): Question {
  const question = questions[index];
  if (question === undefined) throw new RangeError(`no question ${index}`);
  return question;
}
