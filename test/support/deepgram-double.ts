import { decodeMulaw, encodeMulaw } from '../../src/audio/g711.ts';
import { decodePcm16 } from '../../src/audio/pcm.ts';
import { DeepgramSpeaker } from './deepgram-speaker.ts';
import { type DoubleConnection, socketDouble } from './socket-double.ts';

/** What it understands: a word is a stretch of one sample value. */
const vocabulary = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'] as const;
export type Word = (typeof vocabulary)[number];

/** Each value survives μ-law. */
const soundOf = (word: Word) => decodeMulaw(Uint8Array.of(0x80 + 8 * vocabulary.indexOf(word)))[0]!;
const wordOf = new Map(vocabulary.map((word) => [soundOf(word), word]));

/** Audio of words of 200 ms, with 40 ms of silence before each. */
export function spoken(words: string, sampleRate: 8000 | 16000 = 8000): Int16Array {
  const parts = words.split(' ').flatMap((word) => {
    return [silence(40, sampleRate), new Int16Array(sampleRate / 5).fill(soundOf(word as Word))];
  });
  return Int16Array.from(parts.flatMap((part) => [...part]));
}

export function silence(ms: number, sampleRate: 8000 | 16000 = 8000): Int16Array {
  return new Int16Array((ms * sampleRate) / 1000);
}

/** How a connection misbehaves. Counted over all connections, in the order in which they are opened. */
export interface Fault {
  /** Answers the upgrade with this status, or never. */
  refuse?: number | 'hang';
  /** Sends nothing, from this many samples of audio on. */
  muteFrom?: number;
  /** Cuts the line once so many samples have come. */
  cutAt?: number;
  /** Closes with 1011 once so many samples have come: https://developers.deepgram.com/docs/stt-troubleshooting-websocket-data-and-net-errors */
  closeAt?: number;
  /** Sends this in place of its first message. */
  malformed?: string | Uint8Array;
  /** Leaves so many `Finalize` unanswered: https://developers.deepgram.com/docs/finalize ("not guaranteed"). */
  ignoreFinalize?: number;
  /** Has listened to all but so many samples of what it was sent. */
  lag?: number;
  /** Does not know ForceEndTurn, as a self-hosted server. */
  refuseForce?: boolean;
  /** `/v1/speak`: each piece of audio waits for it. */
  pace?: (piece: number, text: string) => Promise<void> | void;
  /** `/v1/speak`: takes `Flush` and says nothing. */
  mute?: boolean;
  /** `/v1/speak`: cuts the line after so many pieces of audio. */
  cutAfter?: number;
  /** `/v1/speak`: does not confirm `Clear`, and goes on. */
  ignoreClear?: boolean;
  /** `/v1/speak`: so many pieces of audio are on their way when `Clear` comes. */
  onTheirWay?: number;
  /** `/v1/speak`: confirms a text that was cleared late, behind `Cleared`. */
  lateFlushed?: boolean;
  /** `/v1/speak`: confirms without audio. */
  empty?: boolean;
}

export type DeepgramDouble = Awaited<ReturnType<typeof deepgramDouble>>;

/**
 * Plays Deepgram's `/v1/listen`, `/v2/listen` and `/v1/speak`, recorded by hand from
 * https://developers.deepgram.com/reference/speech-to-text/listen-streaming, …/speech-to-text/listen-flux and
 * …/text-to-speech/speak-streaming. Times are of the audio, as the vendor's are: it has no clock.
 */
export async function deepgramDouble(faults: Fault[] = []) {
  let next = 0;
  const ears = new Map<DoubleConnection, Nova | Flux | DeepgramSpeaker>();
  const pending: Fault[] = [];
  const watchers = new Set<() => void>();
  const changed = () => {
    for (const watcher of watchers) watcher();
  };
  const double = await socketDouble({
    upgrade(url, headers) {
      const fault = faults[next++] ?? {};
      if (fault.refuse !== undefined) {
        changed();
        return fault.refuse;
      }
      // https://developers.deepgram.com/reference/authentication
      if (headers.authorization?.toLowerCase() !== 'token key') return 401;
      if (!/^\/v[12]\/(listen|speak)$/.test(url.pathname)) return 404;
      if (url.searchParams.get('model') === null) return 400;
      pending.push(fault);
      return null;
    },
    connected(connection) {
      const fault = pending.shift() ?? {};
      const { pathname } = connection.url;
      if (pathname === '/v1/speak') ears.set(connection, new DeepgramSpeaker(connection, fault));
      else
        ears.set(
          connection,
          pathname === '/v2/listen' ? new Flux(connection, fault) : new Nova(connection, fault),
        );
      changed();
    },
    message(connection, message) {
      const ear = ears.get(connection)!;
      if (typeof message !== 'string') ear.takeAudio(message);
      else ear.takeText(JSON.parse(message) as { type: string; text?: string });
      changed();
    },
  });
  return {
    ...double,
    /** Upgrades that were asked for, refused ones included. */
    get dialled() {
      return next;
    },
    /** The types of the text messages of a connection. */
    texts(number = 0): string[] {
      return (double.connections[number]?.received ?? [])
        .filter((message) => typeof message === 'string')
        .map((message) => (JSON.parse(message) as { type: string }).type);
    },
    /** What a connection of `/v1/listen` or `/v2/listen` was told. */
    heard(number = 0): Int16Array {
      const ear = ears.get(double.connections[number]!);
      return ear instanceof Ear ? ear.samples.slice(0, ear.length) : new Int16Array(0);
    },
    /** Resolves once it holds, looked at after each thing that comes. */
    async until(condition: () => boolean): Promise<void> {
      while (!condition()) {
        await new Promise<void>((resolve) => {
          const watcher = () => {
            watchers.delete(watcher);
            resolve();
          };
          watchers.add(watcher);
        });
      }
    },
  };
}

