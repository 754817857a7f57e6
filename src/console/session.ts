import type { ClientMessage } from '../dialects/native-messages.ts';
import { type GrantedCall, requestCall } from './access.ts';
import type { LineFrame } from './audio/line-audio.ts';
import { TwoChannelRecording } from './audio/recording.ts';
import { openMicrophone, openSound, type Sound } from './audio/sound.ts';
import { ConsoleCall, type LineSettings } from './call.ts';
import type { Explanation } from './model/explain.ts';
import type { ReceivedMessage } from './model/server-message.ts';
import type { TransferReport } from './view/transfer-view.ts';

/** What the page learns of its call. Times are counted from the moment at which the call stood. */
export interface SessionListener {
  started(callId: string): void;
  received(message: ReceivedMessage, atMs: number): void;
  sent(message: ClientMessage, atMs: number): void;
  /** The connection is broken, and is made anew. */
  broken(isBroken: boolean): void;
  /** Something that happened here, and is no message. */
  noted(what: string, detail: string, atMs: number): void;
  frame(frame: LineFrame, underruns: number): void;
  /** The browser holds the page's audio back until it is touched. */
  audioHeld(isHeld: boolean): void;
  /** Once, after which the session is of no use. */
  ended(why: Explanation, recording: TwoChannelRecording | null): void;
}

export interface SessionOptions {
  line: LineSettings;
  phoneNumber: string;
  /** Empty: the service asks for none. */
  accessToken: string;
  /** False: a call that only listens, and presses keys. */
  withMicrophone: boolean;
  workletUrl: string;
  listener: SessionListener;
}

/** One call of the page's: microphone and loudspeaker on one side, the service on the other, a recording between. */
export class Session {
  readonly #options: SessionOptions;
  readonly #recording: TwoChannelRecording;
  #sound: Sound | null = null;
  #call: ConsoleCall | null = null;
  #startedAt: number | null = null;
  #muted = false;
  #full = false;

  private constructor(options: SessionOptions) {
    this.#options = options;
    this.#recording = new TwoChannelRecording(options.line.sampleRate);
  }

  /**
   * Opens the sound, then the call. To be called from a key or a touch.
   *
   * @throws `MicrophoneError` before anything has reached the service, `AccessError`.
   */
  static async open(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    await session.#open();
    return session;
  }

  get muted(): boolean {
    return this.#muted;
  }

  /** Since the call stood. */
  get elapsedMs(): number {
    return this.#startedAt === null ? 0 : performance.now() - this.#startedAt;
  }

  setMuted(muted: boolean): void {
    this.#muted = muted;
    this.#sound?.mute(muted);
    this.#note(muted ? 'muted' : 'unmuted');
  }

  /** Silences the agent: here at once, and for good where it speaks. */
  interrupt(): void {
    this.#sound?.clear();
    this.#call?.interrupt();
  }

  /** What became of the transfer that the agent has asked for. */
  transfer(report: TransferReport): void {
    this.#call?.transfer(report);
  }

  press(digit: string): void {
    this.#call?.press(digit);
  }

  hangUp(): void {
    this.#sound?.clear();
    this.#call?.hangUp();
  }

  async resumeAudio(): Promise<void> {
    await this.#sound?.resume();
  }

  async #open(): Promise<void> {
    const { line, phoneNumber, accessToken, withMicrophone, workletUrl, listener } = this.#options;
    const microphone = withMicrophone ? await openMicrophone() : null;
    try {
      this.#sound = await openSound(microphone, line.sampleRate, workletUrl, {
        frame: (frame, underruns) => this.#frame(frame, underruns),
        markPlayed: (name) => this.#call?.markPlayed(name),
        overflow: () => this.#note('overflow', 'more audio came than can wait'),
        microphoneLost: () => this.#note('microphone lost', 'the agent hears silence'),
        suspended: (isHeld) => listener.audioHeld(isHeld),
      });
    } catch (cause) {
      for (const track of microphone?.getTracks() ?? []) track.stop();
      throw cause;
    }
    let granted: GrantedCall | null = null;
    try {
      if (accessToken !== '') granted = await requestCall(accessToken);
    } catch (cause) {
      this.#sound.close();
      this.#sound = null;
      throw cause;
    }
    this.#call = new ConsoleCall(line, phoneNumber, granted, {
      started: (callId) => {
        this.#startedAt = performance.now();
        listener.started(callId);
      },
      received: (message) => this.#received(message),
      sent: (message) => listener.sent(message, this.elapsedMs),
      lost: () => {
        // What was not heard is said again.
        this.#sound?.clear();
        this.#note('connection lost', 'it is made anew');
        listener.broken(true);
      },
      returned: () => {
        this.#note('connection made anew');
        listener.broken(false);
      },
      audio: (samples) => this.#sound?.play(samples),
      ended: (why) => this.#ended(why),
    });
  }

  #received(message: ReceivedMessage): void {
    if (message.type === 'clear') this.#sound?.clear();
    else if (message.type === 'transfer') this.#call?.transfer({ type: 'transfer', state: 'ringing' });
    else if (message.type === 'mark') this.#sound?.mark(message.name);
    this.#options.listener.received(message, this.elapsedMs);
  }

  #frame(frame: LineFrame, underruns: number): void {
    this.#call?.sendAudio(frame);
    if (this.#startedAt === null) return;
    this.#options.listener.frame(frame, underruns);
    if (!this.#recording.add(frame.sent, frame.heard) && !this.#full) {
      this.#full = true;
      this.#note('recording full', 'the call goes on');
    }
  }

  #ended(why: Explanation): void {
    this.#sound?.close();
    this.#sound = null;
    this.#options.listener.ended(why, this.#startedAt === null ? null : this.#recording);
  }

  #note(what: string, detail = ''): void {
    this.#options.listener.noted(what, detail, this.elapsedMs);
  }
}
