import type { Clock } from '../../src/call/clock.ts';
import type { ClientMessage, SampleRate } from '../../src/dialects/native-messages.ts';
import { voicedSpan } from './audio.ts';
import { CallNotes } from './call-notes.ts';
import { Callee, type CalleeName } from './callee.ts';
import { CallError } from './errors.ts';
import { Mouth } from './mouth.ts';
import { frameMs, Pacer } from './pacer.ts';
import { PlayoutBuffer } from './playout-buffer.ts';
import { ReplyTracker } from './reply-tracker.ts';
import type { ReceivedMessage } from './server-messages.ts';
import type { CallerEvent, CallReport, Reply, Utterance } from './types.ts';
import { Waiting } from './waiting.ts';

/** What may wait to be said: ten minutes, far more than a call lasts. */
const sayLimitMs = 600_000;
/** A key pressed by hand; RFC 4733 senders use 100 ms and more. */
const defaultDigitMs = 160;

/** The way to the service. What is sent while it is not `up` is lost. */
export interface CallLine {
  readonly up: boolean;
  send(message: ClientMessage): void;
  sendAudio(samples: Int16Array): void;
  sendRaw(data: string | Uint8Array): void;
  terminate(): void;
}

export interface CallParts {
  line: CallLine;
  clock: Clock;
  callId: string;
  resumeToken: string | null;
  sampleRate: SampleRate;
  timeoutMs: number;
  settleMs: number;
  keepAudio: boolean;
  /** What becomes of a transfer. */
  callee: CalleeName;
  /** The service tells when it begins and ends a reply. */
  bracketed: boolean;
  onEvent: (event: CallerEvent) => void;
}

/**
 * A call that stands, for a script: it sends a frame every 20 ms whatever happens, silence where nothing is to be
 * said, plays what it hears, and knows when a reply is over. Made by `placeCall`.
 */
export class Call {
  readonly callId: string;
  readonly sampleRate: SampleRate;
  readonly #parts: CallParts;
  readonly #mouth: Mouth;
  readonly #pacer: Pacer;
  readonly #playout: PlayoutBuffer;
  readonly #replies: ReplyTracker;
  readonly #notes = new CallNotes();
  readonly #waiting: Waiting;
  readonly #callee: Callee;
  #close: { code: number; reason: string } | null = null;
  #failure: CallError | null = null;
  #hungUp = false;
  #startedAt: number;
  #endedAt: number | null = null;

