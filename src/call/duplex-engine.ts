import { DuplexConversation, type DuplexConversationOptions } from './duplex-conversation.ts';
import type { Engine } from './engine.ts';
import type { HeardSentence, PastCall } from './past-call.ts';
import type { TurnRecord } from './turn-record.ts';

export interface DuplexEngineOptions extends Omit<DuplexConversationOptions, 'onGone'> {
  /**
   * Makes the engine that goes on with the call where the model is lost for good. It is begun at once: what it says first takes the
   * place of the apology. `record` holds the conversation so far, and numbers its turns. Absent: the agent apologises and the call ends.
   */
  fallback?(record: TurnRecord): Engine;
}

/** A call held by one model that listens and speaks at the same time, and by another engine from the moment on at which that is lost. */
export class DuplexEngine implements Engine {
  /** Who holds the conversation now. */
  #engine: Engine;
  /** The line is down. */
  #suspended = false;

  constructor({ fallback, ...options }: DuplexEngineOptions) {
    const onGone = fallback === undefined ? null : (record: TurnRecord) => this.#handOver(fallback(record));
    this.#engine = new DuplexConversation({ ...options, onGone });
  }

  begin(): void {
    this.#engine.begin();
  }

  recall(past: PastCall): void {
    this.#suspended = true;
    this.#engine.recall(past);
  }

  get heardOfSpeech(): HeardSentence | null {
    return this.#engine.heardOfSpeech;
  }

  audio(samples: Int16Array, position: number, arrivedAt: number): void {
    this.#engine.audio(samples, position, arrivedAt);
  }

  dtmf(digit: string): void {
    this.#engine.dtmf(digit);
  }

  interrupt(): void {
    this.#engine.interrupt();
  }

  transferFailed(fact: string): void {
    this.#engine.transferFailed(fact);
  }

  hush(): void {
    this.#engine.hush();
  }

  unhush(): void {
    this.#engine.unhush();
  }

  leave(text: string): void {
    this.#engine.leave(text);
  }

  suspend(): void {
    this.#suspended = true;
    this.#engine.suspend();
  }

  resume(): void {
    this.#suspended = false;
    this.#engine.resume();
  }

  finish(timeoutMs: number): Promise<void> {
    return this.#engine.finish(timeoutMs);
  }

  #handOver(engine: Engine): void {
    this.#engine = engine;
    engine.begin();
    if (this.#suspended) engine.suspend();
  }
}
