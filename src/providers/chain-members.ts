import type { Clock } from '../call/clock.ts';
import { type CircuitAttempt, CircuitBreaker, type Circuits } from './circuit-breaker.ts';
import { ProviderError } from './ports.ts';

/** One provider in a chain. */
export interface ChainMember<Port> {
  port: Port;
  /** Provider and model, e.g. `openai/gpt-6-luna`, for errors. */
  name: string;
  /** Whose circuit it shares, see `Circuits.of`; absent: it has one of its own, for this call alone. */
  identity?: string;
  /** The longest wait for its first answer while another one could be asked. Default: the port's. Infinity: its own deadlines only. */
  deadlineMs?: number;
}

export interface MembersOptions {
  clock: Clock;
  circuits: Circuits;
  /** How long a call leaves a member alone that has failed it. */
  restMs: number;
  deadlineMs: number;
}

/** A member, and what this call knows of it. */
export class Member<Port> {
  readonly port: Port;
  readonly name: string;
  readonly deadlineMs: number;
  readonly #options: MembersOptions;
  readonly #circuit: CircuitBreaker;
  #restUntil = 0;
  #error: ProviderError | null = null;

  constructor(member: ChainMember<Port>, options: MembersOptions) {
    this.port = member.port;
    this.name = member.name;
    this.deadlineMs = member.deadlineMs ?? options.deadlineMs;
    this.#options = options;
    this.#circuit =
      member.identity === undefined
        ? new CircuitBreaker({}, options.clock)
        : options.circuits.of(member.identity);
  }

  /** Whether it may be asked now. */
  get available(): boolean {
    return this.#options.clock.now() >= this.#restUntil && this.#circuit.available;
  }

  /** When it may be asked again, in milliseconds since the epoch. */
  get availableAt(): number {
    return Math.max(this.#restUntil, this.#circuit.openUntil);
  }

  /** Why it is not asked now. */
  get reason(): ProviderError {
    const error = this.#circuit.error ?? this.#error;
    const message = error === null ? 'another request is trying it' : error.message;
    return new ProviderError(
      this.name,
      error?.failure ?? 'unavailable',
      `${this.name}: not asked: ${message}`,
      {
        ...(error === null ? {} : { cause: error }),
      },
    );
  }

  /** Asks it, even if it may not be asked. */
  begin(): CircuitAttempt {
    return this.#circuit.begin() ?? this.#circuit.force();
  }

  /**
   * This call leaves it alone for a while: its next sentence should not wait for it once more, before the circuit opens. It also
   * keeps an answer from being spoken by two voices in turn.
   */
  rest(error: ProviderError): void {
    this.#error = error;
    this.#restUntil = this.#options.clock.now() + this.#options.restMs;
  }

  /** What it threw, as the ports' one error. */
  errorOf(thrown: unknown): ProviderError {
    if (thrown instanceof ProviderError) return thrown;
    return this.error('malformed', 'failed in an unknown way', thrown);
  }

  error(failure: ProviderError['failure'], message: string, cause?: unknown): ProviderError {
    return new ProviderError(this.name, failure, `${this.name}: ${message}`, {
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

/** The members of a chain, in the order in which they are to be asked. */
export class Members<Port> {
  readonly all: readonly [Member<Port>, ...Member<Port>[]];

  /** @throws {TypeError} if there is none. */
  constructor(members: readonly ChainMember<Port>[], options: MembersOptions) {
    const [first, ...others] = members.map((member) => new Member(member, options));
    if (first === undefined) throw new TypeError('A chain of providers needs at least one');
    this.all = [first, ...others];
  }

  /** The first that may be asked now. */
  available(except: ReadonlySet<Member<Port>> = new Set()): Member<Port> | null {
    return this.all.find((member) => member.available && !except.has(member)) ?? null;
  }

  /** The first that may be asked now; where there is none, the one that may be asked soonest. */
  best(except: ReadonlySet<Member<Port>> = new Set()): Member<Port> | null {
    const left = this.all.filter((member) => !except.has(member));
    return (
      left.find((member) => member.available) ?? left.sort((a, b) => a.availableAt - b.availableAt)[0] ?? null
    );
  }
}
