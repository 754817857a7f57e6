import { AsyncQueue } from '../call/async-queue.ts';
import type { Clock } from '../call/clock.ts';
import type { Member, Members } from './chain-members.ts';
import { KeptUtterance } from './chain-utterance.ts';
import { GivenUp } from './given-up.ts';
import type {
  ProviderError,
  SpeechToText,
  SpeechToTextEvent,
  SpeechToTextOptions,
  SpeechToTextSession,
} from './ports.ts';
import { failureOf } from './watchdog.ts';

export interface ChainSessionOptions {
  members: Members<SpeechToText>;
  clock: Clock;
  /** The most audio of utterances without their text that is kept, in milliseconds. */
  keptMs: number;
  /** The most of them whose audio is kept. */
  keptUtterances: number;
}

/** One member's session. It numbers from 0 what this session counts from `base`. */
interface Serving {
  member: Member<SpeechToText>;
  session: SpeechToTextSession;
  abort: AbortController;
  base: number;
}

/** What was kept is sent at once, and transcribed faster than it was spoken: one more millisecond of patience for so many of audio. */
const REPLAY_SPEED = 10;

/**
 * One session over one member's session after the other. The audio of utterances that have no text yet is kept; when the member
 * fails, it is spoken to the next one, with its pauses and ends, and the call sees nothing of it but a `failover` event and the
 * delay. The next one stays until the first may be asked again, and then until nothing is being spoken or transcribed.
 *
 * Exactly one `final` or `failed` for each utterance, in order, whoever gives it. An utterance fails once every member has.
 */
export class ChainSession implements SpeechToTextSession {
  readonly events: AsyncIterable<SpeechToTextEvent>;
  readonly #options: ChainSessionOptions;
  readonly #call: SpeechToTextOptions;
  readonly #queue = new AsyncQueue<{ event: SpeechToTextEvent; utterance: KeptUtterance | null }>();
  #serving: Serving | null = null;
  /** The failure that has ended the last session, until another one is opened. */
  #error: ProviderError | null = null;
  /** Without their text, the oldest first; the last one is being spoken. */
  #utterances: KeptUtterance[] = [new KeptUtterance(0)];
  readonly #mostSamples: number;
  /** Its signal has fired. Asking a signal costs more than the rest of what is done with a frame. */
  #closed = false;

