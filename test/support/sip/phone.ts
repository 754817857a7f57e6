import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { monotonicClock } from '../../../tools/caller/clock.ts';
import { Pacer } from '../../../tools/caller/pacer.ts';
import { Happenings } from '../happenings.ts';
import { Dialog } from './dialog.ts';
import { type IncomingRequest, SipEndpoint, token } from './endpoint.ts';
import { type Endpoint, type Header, SipMessage } from './message.ts';
import { frameMs, frameSamples, type RtpPacket, RtpSender, RtpSocket } from './rtp.ts';
import { type AudioDescription, parseSdp, pcmuSdp, typeOf } from './sdp.ts';

/** Who calls. */
export const callerNumber = '+491701234567';
/** A frame is sound from this root mean square on, of 32768: above the hiss of μ-law, below any speech. */
const soundLevel = 60;
/** Packets of a pressed key: 160 ms. */
const keyPackets = 8;
/** So far from where its arrival says, a packet's timestamp is no measure of its place any more: the other side has begun anew. */
const anewMs = 1_000;
/** Between two packets of 20 ms, more than this is a gap that jitter buffers of telephones do not bridge. */
const gapMs = 60;

/** A call was refused, by this answer. */
export class CallRefused extends Error {
  readonly status: number;

  constructor(answer: SipMessage) {
    super(answer.start);
    this.status = answer.status;
  }
}

export interface CallOptions {
  /** False: nothing of what is heard is kept. Default true. */
  keepAudio?: boolean;
  /** More of the INVITE's. */
  headers?: readonly Header[];
  /** What is offered; default μ-law. */
  sdp?(local: Endpoint): string;
}

/** A telephone behind a trunk: SIP by UDP, G.711 μ-law. */
export class Phone {
  readonly #calls = new Map<string, PhoneCall>();
  readonly #incoming = new Map<string, IncomingCall>();
  readonly #happenings = new Happenings();
  #endpoint: SipEndpoint | null = null;

  /** @param port 0: any that is free. */
  static async open(address: string, port = 0): Promise<Phone> {
    const phone = new Phone();
    phone.#endpoint = await SipEndpoint.open(address, (request) => phone.#take(request), port);
    return phone;
  }

  /**
   * Calls a number by a proxy, and resolves when it is answered. @throws {CallRefused} when it is refused.
   *
   * @param proxy or whatever else takes SIP.
   */
  async call(proxy: Endpoint, number: string, options: CallOptions = {}): Promise<PhoneCall> {
    const endpoint = this.#endpoint;
    if (endpoint === null) throw new Error('the phone is closed');
    return PhoneCall.place(endpoint, proxy, number, options, (placed) =>
      this.#calls.set(placed.sipCallId, placed),
    );
  }

  /** The call for a number, as soon as it comes in. It rings by itself. */
  rings(number: string): Promise<IncomingCall> {
    return this.#happenings.find(
      () => [...this.#incoming.values()].find((call) => call.number === number),
      () => `a call for ${number}`,
    );
  }

  /** Calls that are up are dropped without a word. */
  close(): void {
    for (const call of this.#calls.values()) call.drop();
    this.#endpoint?.close();
    this.#endpoint = null;
  }

  #take(request: IncomingRequest): void {
    const { method, callId } = request.message;
    const call = this.#calls.get(callId);
    const incoming = this.#incoming.get(callId);
    if (method === 'OPTIONS') {
      request.answer({ status: 200, reason: 'OK' });
    } else if (method === 'BYE' && call !== undefined) {
      request.answer({ status: 200, reason: 'OK' });
      call.released(request.message);
    } else if (method === 'CANCEL' && incoming !== undefined) {
      request.answer({ status: 200, reason: 'OK' });
      incoming.cancel();
    } else if (method === 'INVITE' && incoming === undefined && this.#endpoint !== null) {
      const taken = new IncomingCall(this.#endpoint, request, (answered) =>
        this.#calls.set(callId, answered),
      );
      this.#incoming.set(callId, taken);
      this.#happenings.wake();
    } else {
      request.answer({ status: 481, reason: 'Call Does Not Exist' });
    }
  }
}

/** A call that rings. */
export class IncomingCall {
  /** That was called. */
  readonly number: string;
  readonly invite: SipMessage;
  readonly #endpoint: SipEndpoint;
  readonly #request: IncomingRequest;
  readonly #answered: (call: PhoneCall) => void;
  readonly #tag = token();
  readonly #happenings = new Happenings();
  #cancelled = false;

