import type { InterruptionOptions } from './agent-config.ts';
import type { Clock, Timer } from './clock.ts';

/** Where nobody waits for its end, a sound may take so many times longer to become words. */
const UNAWAITED = 5;
/** After words it may go on so many times longer without any more: long windows are transcribed late. */
const AFTER_WORDS = 3;

/** The caller's sound, as long as it is not known whether it is words: whom it silences, and for how long. */
export class CallerSound {
  readonly #clock: Clock;
  readonly #options: InterruptionOptions;
  readonly #audible: () => boolean;
  readonly #onIgnored: (hadWords: boolean) => void;
  /** The sound that goes on is none of the caller's words. */
  #ignored = false;
  #soundTimer: Timer | null = null;
  #warmUpTimer: Timer | null = null;
  #agentSince: number | null = null;

  constructor(options: {
    clock: Clock;
    options: InterruptionOptions;
    /** Whether there is a sound now. */
    audible: () => boolean;
    /** Music, a television, traffic: a sound goes on and on without a word. It keeps nobody from speaking any more. */
    onIgnored: (hadWords: boolean) => void;
  }) {
    this.#clock = options.clock;
    this.#options = options.options;
    this.#audible = options.audible;
    this.#onIgnored = options.onIgnored;
  }

  /** The caller speaks, as far as can be told from the sound. */
  get speaks(): boolean {
    return this.#audible() && !this.#ignored;
  }

  /** The first audio of the agent's goes out. */
  agentSpeaks(): void {
    this.#agentSince ??= this.#clock.now();
  }

  /**
   * A sound begins.
   *
   * @param awaited somebody waits for its end: the agent to go on, or an open turn.
   * @param silence called once the agent is to fall silent for it: now, or when the warm-up is over and the sound is not.
   */
  begins(awaited: boolean, silence: (() => void) | null): void {
    const { soundMs, warmUpMs } = this.#options;
    if (silence !== null) {
      const warmUp = this.#agentSince === null ? 0 : this.#agentSince + warmUpMs - this.#clock.now();
      if (warmUp <= 0) silence();
      else this.#warmUpTimer = this.#clock.after(warmUp, () => this.speaks && silence());
    }
    this.#waitForWords(awaited ? soundMs : soundMs * UNAWAITED, false);
  }

  /** There are words in it; more may follow. */
  hasWords(): void {
    if (this.#soundTimer !== null && !this.#ignored) {
      this.#waitForWords(this.#options.soundMs * AFTER_WORDS, true);
    }
  }

  #waitForWords(ms: number, hadWords: boolean): void {
    this.#soundTimer?.cancel();
    this.#soundTimer = this.#clock.after(ms, () => {
      this.#ignored = true;
      this.#onIgnored(hadWords);
    });
  }

  ends(): void {
    this.stop();
    this.#ignored = false;
  }

  /** The call is over. */
  stop(): void {
    this.#soundTimer?.cancel();
    this.#soundTimer = null;
    this.#warmUpTimer?.cancel();
  }
}