/** What both protocols of transcription have in common. */
abstract class Ear {
  samples = new Int16Array(16_000 * 60);
  length = 0;
  protected readonly connection: DoubleConnection;
  protected readonly fault: Fault;
  protected readonly rate: number;
  readonly #mulaw: boolean;
  #spoilt = false;
  #received = 0;

  constructor(connection: DoubleConnection, fault: Fault) {
    this.connection = connection;
    this.fault = fault;
    this.rate = Number(connection.url.searchParams.get('sample_rate'));
    this.#mulaw = connection.url.searchParams.get('encoding') === 'mulaw';
  }

  takeAudio(bytes: Uint8Array): void {
    const samples = this.#mulaw ? decodeMulaw(bytes) : decodePcm16(bytes);
    this.samples.set(samples, this.#received);
    this.#received += samples.length;
    // Message by message is too coarse: the same audio must be understood alike, however it was cut.
    const until = this.#received - (this.fault.lag ?? 0);
    const step = this.rate / 50;
    while (this.length < until) {
      this.length = Math.min(until, (Math.floor(this.length / step) + 1) * step);
      this.listen();
    }
    if (this.fault.cutAt !== undefined && this.length >= this.fault.cutAt) this.connection.cut();
    if (this.fault.closeAt !== undefined && this.length >= this.fault.closeAt) {
      this.connection.close(1011, 'NET-0000');
    }
  }

  abstract takeText(message: { type: string }): void;
  protected abstract listen(): void;

  protected send(message: unknown): void {
    if (this.length >= (this.fault.muteFrom ?? Number.POSITIVE_INFINITY)) return;
    if (this.fault.malformed !== undefined && !this.#spoilt) {
      this.#spoilt = true;
      this.connection.send(this.fault.malformed);
      return;
    }
    this.connection.send(message);
  }

  /** Words that begin in a range. */
  protected words(from: number, to: number): { word: string; start: number; end: number }[] {
    const words: { word: string; start: number; end: number }[] = [];
    for (let i = from; i < to; i++) {
      const word = wordOf.get(this.samples[i]!);
      if (word === undefined) continue;
      if (this.samples[i] !== this.samples[i - 1])
        words.push({ word, start: i / this.rate, end: i / this.rate });
      const last = words.at(-1);
      if (last !== undefined) last.end = (i + 1) / this.rate;
    }
    return words;
  }

  /** Samples of silence at the end of what has come. */
  protected silent(): number {
    let at = this.length;
    while (at > 0 && this.samples[at - 1] === silent) at--;
    return this.length - at;
  }
}

const textOf = (words: readonly { word: string }[]) => words.map(({ word }) => word).join(' ');

/** Silence, as it comes out of μ-law too. */
const silent = decodeMulaw(encodeMulaw(Int16Array.of(0)))[0]!;

/** `/v1/listen`. */
class Nova extends Ear {
  #settled = 0;
  #shown = 0;
  #finalizes = 0;