  constructor(endpoint: SipEndpoint, request: IncomingRequest, answered: (call: PhoneCall) => void) {
    this.#endpoint = endpoint;
    this.#request = request;
    this.#answered = answered;
    this.invite = request.message;
    this.number = /sips?:([^@;>]*)@/.exec(this.invite.uri)?.[1] ?? '';
    request.answer({ status: 180, reason: 'Ringing', tag: this.#tag });
  }

  async answer(): Promise<PhoneCall> {
    const call = await PhoneCall.answer(this.#endpoint, this.#request, this.#tag);
    this.#answered(call);
    return call;
  }

  refuse(status: number, reason: string): void {
    this.#request.answer({ status, reason, tag: this.#tag });
  }

  /** The other side has given it up. */
  cancel(): void {
    this.refuse(487, 'Request Terminated');
    this.#cancelled = true;
    this.#happenings.wake();
  }

  /** Waits until it is given up. */
  cancelled(): Promise<void> {
    return this.#happenings.until(
      () => this.#cancelled,
      () => 'CANCEL',
    );
  }
}

/** What came of the other side's packets. */
export interface Reception {
  packets: number;
  /** By their numbers. */
  lost: number;
  /** Times between two packets that were longer than 60 ms, and the longest. */
  gaps: number;
  longestMs: number;
}

/** One call of a telephone: what is said and heard, on one clock. Milliseconds count from the answer. */
export class PhoneCall {
  readonly sipCallId: string;
  /** From INVITE to its 200. */
  readonly setUpMs: number;
  readonly reception: Reception = { packets: 0, lost: 0, gaps: 0, longestMs: 0 };
  readonly #dialog: Dialog;
  readonly #rtp: RtpSocket;
  readonly #node: AudioDescription;
  readonly #eventType: number;
  readonly #keepAudio: boolean;
  readonly #sender = new RtpSender();
  readonly #pacer: Pacer;
  readonly #answeredAt = performance.now();
  readonly #happenings = new Happenings();
  #saying: { samples: Int16Array; at: number; said: () => void }[] = [];
  #heard: { at: number; samples: Int16Array }[] = [];
  #anchor: { timestamp: number; at: number } | null = null;
  #last: { sequence: number; arrivedMs: number } | null = null;
  /** Where the last frame that came ends. */
  heardMs = 0;
  #soundMs = 0;
  #bye: SipMessage | null = null;
  #over = false;

  private constructor(
    parts: {
      dialog: Dialog;
      rtp: RtpSocket;
      node: AudioDescription;
      setUpMs: number;
      keepAudio: boolean;
    },
    sipCallId: string,
  ) {
    this.#dialog = parts.dialog;
    this.#rtp = parts.rtp;
    this.#node = parts.node;
    this.setUpMs = parts.setUpMs;
    this.#keepAudio = parts.keepAudio;
    this.sipCallId = sipCallId;
    const eventType = typeOf(parts.node, 'telephone-event');
    if (eventType === null) throw new Error('the answer takes no telephone events');
    this.#eventType = eventType;
    this.#pacer = new Pacer({ clock: monotonicClock, onFrame: () => this.#send() });
    this.#pacer.start();
  }

  static async place(
    endpoint: SipEndpoint,
    proxy: Endpoint,
    number: string,
    { keepAudio = true, headers = [], sdp = pcmuSdp }: CallOptions,
    placed: (call: PhoneCall) => void,
  ): Promise<PhoneCall> {
    let take: (packet: RtpPacket) => void = () => {};
    const rtp = await RtpSocket.open(endpoint.local.address, (packet) => take(packet));
    const callId = `${token()}@${endpoint.local.address}`;
    const invite = new SipMessage(
      `INVITE sip:${number}@${proxy.address}:${proxy.port} SIP/2.0`,
      [
        endpoint.via(),
        ['From', `<sip:${callerNumber}@${endpoint.local.address}>;tag=${token()}`],
        ['To', `<sip:${number}@${proxy.address}>`],
        ['Call-ID', callId],
        ['CSeq', '1 INVITE'],
        ['Contact', endpoint.contact],
        ['Max-Forwards', '70'],
        ['Content-Type', 'application/sdp'],
        ...headers,
      ],
      sdp(rtp.local),
    );
    const since = performance.now();
    const answer = await endpoint.request(invite, proxy);
    const node = parseSdp(answer.body);
    if (answer.status >= 300 || node === null) {
      rtp.close();
      throw new CallRefused(answer);
    }
    const dialog = Dialog.ofCaller(endpoint, invite, answer);
    dialog.acknowledge();
    const call = new PhoneCall({ dialog, rtp, node, setUpMs: performance.now() - since, keepAudio }, callId);
    take = (packet) => call.#take(packet);
    placed(call);
    return call;
  }

  /** Of whoever is called. */
  static async answer(endpoint: SipEndpoint, request: IncomingRequest, tag: string): Promise<PhoneCall> {
    const invite = request.message;
    const node = parseSdp(invite.body);
    if (node === null) throw new Error('the INVITE offers no audio');
    let take: (packet: RtpPacket) => void = () => {};
    const rtp = await RtpSocket.open(endpoint.local.address, (packet) => take(packet));
    request.answer({
      status: 200,
      reason: 'OK',
      tag,
      headers: [
        ['Contact', endpoint.contact],
        ['Content-Type', 'application/sdp'],
      ],
      body: pcmuSdp(rtp.local, typeOf(node, 'telephone-event') ?? undefined),
    });
    const dialog = Dialog.ofCallee(endpoint, invite, tag);
    const call = new PhoneCall({ dialog, rtp, node, setUpMs: 0, keepAudio: true }, invite.callId);
    take = (packet) => call.#take(packet);
    return call;
  }

  /** Where the call is now, by its clock. */
  get nowMs(): number {
    return performance.now() - this.#answeredAt;
  }

  /** Says it, behind what is being said; resolves when its last frame has gone out. */
  say(samples: Int16Array): Promise<void> {
    return new Promise((said) => {
      this.#saying.push({ samples, at: 0, said });
    });
  }

  press(digits: string): void {
    this.#sender.press(digits);
  }

  /** Waits for a sound that begins after what was heard so far; when it began. */
  async sound(): Promise<number> {
    const from = this.heardMs;
    await this.until(() => this.#soundMs > from, 'a sound');
    return this.#soundMs - frameMs;
  }

  /** Waits until nothing was heard for so long; when the last sound ended. */
  async quiet(ms: number): Promise<number> {
    await this.until(() => this.heardMs - this.#soundMs >= ms, `${ms} ms of silence`);
    return this.#soundMs;
  }

  /** What was heard, from the answer on; silence where nothing came. */
  heard(fromMs = 0, toMs = this.heardMs): Int16Array {
    const all = new Int16Array(Math.max(0, Math.round((toMs - fromMs) * 8)));
    for (const { at, samples } of this.#heard) {
      const place = Math.round((at - fromMs) * 8);
      if (place < 0 || place + samples.length > all.length) continue;
      all.set(samples, place);
    }
    return all;
  }

  /** Hangs up; the status of the answer. */
  async hangUp(): Promise<number> {
    const answer = await this.#dialog.request('BYE');
    this.drop();
    return answer.status;
  }

  /** Waits for the other side's BYE. */
  async ended(): Promise<SipMessage> {
    await this.until(() => this.#bye !== null, 'BYE');
    return this.#bye as SipMessage;
  }

  get up(): boolean {
    return !this.#over;
  }

  /** Waits until `test` holds; asked with each packet that comes. @throws {Error} naming `what` did not come. */
  until(test: () => boolean, what: string): Promise<void> {
    const look = () => {
      if (!test() && this.#over) throw new Error(`${what} did not come before the call was over`);
      return test() || undefined;
    };
    return this.#happenings.find(look, () => what).then(() => {});
  }

  /** The other side has hung up. */
  released(bye: SipMessage): void {
    this.#bye ??= bye;
    this.drop();
  }

  /** Sends and takes nothing any more. */
  drop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#pacer.stop();
    this.#rtp.close();
    for (const { said } of this.#saying) said();
    this.#happenings.wake();
  }

  #send(): void {
    if (!this.#sender.idle) {
      const packets = this.#sender.key(this.#eventType, keyPackets);
      for (const packet of packets) this.#rtp.send(packet, this.#node);
      return;
    }
    const frame = new Int16Array(frameSamples);
    const saying = this.#saying[0];
    if (saying !== undefined) {
      frame.set(saying.samples.subarray(saying.at, saying.at + frameSamples));
      saying.at += frameSamples;
      if (saying.at >= saying.samples.length) this.#saying.shift()?.said();
    }
    this.#rtp.send(this.#sender.audio(0, encodeMulaw(frame)), this.#node);
  }

  #take(packet: RtpPacket): void {
    if (packet.type !== 0 || this.#over) return;
    const arrivedMs = this.nowMs;
    this.#count(packet, arrivedMs);
    this.#anchor ??= { timestamp: packet.timestamp, at: arrivedMs };
    // Modulo 2^32, with its sign.
    const samples = (packet.timestamp - this.#anchor.timestamp) | 0;
    let at = this.#anchor.at + samples / 8;
    if (Math.abs(at - arrivedMs) > anewMs) {
      this.#anchor = { timestamp: packet.timestamp, at: arrivedMs };
      at = arrivedMs;
    }
    const frame = decodeMulaw(packet.payload);
    if (this.#keepAudio) this.#heard.push({ at, samples: frame });
    this.heardMs = Math.max(this.heardMs, at + frame.length / 8);
    let energy = 0;
    for (const sample of frame) energy += sample * sample;
    if (energy >= soundLevel ** 2 * frame.length)
      this.#soundMs = Math.max(this.#soundMs, at + frame.length / 8);
    this.#happenings.wake();
  }

  #count({ sequence }: RtpPacket, arrivedMs: number): void {
    const last = this.#last;
    this.reception.packets += 1;
    if (last !== null) {
      const missing = ((sequence - last.sequence - 1) << 16) >> 16;
      if (missing > 0) this.reception.lost += missing;
      const waited = arrivedMs - last.arrivedMs;
      if (waited > gapMs) this.reception.gaps += 1;
      this.reception.longestMs = Math.max(this.reception.longestMs, waited);
    }
    this.#last = { sequence, arrivedMs };
  }
}