  constructor(options: ChainSessionOptions, call: SpeechToTextOptions) {
    this.#options = options;
    this.#call = call;
    this.#mostSamples = (options.keptMs * call.sampleRate) / 1000;
    this.events = this.#iterate();
    if (call.signal.aborted) {
      this.#close();
      return;
    }
    call.signal.addEventListener('abort', () => this.#close(), { once: true });
    this.#choose();
  }

  // --- the call's side ------------------------------------------------------------------------------------

  push(samples: Int16Array): void {
    if (this.#closed || samples.length === 0) return;
    const { current } = this;
    if (current.length === 0) this.#choose();
    current.push(samples);
    this.#bound();
    if (this.#serving === null) return;
    current.circuit ??= this.#serving.member.begin();
    this.#serving.session.push(samples);
  }

  pause(): void {
    const { current } = this;
    if (this.#call.signal.aborted || current.length === 0) return;
    current.pause();
    this.#serving?.session.pause();
  }

  endUtterance(): number {
    const utterance = this.current;
    const { number } = utterance;
    utterance.ended = true;
    this.#utterances.push(new KeptUtterance(number + 1));
    if (this.#call.signal.aborted) return number;
    if (this.#serving !== null) {
      this.#serving.session.endUtterance();
      this.#await(this.#serving, utterance, 0);
    } else {
      // Those who could not understand it while it was spoken may be back.
      const member = this.#options.members.best();
      if (member !== null) this.#serve(member);
    }
    this.#bound();
    return number;
  }

  discardUtterance(): void {
    if (this.#call.signal.aborted) return;
    const { current } = this;
    current.discarded = true;
    current.circuit?.released();
    current.clear();
    this.#utterances[this.#utterances.length - 1] = new KeptUtterance(current.number);
    this.#serving?.session.discardUtterance();
  }

  // --- the members' side ----------------------------------------------------------------------------------

  get current(): KeptUtterance {
    return this.#utterances.at(-1)!;
  }

  /** Between utterances: the first member that may be asked is to hear the next one. */
  #choose(): void {
    if (this.#utterances.length > 1) return;
    const { members } = this.#options;
    const serving = this.#serving?.member ?? null;
    const member = members.available() ?? serving ?? members.best();
    if (member === null || member === serving) return;
    const isStepBack =
      serving !== null && members.all.indexOf(member) > members.all.indexOf(serving) && !serving.available;
    if (isStepBack) this.#error ??= serving.reason;
    this.#drop();
    this.#serve(member);
  }

  /** Opens a member's session, and gives it everything that has no text yet. */
  #serve(member: Member<SpeechToText>): void {
    if (this.#error !== null) this.#emit({ type: 'failover', error: this.#error });
    this.#error = null;
    const abort = new AbortController();
    const base = this.#utterances[0]!.number;
    let serving: Serving;
    try {
      const session = member.port.open({ ...this.#call, signal: abort.signal });
      serving = { member, session, abort, base };
    } catch (thrown) {
      abort.abort();
      this.#replace(member, member.errorOf(thrown));
      return;
    }
    this.#serving = serving;
    void this.#receive(serving);
    for (const utterance of [...this.#utterances]) {
      if (utterance.length === 0 && !utterance.ended) continue;
      utterance.circuit = member.begin();
      utterance.lost = utterance.cut
        ? member.error('unavailable', 'its beginning was not kept when the provider before it failed')
        : null;
      utterance.replay(serving.session);
      if (utterance.ended) this.#await(serving, utterance, utterance.length);
    }
  }

  /** An utterance is over; its text is due. */
  #await(serving: Serving, utterance: KeptUtterance, replayed: number): void {
    const { clock, members } = this.#options;
    const { member } = serving;
    utterance.circuit ??= member.begin();
    const withinMs = member.deadlineMs + (replayed * 1000) / this.#call.sampleRate / REPLAY_SPEED;
    if (!Number.isFinite(withinMs)) return;
    utterance.deadline = clock.after(withinMs, () => {
      // Its own deadlines go on: late is better than nobody.
      if (members.available(new Set([...utterance.tried, member])) === null) return;
      this.#giveUp(serving, new GivenUp(`no final text within ${Math.round(withinMs)} ms`));
    });
  }

  async #receive(serving: Serving): Promise<void> {
    const { member } = serving;
    try {
      for await (const event of serving.session.events) {
        if (this.#serving !== serving) return;
        this.#take(serving, event);
        if (this.#serving !== serving) return;
      }
      this.#lose(serving, member.error('unavailable', 'the session ended'));
    } catch (thrown) {
      this.#lose(serving, member.errorOf(thrown));
    }
  }

  #take(serving: Serving, event: SpeechToTextEvent): void {
    if (event.type === 'usage' || event.type === 'failover' || event.type === 'language') {
      this.#emit(event);
      return;
    }
    const number = serving.base + event.utterance;
    if (event.type === 'interim' || event.type === 'endOfTurn') {
      const utterance = this.#utterances.find((each) => each.number === number) ?? null;
      // An end of turn may be judged once the text is there.
      if (utterance !== null || event.type === 'endOfTurn') {
        this.#emit({ ...event, utterance: number }, utterance);
      }
      return;
    }
    const oldest = this.#utterances[0]!;
    if (oldest.number !== number || !oldest.ended) {
      const error = serving.member.error('malformed', 'told the texts of utterances out of order');
      this.#lose(serving, error);
    } else if (event.type === 'final') {
      const lost = event.lost ?? oldest.lost;
      if (event.lost === undefined) oldest.circuit?.succeeded();
      else this.#note(serving.member, oldest, event.lost);
      this.#settle(oldest, {
        ...event,
        utterance: number,
        ...(lost === null ? {} : { lost }),
      });
    } else {
      this.#note(serving.member, oldest, event.error);
      oldest.tried.add(serving.member);
      if (this.#options.members.best(oldest.tried) !== null) this.#lose(serving, event.error);
      else this.#settle(oldest, { type: 'failed', utterance: number, error: event.error });
    }
  }

  /** A member's session is of no more use. */
  #lose(serving: Serving, error: ProviderError): void {
    if (this.#serving !== serving) return;
    this.#drop();
    this.#replace(serving.member, error);
  }

  /** A member's session is not waited for any longer. */
  #giveUp(serving: Serving, reason: GivenUp): void {
    if (this.#serving !== serving) return;
    this.#drop(reason);
    this.#replace(serving.member, failureOf(serving.member.name, reason));
  }

  /** A member has failed with everything that it had. */
  #replace(failed: Member<SpeechToText>, error: ProviderError): void {
    const { members } = this.#options;
    this.#error = error;
    this.#note(failed, this.#utterances.find((each) => each.circuit !== null) ?? null, error);
    for (const utterance of this.#utterances) {
      // One failure, however many were waiting for their text.
      utterance.circuit?.released();
      utterance.circuit = null;
      utterance.deadline?.cancel();
      if (utterance.ended || utterance.length > 0) utterance.tried.add(failed);
    }
    for (;;) {
      const oldest = this.#utterances[0]!;
      const idle = oldest.length === 0 && !oldest.ended;
      const next = idle ? members.available() : members.best(oldest.tried);
      if (next !== null) {
        this.#serve(next);
        return;
      }
      // What is still being spoken has time: it is tried again when it ends.
      if (!oldest.ended) return;
      this.#settle(oldest, { type: 'failed', utterance: oldest.number, error });
    }
  }

  #note(member: Member<SpeechToText>, utterance: KeptUtterance | null, error: ProviderError): void {
    (utterance?.circuit ?? member.begin()).failed(error);
    member.rest(error);
  }

  /** The oldest utterance has its text, or never will. */
  #settle(oldest: KeptUtterance, event: SpeechToTextEvent): void {
    this.#utterances.shift();
    oldest.circuit?.released();
    oldest.clear();
    this.#emit(event, oldest);
  }

  /** Ends the member's session without another one. */
  #drop(reason?: GivenUp): void {
    const serving = this.#serving;
    this.#serving = null;
    serving?.abort.abort(reason);
  }

  /** Keeps what is kept within its bounds, at the expense of the oldest. */
  #bound(): void {
    const { keptUtterances } = this.#options;
    // Asked with each frame of speech.
    if (this.#utterances.length === 1 && this.current.kept <= this.#mostSamples && keptUtterances > 0) return;
    let kept = this.#utterances.reduce((sum, utterance) => sum + utterance.kept, 0);
    for (const [i, utterance] of this.#utterances.entries()) {
      const isBeyondCount = this.#utterances.length - i > keptUtterances;
      if (!isBeyondCount && kept <= this.#mostSamples) return;
      // A tenth at a time: not with each frame.
      const excess = Math.ceil(kept - this.#mostSamples * 0.9);
      const forgotten = isBeyondCount ? utterance.kept : Math.min(utterance.kept, excess);
      utterance.forget(forgotten);
      kept -= forgotten;
    }
  }

  #emit(event: SpeechToTextEvent, utterance: KeptUtterance | null = null): void {
    this.#queue.push({ event, utterance });
  }

  async *#iterate(): AsyncGenerator<SpeechToTextEvent, void, void> {
    for await (const { event, utterance } of this.#queue) {
      if (this.#call.signal.aborted) return;
      if (utterance?.discarded) continue;
      yield event;
      if (this.#call.signal.aborted) return;
    }
  }

  #close(): void {
    this.#closed = true;
    this.#drop();
    for (const utterance of this.#utterances) {
      utterance.circuit?.released();
      utterance.clear();
    }
    this.#queue.end();
  }
}
