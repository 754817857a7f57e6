import {
  type LanguageModel,
  type LanguageModelRequest,
  ProviderError,
  type Usage,
} from '../providers/ports.ts';
import type { Afterwards } from '../tools/afterwards.ts';
import { AnswerWriter, type Tools } from './answer-writer.ts';
import { AsyncQueue } from './async-queue.ts';
import type { Clock } from './clock.ts';
import { LatencyLedger } from './latency.ts';
import { STUCK_MS } from './reply-watchdog.ts';

export interface DelegationsOptions {
  clock: Clock;
  languageModel: LanguageModel;
  tools: Tools | null;
  /** The conversation as it stands. */
  request(): LanguageModelRequest;
  /** Hands a piece of the result to the model that delegated. */
  answer(delegation: string, text: string): void;
  /** A tool wants something done once the result was heard. */
  onAfterwards(act: Afterwards): void;
  /** The model that delegated has the whole result. */
  onTold(): void;
  /** One is done; `busy` tells whether others are not. */
  onDone(): void;
  /** The number of the turn in which the caller is answered. */
  turn(): number;
  onUsage(usage: Usage, turn: number): void;
  onFailure(error: ProviderError): void;
}

/** At once: more come from a model in a loop. */
const MOST_AT_ONCE = 3;
const TOO_MANY = 'The requests before this one are still being worked on. Nothing was done for this one.';
const NOTHING = 'This is done. There is nothing to add.';
const FAILED = 'This could not be done just now. Tell the caller so, and go on without it.';

/**
 * What a model that speaks wants thought through or done: the call's own language model and tools do it, while the conversation goes
 * on. An interruption ends none of it: half a booking is worse than one that nobody waits for.
 */
export class Delegations {
  readonly #options: DelegationsOptions;
  readonly #underWay = new Set<AbortController>();

  constructor(options: DelegationsOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#underWay.size > 0;
  }

  begin(delegation: string): void {
    if (this.#underWay.size >= MOST_AT_ONCE) {
      this.#options.answer(delegation, TOO_MANY);
      return;
    }
    const controller = new AbortController();
    this.#underWay.add(controller);
    void this.#work(delegation, controller);
  }

  /** The call is over. */
  close(): void {
    for (const controller of this.#underWay) controller.abort();
    this.#underWay.clear();
  }

  async #work(delegation: string, controller: AbortController): Promise<void> {
    const { clock, onDone, onTold, onFailure, onUsage, answer, request, ...model } = this.#options;
    const { signal } = controller;
    const turn = this.#options.turn();
    let late = false;
    const timer = clock.after(STUCK_MS, () => {
      late = true;
      controller.abort();
    });
    const writer = new AnswerWriter({
      ...model,
      clock,
      ledger: new LatencyLedger(),
      onUsage: (usage) => onUsage(usage, turn),
      onFailover: onFailure,
    });
    const sentences = new AsyncQueue<string>();
    // A model that heeds no signal is not waited for.
    signal.addEventListener('abort', () => sentences.end(), { once: true });
    let outcome: unknown = null;
    const { tools } = model;
    const asked = { ...request(), ...(tools === null ? {} : { tools: tools.definitions }) };
    const written = writer.write(asked, sentences, signal).catch((error: unknown) => {
      outcome = error;
    });
    let told = false;
    for await (const sentence of sentences) {
      if (signal.aborted) break;
      told = true;
      answer(delegation, sentence);
    }
    if (!signal.aborted) await Promise.race([written, aborted(signal)]);
    timer.cancel();
    this.#underWay.delete(controller);
    if (signal.aborted && !late) return;
    if (late) outcome = new ProviderError('delegation', 'timeout', `No result within ${STUCK_MS} ms`);
    if (outcome !== null) {
      onFailure(
        outcome instanceof ProviderError
          ? outcome
          : new ProviderError('delegation', 'malformed', 'A delegation failed', { cause: outcome }),
      );
      answer(delegation, FAILED);
    } else if (!told) {
      answer(delegation, NOTHING);
    }
    onTold();
    onDone();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
