import {
  type AnswerDetection,
  type AnswerVerdict,
  type CreateAnswerDetection,
  type MachineDetectionOptions,
  wordsAndTime,
} from './answer-detection.ts';
import type { CallCounts } from './call-counts.ts';
import type { Clock } from './clock.ts';
import type { Engine } from './engine.ts';
import type { CallEvents } from './events.ts';

export interface AnswerJudgementOptions extends MachineDetectionOptions {
  clock: Clock;
  events: CallEvents;
  engine: Engine;
  /** Of the call, in milliseconds since the epoch. */
  startTime: number;
  /** Default: by words and time. */
  createAnswerDetection: CreateAnswerDetection | undefined;
  /** Ends the call: nobody wants to talk to a machine. */
  hangUp(): void;
}

/**
 * Who has answered a call that we placed, by our own detection or by the node's, and what the campaign wants done of it. The detection hears
 * the call's events.
 */
export class AnswerJudgement {
  readonly #options: AnswerJudgementOptions;
  readonly #detection: AnswerDetection;
  #judgedBy: 'service' | 'node' | null = null;
  #stopped = false;

  constructor(options: AnswerJudgementOptions) {
    this.#options = options;
    const { clock, events, createAnswerDetection = wordsAndTime } = options;
    const detection = createAnswerDetection({
      clock,
      onVerdict: (verdict) => this.#judged(verdict, 'service'),
      onGreetingEnded: () => this.#greetingEnded(),
    });
    this.#detection = detection;
    events.listen((event) => {
      if (event.type === 'caller.voice') detection.voice(event.speaking);
      else if (event.type === 'transcript' && event.role === 'caller')
        detection.words(event.text, event.final);
      else if (event.type === 'turn.recorded' && event.turn.role === 'caller')
        detection.words(event.turn.text, true);
    });
  }

  /** What an object before this one has come to: whoever was judged is not judged again. */
  recall(before: CallCounts | null): void {
    if (before?.answeredBy === undefined) return;
    this.#judgedBy = before.answeredByJudge ?? null;
    this.#detection.decided(before.answeredBy);
    this.#heed(before.answeredBy);
  }

  /** The node has judged by itself. Its first word counts, also against our own. */
  told(verdict: 'human' | 'machine', confidence: number): void {
    if (this.#judgedBy === 'node') return;
    this.#detection.decided(verdict);
    this.#judged({ verdict, confidence, because: 'told' }, 'node');
  }

  /** The call is over. */
  stop(): void {
    this.#stopped = true;
    this.#detection.stop();
  }

  #greetingEnded(): void {
    const { engine, hangUp, message, onMachine } = this.#options;
    if (this.#stopped || onMachine !== 'leave message') return;
    if (message === '') hangUp();
    else engine.leave(message);
  }

  #judged(verdict: AnswerVerdict, by: 'service' | 'node'): void {
    const { clock, events, startTime } = this.#options;
    this.#judgedBy = by;
    events.emit({ type: 'answer.judged', ...verdict, by, afterMs: clock.now() - startTime });
    this.#heed(verdict.verdict);
  }

  #heed(verdict: AnswerVerdict['verdict']): void {
    const { engine, hangUp, onMachine } = this.#options;
    if (verdict === 'human') engine.unhush();
    if (verdict !== 'machine') return;
    if (onMachine === 'hang up') hangUp();
    else if (onMachine === 'leave message') engine.hush();
  }
}