  takeText({ type }: { type: string }): void {
    if (type === 'Finalize' && ++this.#finalizes > (this.fault.ignoreFinalize ?? 0)) {
      if (this.length > this.#settled) this.#result({ is_final: true, from_finalize: true });
    }
    if (type !== 'CloseStream') return;
    if (this.length > this.#settled) this.#result({ is_final: true });
    // https://developers.deepgram.com/docs/close-stream
    this.send({
      type: 'Metadata',
      transaction_key: 'deprecated',
      request_id: 'request',
      sha256: 'sha',
      created: '2026-11-21T00:00:00.000Z',
      duration: this.length / this.rate,
      channels: 1,
    });
    this.connection.close(1000);
  }

  protected listen(): void {
    const query = this.connection.url.searchParams;
    const endpointing = (Number(query.get('endpointing') ?? 10) * this.rate) / 1000;
    const gap = (Number(query.get('utterance_end_ms') ?? Number.POSITIVE_INFINITY) * this.rate) / 1000;
    const silence = this.silent();
    if (silence >= endpointing && this.words(this.#settled, this.length).length > 0) {
      this.#result({ is_final: true, speech_final: true });
    } else if (this.length - Math.max(this.#shown, this.#settled) >= this.rate / 2) {
      this.#shown = this.length;
      if (query.get('interim_results') === 'true') this.#result({ is_final: false });
    }
    if (silence === gap && this.words(0, this.length).length > 0) {
      // https://developers.deepgram.com/docs/utterance-end
      this.send({
        type: 'UtteranceEnd',
        channel: [0, 1],
        last_word_end: (this.length - silence) / this.rate,
      });
    }
  }

  /** https://developers.deepgram.com/docs/live-streaming-audio ("Response") */
  #result(flags: { is_final: boolean; speech_final?: boolean; from_finalize?: boolean }): void {
    const words = this.words(this.#settled, this.length);
    const language = this.connection.url.searchParams.get('language');
    this.send({
      type: 'Results',
      channel_index: [0, 1],
      start: this.#settled / this.rate,
      duration: (this.length - this.#settled) / this.rate,
      speech_final: false,
      from_finalize: false,
      ...flags,
      channel: {
        alternatives: [
          {
            transcript: textOf(words),
            confidence: 0.99,
            ...(language === 'multi' ? { languages: ['es'] } : {}),
            words: words.map((word) => ({ ...word, confidence: 0.99, punctuated_word: word.word })),
          },
        ],
      },
      metadata: {
        request_id: 'request',
        model_info: { name: 'general-nova-3', version: '2026-01-01.0', arch: 'nova-3' },
        model_uuid: 'uuid',
      },
    });
    if (flags.is_final) this.#settled = this.length;
  }
}

/** Silence after which Flux is fairly and quite sure, in ms of audio: the real one goes by the words, too. */
export const eagerAfterMs = 320;
export const overAfterMs = 640;

/** `/v2/listen`. */
class Flux extends Ear {
  #sequence = 0;
  #turn = 0;
  #turnStart = 0;
  #state: 'initial' | 'ongoing' | 'awaiting' = 'initial';
  #told = 0;

  constructor(connection: DoubleConnection, fault: Fault) {
    super(connection, fault);
    this.send({ type: 'Connected', request_id: 'request', sequence_id: this.#sequence++ });
  }

  takeText({ type }: { type: string }): void {
    if (type === 'ForceEndTurn' && !this.fault.refuseForce) {
      if (this.#state !== 'initial') this.#end('manual');
    } else if (type === 'CloseStream') {
      // https://developers.deepgram.com/docs/flux/close-stream: no EndOfTurn, and no status.
      this.#tell('Update');
      this.connection.close();
    } else {
      this.send({
        type: 'Error',
        sequence_id: this.#sequence++,
        code: 'UNPARSABLE_CLIENT_MESSAGE',
        description: type,
      });
      this.connection.close(1011);
    }
  }

  /** https://developers.deepgram.com/docs/flux/state */
  protected listen(): void {
    const query = this.connection.url.searchParams;
    const silentMs = (this.silent() * 1000) / this.rate;
    const text = this.#text();
    if (this.#state === 'initial' && text !== '') {
      this.#state = 'ongoing';
      this.#tell('StartOfTurn');
    } else if (this.#state === 'ongoing' && silentMs >= eagerAfterMs && query.has('eager_eot_threshold')) {
      this.#state = 'awaiting';
      this.#tell('EagerEndOfTurn', 0.5);
    } else if (this.#state === 'awaiting' && silentMs === 0) {
      this.#state = 'ongoing';
      this.#tell('TurnResumed');
    } else if (this.#state !== 'initial' && silentMs >= overAfterMs) {
      this.#end('model');
    } else if (this.length - this.#told >= this.rate / 4) {
      this.#tell('Update');
    }
  }

  #text(): string {
    return textOf(this.words(this.#turnStart, this.length));
  }

  #end(trigger: 'model' | 'manual'): void {
    this.#tell('EndOfTurn', 0.9, { trigger });
    this.#state = 'initial';
    this.#turn++;
    this.#turnStart = this.length;
  }

  #tell(event: string, confidence = 0.1, more: Record<string, unknown> = {}): void {
    this.#told = this.length;
    const words = this.words(this.#turnStart, this.length);
    this.send({
      type: 'TurnInfo',
      request_id: 'request',
      sequence_id: this.#sequence++,
      event,
      turn_index: this.#turn,
      audio_window_start: this.#turnStart / this.rate,
      audio_window_end: this.length / this.rate,
      transcript: textOf(words),
      words: words.map((word) => ({ ...word, confidence: 0.9 })),
      end_of_turn_confidence: confidence,
      ...(this.connection.url.searchParams.get('model') === 'flux-general-multi'
        ? { languages: ['es'] }
        : {}),
      ...more,
    });
  }
}
