import { frameSamples } from '../sip/rtp.ts';
import { q850Of, reasonOf } from './causes.ts';
import type { InLeg } from './in-leg.ts';
import type { OutLeg } from './out-leg.ts';
import { type ModuleEvent, StreamingModule } from './streaming-module.ts';
import { Tone } from './tone.ts';

/** Frames of the other leg that wait for the next 20 ms: more come only from a line that is late, and are dropped. */
const mostWaiting = 10;

export interface ChannelEvents {
  module: ModuleEvent;
  /** The channel is gone; its variables tell how. */
  ended(): void;
}

/** One telephone call on the double: its leg, its variables, the streaming module on it, and what the caller hears. */
export class Channel {
  readonly uuid: string;
  readonly variables = new Map<string, string>();
  readonly module: StreamingModule;
  readonly leg: InLeg | OutLeg;
  readonly #events: ChannelEvents;
  #answeredAt: number | null = null;
  #heardAt = performance.now();
  #hold: Tone | null = null;
  #bridged: OutLeg | null = null;
  #ringback: Tone | null = null;
  #fromBridged: Int16Array[] = [];
  #over = false;

  constructor(uuid: string, leg: InLeg | OutLeg, events: ChannelEvents) {
    this.uuid = uuid;
    this.leg = leg;
    this.#events = events;
    this.module = new StreamingModule((name, body) => {
      if (!this.#over) events.module(name, body);
    });
  }

  get alive(): boolean {
    return !this.#over;
  }

  /** The application `answer`; of a call that was placed, the other side has answered. */
  answer(): void {
    if (this.#over || this.#answeredAt !== null) return;
    if (this.leg.direction === 'inbound') this.leg.answer();
    this.#answeredAt = performance.now();
    this.#heardAt = this.#answeredAt;
    this.variables.set('answer_epoch', `${Math.floor(Date.now() / 1_000)}`);
  }

  /** Refuses the call: `404 Not Found`. */
  refuse(answer: string): void {
    if (this.#over || this.leg.direction !== 'inbound' || this.leg.answered) return;
    const [status = '', ...reason] = answer.split(' ');
    this.leg.refuse(Number(status), reason.join(' '));
    this.end('NORMAL_CLEARING', 'send_refuse');
  }

  /** The caller has sent CANCEL. */
  cancelled(): void {
    if (this.#over || this.leg.direction !== 'inbound' || this.leg.answered) return;
    this.leg.refuse(487, 'Request Terminated');
    this.end('ORIGINATOR_CANCEL', 'recv_cancel');
  }

  /** The other side has sent BYE. */
  hungUp(): void {
    if (this.leg.direction === 'outbound') this.leg.hungUp();
    this.end('NORMAL_CLEARING', 'recv_bye');
  }

  /** The node hangs up, for one of FreeSWITCH's causes. */
  kill(cause: string): void {
    if (this.#over) return;
    if (this.leg.direction === 'inbound' && !this.leg.answered) {
      this.refuse('480 Temporarily Unavailable');
    } else {
      const { answered } = this.leg;
      this.leg.hangUp(reasonOf(cause));
      this.end(cause, answered ? 'send_bye' : 'send_cancel');
    }
  }

  /** It is over. The module goes first, and tells no hook any more; then the hang-up's own event. */
  end(cause: string, disposition: string): void {
    if (this.#over) return;
    this.#over = true;
    this.module.stop();
    this.bridge(null);
    this.leg.line.close();
    const seconds = this.#answeredAt === null ? 0 : (performance.now() - this.#answeredAt) / 1_000;
    this.variables.set('hangup_cause', cause);
    this.variables.set('hangup_cause_q850', `${q850Of(cause)}`);
    this.variables.set('sip_hangup_disposition', disposition);
    this.variables.set('billsec', `${Math.floor(seconds)}`);
    this.#events.ended();
  }

  /** The line that the caller hears in place of everything else; null: no more. */
  hold(stream: string | null): void {
    this.#hold = stream === null ? null : new Tone(stream);
  }

  /** The caller hears ringing, and whoever answers on the other leg; null: no more. What was dialled before is given up. */
  bridge(leg: OutLeg | null, ringback = ''): void {
    this.#bridged?.hangUp(reasonOf('NORMAL_CLEARING'));
    this.#bridged?.line.close();
    this.#bridged = leg;
    this.#ringback = leg === null ? null : new Tone(ringback);
    this.#fromBridged = [];
  }

  bridgedTo(leg: OutLeg): boolean {
    return this.#bridged === leg;
  }

  /** A frame of whom the caller is bridged to. */
  fromBridged(samples: Int16Array): void {
    if (this.#fromBridged.length < mostWaiting) this.#fromBridged.push(samples);
  }

  /** A frame of the caller's. */
  heard(samples: Int16Array): void {
    if (this.#over) return;
    this.#heardAt = performance.now();
    this.module.sendAudio(samples);
    if (this.#bridged?.answered === true) this.#bridged.line.send(samples);
  }

  /** Twenty milliseconds have passed. */
  tick(): void {
    if (this.#over || this.#answeredAt === null) return;
    const longest = Number(this.variables.get('media_timeout'));
    if (longest > 0 && performance.now() - this.#heardAt > longest) {
      this.kill('MEDIA_TIMEOUT');
      return;
    }
    const frame =
      this.#bridgedFrame() ?? this.#hold?.next(frameSamples) ?? this.module.takeFrame(frameSamples);
    this.leg.line.send(frame ?? new Int16Array(frameSamples));
  }

  #bridgedFrame(): Int16Array | null {
    if (this.#bridged === null) return null;
    if (!this.#bridged.answered) return this.#ringback?.next(frameSamples) ?? null;
    return this.#fromBridged.shift() ?? new Int16Array(frameSamples);
  }
}