  constructor(parts: CallParts) {
    this.#parts = parts;
    this.callId = parts.callId;
    this.sampleRate = parts.sampleRate;
    this.#replies = new ReplyTracker(parts.bracketed);
    this.#mouth = new Mouth(parts.sampleRate, frameMs);
    this.#startedAt = parts.clock.now();
    this.#waiting = new Waiting(parts.clock);
    this.#callee = new Callee(parts.clock, parts.callee, (report) => {
      parts.line.send(report);
      this.#emit({ type: 'callee', state: report.state, cause: report.cause ?? null });
    });
    this.#playout = new PlayoutBuffer({
      clock: parts.clock,
      sampleRate: parts.sampleRate,
      startedAt: this.#startedAt,
      keepAudio: parts.keepAudio,
      onMark: (name) => parts.line.send({ type: 'mark', name }),
      onDrained: () => this.#waiting.changed(),
    });
    this.#pacer = new Pacer({ clock: parts.clock, onFrame: () => this.#sendFrame() });
    this.#pacer.start();
  }

  /** Milliseconds since the call's first frame. */
  get nowMs(): number {
    return this.#parts.clock.now() - this.#startedAt;
  }

  /** True while the agent is heard. */
  get agentSpeaking(): boolean {
    return this.#playout.queuedMs > 0;
  }

  /** The socket is closed, or the protocol broken. */
  get over(): boolean {
    return this.#close !== null || this.#failure !== null;
  }

  /** The line is lost, and is being opened again. */
  get lineDown(): boolean {
    return !this.over && !this.#parts.line.up;
  }

  /** @internal The caller has hung up: the call is not come back to. */
  get hungUp(): boolean {
    return this.#hungUp;
  }

  /** Says `samples` (at the call's rate), after what is being said. Resolves when its last frame was sent. */
  async say(samples: Int16Array, label = ''): Promise<Utterance> {
    this.#throwIfOver('while the caller wanted to speak');
    const queued = this.#mouth.queuedSamples;
    const perMs = this.sampleRate / 1000;
    if (queued + samples.length > sayLimitMs * perMs) {
      throw new RangeError(`more than ${sayLimitMs / 1000} s to say`);
    }
    const start = this.#pacer.frames * frameMs * perMs + queued;
    const voiced = voicedSpan(samples, this.sampleRate) ?? { start: 0, end: samples.length };
    const utterance: Utterance = {
      index: this.#notes.utterances.length,
      label,
      startMs: start / perMs,
      endMs: (start + samples.length) / perMs,
      voicedStartMs: (start + voiced.start) / perMs,
      voicedEndMs: (start + voiced.end) / perMs,
      heardAs: null,
      reply: null,
    };
    this.#notes.utterances.push(utterance);
    if (samples.length === 0) return utterance;
    this.#replies.utteranceBegins();
    let said = false;
    const done = () => {
      said = true;
      this.#waiting.changed();
    };
    this.#mouth.say(samples, voiced.end, done);
    const limit = (queued + samples.length) / perMs + this.#parts.timeoutMs;
    await this.#waitFor(() => said || this.over, limit, 'the utterance was not sent');
    if (!said) this.#throwIfOver('before the caller had finished');
    this.#emit({ type: 'said', utterance });
    return utterance;
  }

  /** Waits until the agent has spoken its greeting to the end; null if none begins within `withinMs`. */
  async waitForGreeting(withinMs = this.#parts.timeoutMs): Promise<Reply | null> {
    const begun = () => this.#replies.greetingBegun || this.over;
    if (!(await this.#waiting.until(begun, withinMs))) return null;
    const reply = await this.#waitUntilOver(this.#parts.timeoutMs, 'the greeting');
    this.#notes.greeted(reply);
    this.#emit({ type: 'reply', reply, utterance: null });
    return reply;
  }

  /**
   * Waits for the answer to the last utterance, to its end: the service was `processing`, has sent audio, says it is
   * ready, all of the audio was played and nothing more followed for `settleMs`.
   *
   * @throws {CallError} `timeout`, `closed`.
   */
  async waitForReply(timeoutMs = this.#parts.timeoutMs): Promise<Reply> {
    const utterance = this.#notes.utterances.at(-1) ?? null;
    const reply = await this.#waitUntilOver(
      timeoutMs,
      `a reply to ${JSON.stringify(utterance?.label ?? '')}`,
    );
    if (utterance !== null) utterance.reply = reply;
    this.#emit({ type: 'reply', reply, utterance });
    return reply;
  }

  /** Resolves when the agent's audio begins to play after now, e.g. to interrupt it. */
  async waitForSpeech(timeoutMs = this.#parts.timeoutMs): Promise<void> {
    await this.#waitFor(() => this.agentSpeaking || this.over, timeoutMs, 'the agent did not speak');
    if (!this.agentSpeaking) this.#throwIfOver('before the agent spoke');
  }

  /** Says nothing for `ms`; frames of silence go on. */
  async pause(ms: number): Promise<void> {
    await this.#waiting.until(() => this.over, ms);
    this.#throwIfOver('during a pause');
  }

  /** Presses one key: 0–9, *, # or A–D. */
  dtmf(digit: string, durationMs = defaultDigitMs): void {
    this.#parts.line.send({ type: 'dtmf', digit, durationMs });
  }

  /** Puts anything on the socket, e.g. to see how the service takes nonsense. */
  sendRaw(data: string | Uint8Array): void {
    this.#parts.line.sendRaw(data);
  }

  /** Drops the connection without a word. */
  drop(): void {
    this.#hungUp = true;
    this.#parts.line.terminate();
  }

  /** Breaks the connection as a bad network does: who can, comes back to the call. */
  breakLine(): void {
    this.#parts.line.terminate();
  }

  /** Sends `end_call`, once there is a line, and waits for the close. Idempotent. */
  async hangUp(): Promise<void> {
    if (this.#close !== null) return;
    if (!this.#hungUp) {
      await this.#waitFor(() => !this.lineDown, this.#parts.timeoutMs, 'the line did not come back');
      if (this.#failure !== null) throw this.#failure;
      if (this.#close !== null) return;
    }
    if (!this.#hungUp) {
      this.#hungUp = true;
      this.#stop();
      this.#parts.line.send({ type: 'end_call' });
    }
    if (!(await this.#waiting.until(() => this.#close !== null, this.#parts.timeoutMs))) {
      this.#parts.line.terminate();
      throw new CallError('timeout', `The service did not close the call within ${this.#parts.timeoutMs} ms`);
    }
  }

  /** Waits until `test` holds, which is tried whenever anything happens; false if it never did within `ms`. */
  async waitUntil(test: () => boolean, ms = this.#parts.timeoutMs): Promise<boolean> {
    return this.#waiting.until(() => test() || this.over, ms).then(() => test());
  }

  /** All that is known of the call so far. */
  report(): CallReport {
    const { received, clears, ...noted } = this.#notes.summary();
    const { underruns, underrunMs, overflows } = this.#playout;
    const { frames: sent, latestMs, slippedMs } = this.#pacer;
    return {
      ...noted,
      callId: this.callId,
      resumeToken: this.#parts.resumeToken,
      sampleRate: this.sampleRate,
      startedAt: this.#startedAt,
      durationMs: (this.#endedAt ?? this.#parts.clock.now()) - this.#startedAt,
      close: this.#close,
      frames: { sent, received, latestMs, slippedMs },
      playout: { underruns, underrunMs, overflows, clears },
      heard: this.#playout.heard(),
    };
  }

  // --- from the leg, through placeCall ----------------------------------------------------------------------

  /** @internal */
  onMessage(message: ReceivedMessage): void {
    this.#notes.message(message, this.nowMs);
    switch (message.type) {
      case 'status':
        this.#replies.status(message.status);
        break;
      case 'clear':
        this.#playout.clear();
        this.#replies.cleared();
        break;
      case 'mark':
        this.#playout.mark(message.name);
        break;
      case 'latency':
        this.#replies.latency(message);
        break;
      case 'transfer':
        this.#callee.call();
        break;
      case 'cancel_transfer':
        this.#callee.hangUp();
        break;
    }
    this.#emit({ type: 'message', message });
    this.#waiting.changed();
  }

  /** @internal */
  onAudio(samples: Int16Array, text: string | null): void {
    if (this.#hungUp) return;
    this.#notes.audioReceived();
    const arrivedAt = this.#parts.clock.now();
    // Where no sentence is named, what comes into silence begins one.
    const continues = text === null && (this.#parts.bracketed || this.agentSpeaking);
    const position = this.#playout.receive(samples, continues);
    if (position === null) return;
    const startMs = (position / this.sampleRate) * 1000;
    this.#replies.audio(text, arrivedAt, startMs, startMs + (samples.length / this.sampleRate) * 1000);
    if (text !== null) this.#emit({ type: 'sentence', text });
    this.#waiting.changed();
  }

  /** @internal */
  onDropped(code: number, reason: string): void {
    this.#notes.dropped(this.nowMs, code, reason);
    this.#emit({ type: 'dropped', code, reason });
    this.#waiting.changed();
  }

  /** @internal `message` is the `ready` with which the service has taken the call up again. */
  onResumed(message: ReceivedMessage, attempts: number): void {
    const afterMs = this.#notes.resumed(this.nowMs);
    this.#replies.lineReturned();
    this.#emit({ type: 'resumed', afterMs, attempts });
    this.#emit({ type: 'message', message });
    this.#waiting.changed();
  }

  /** @internal */
  onFailed(error: CallError): void {
    this.#failure ??=
      error.failure === 'connect'
        ? new CallError('closed', `The connection broke: ${error.message}`, null, error)
        : error;
    this.#stop();
    this.#waiting.changed();
  }

  /** @internal */
  onClosed(code: number, reason: string): void {
    this.#close ??= { code, reason };
    this.#stop();
    this.#emit({ type: 'closed', code, reason });
    this.#waiting.changed();
  }

  // --- inside -----------------------------------------------------------------------------------------------

  #stop(): void {
    this.#endedAt ??= this.#parts.clock.now();
    this.#callee.hangUp();
    this.#pacer.stop();
    this.#playout.close();
  }

  #sendFrame(): void {
    const frame = this.#mouth.next();
    this.#parts.line.sendAudio(frame.samples);
    if (frame.voicedEndedMsAgo !== null) {
      this.#replies.lastVoiced(this.#parts.clock.now() - frame.voicedEndedMsAgo);
    }
    if (this.#parts.keepAudio) this.#notes.frameSent(frame.samples);
    frame.done?.();
  }

  async #waitUntilOver(timeoutMs: number, what: string): Promise<Reply> {
    const deadline = this.#parts.clock.now() + timeoutMs;
    const drained = () =>
      this.#replies.complete && !this.agentSpeaking && !this.lineDown && !this.#callee.called;
    for (;;) {
      const left = deadline - this.#parts.clock.now();
      await this.#waitFor(() => drained() || this.over, left, `${what} did not come to its end`);
      if (this.over) {
        // An agent that says goodbye and hangs up has answered.
        const last = this.#replies.take(true);
        if (last !== null) return last;
        this.#throwIfOver(`before ${what} had come`);
      }
      const activity = this.#replies.activity;
      const disturbed = () => this.#replies.activity !== activity || this.lineDown || this.over;
      if (!(await this.#waiting.until(disturbed, this.#parts.settleMs))) {
        const reply = this.#replies.take(false);
        if (reply !== null) return reply;
      }
    }
  }

  #throwIfOver(when: string): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#close !== null) {
      const { code, reason } = this.#close;
      const error = this.#notes.lastError;
      const why = error ? `; its last error: ${error.code} ${error.message}` : '';
      throw new CallError(
        'closed',
        `The call was closed (${code} ${reason}) ${when}${why}`,
        error?.code ?? code,
      );
    }
  }

  async #waitFor(test: () => boolean, ms: number, otherwise: string): Promise<void> {
    if (await this.#waiting.until(test, ms)) return;
    throw new CallError('timeout', `Within ${Math.round(ms)} ms ${otherwise}`);
  }

  #emit(
    event: CallerEvent extends infer E ? (E extends CallerEvent ? Omit<E, 'atMs'> : never) : never,
  ): void {
    this.#parts.onEvent({ ...event, atMs: this.nowMs } as CallerEvent);
  }
}
