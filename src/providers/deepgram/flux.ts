import type { Clock, Timer } from '../../call/clock.ts';
import type { SpeechToTextOptions } from '../ports.ts';
import type { DialogueHost, ListenDialogue, ListenProtocol } from './listen-dialogue.ts';
import { type FluxMessage, fluxMessageSchema, parseMessage } from './messages.ts';
import { failed } from './settings.ts';
import type { DeepgramSpeechToTextSettings } from './speech-to-text.ts';
import type { Utterance } from './utterance.ts';

const forceEndTurn = '{"type":"ForceEndTurn"}';

const defaultEagerEotThreshold = 0.5;

/** https://developers.deepgram.com/docs/flux/quickstart: the length of audio that Flux is best sent. */
const CHUNK_MS = 80;
/** The silence at the end of what is pushed before `pause`: a turn that ended within it has ended with the words. */
const PAUSE_MS = 240;
/** `Update` comes for each 250 ms of audio (https://developers.deepgram.com/docs/flux/state): what has not begun a turn by then was no speech. */
const UPDATE_MS = 250;
/** An open turn gets that much silence in place of the audio that the call leaves out; it is over long before. */
const LONGEST_SILENCE_MS = 10_000;

type TurnInfo = Extract<FluxMessage, { type: 'TurnInfo' }>;

/**
 * Flux over `/v2/listen`: https://developers.deepgram.com/docs/flux/quickstart. It decides by the audio whether a turn is over, and
 * the call sends none while the caller is silent: so silence is sent in its place, in real time.
 */
export function fluxProtocol(clock: Clock): ListenProtocol {
  // What was learnt on one connection holds for the next.
  const server = { canForce: true };
  return { path: '/v2/listen', query, start: (host) => new FluxDialogue(host, clock, server) };
}

function query(settings: DeepgramSpeechToTextSettings, options: SpeechToTextOptions) {
  const eager =
    settings.eagerEotThreshold === undefined ? defaultEagerEotThreshold : settings.eagerEotThreshold;
  return {
    model: settings.model,
    encoding: options.sampleRate === 8000 ? 'mulaw' : 'linear16',
    sample_rate: options.sampleRate,
    eot_threshold: settings.eotThreshold,
    eager_eot_threshold: eager ?? undefined,
    eot_timeout_ms: settings.eotTimeoutMs,
    keyterm: options.keywords?.slice(0, 100),
    // https://developers.deepgram.com/docs/flux/language-prompting: without region, and for the multilingual model only.
    language_hint: settings.model.endsWith('-multi')
      ? options.language?.split('-')[0]?.toLowerCase()
      : undefined,
  };
}

class FluxDialogue implements ListenDialogue {
  /** A turn that is not over when the next utterance begins would go on with it. */
  readonly oneByOne = true;
  readonly #host: DialogueHost;
  readonly #clock: Clock;
  readonly #server: { canForce: boolean };
  /** Between StartOfTurn and EndOfTurn. */
  #inTurn = false;
  #forced = false;
  /** End of the audio that was listened to, and of that of the last turn that is over. */
  #heardUntil = 0;
  #overUntil = 0;
  #silence: Timer | null = null;

  constructor(host: DialogueHost, clock: Clock, server: { canForce: boolean }) {
    this.#host = host;
    this.#clock = clock;
    this.#server = server;
  }

  paused(utterance: Utterance): void {
    this.#fill(LONGEST_SILENCE_MS, () => {
      if (!utterance.paused || utterance.ended) return false;
      // It knows that nothing more was said; what is sent costs.
      if (this.isComplete(utterance)) return false;
      this.#host.pad(utterance, CHUNK_MS);
      return true;
    });
  }

  ended(utterance: Utterance): void {
    if (this.isComplete(utterance)) return;
    this.#end(utterance);
    this.#host.sendSilence(UPDATE_MS);
    this.#fill(LONGEST_SILENCE_MS, () => {
      if (this.isComplete(utterance)) return false;
      this.#host.sendSilence(CHUNK_MS);
      return true;
    });
  }

  /** Flux has no KeepAlive message (deepgram/deepgram-python-sdk#649), and a Worker cannot ping. */
  keepAlive(): void {
    this.#host.sendSilence(CHUNK_MS);
  }

  isComplete(utterance: Utterance): boolean {
    if (this.#inTurn) return false;
    const end = utterance.spokenUntil;
    const over = this.#overUntil > utterance.base && this.#overUntil >= end - this.#samples(PAUSE_MS);
    return over || this.#heardUntil >= end + this.#samples(UPDATE_MS);
  }

  take(text: string): void {
    const message = parseMessage(this.#host.provider, fluxMessageSchema, text);
    if (message === null) return;
    if (message.type === 'Error') {
      // Self-hosted servers lack ForceEndTurn, and close the connection: V2Socket.sendForceEndTurn in @deepgram/sdk.
      if (message.code === 'UNPARSABLE_CLIENT_MESSAGE') this.#server.canForce = false;
      throw failed(
        this.#host.provider,
        'unavailable',
        `${message.code} ${message.description ?? ''}`.slice(0, 200),
      );
    }
    if (message.type === 'TurnInfo') this.#takeTurn(message);
  }

  close(): void {
    this.#silence?.cancel();
  }

  #takeTurn({ event, transcript, languages, audio_window_end }: TurnInfo): void {
    const host = this.#host;
    const end = Math.round(audio_window_end * host.sampleRate);
    const utterance = host.at(end - 1);
    this.#heardUntil = Math.max(this.#heardUntil, end);
    if (event === 'StartOfTurn' || event === 'TurnResumed') {
      this.#inTurn = true;
      this.#forced = false;
    } else if (event === 'EndOfTurn') {
      this.#inTurn = false;
      this.#overUntil = end;
    }
    if (transcript !== '') host.heard.languages(languages);
    if (utterance === null) return;
    if (event === 'EndOfTurn') {
      host.settle(utterance, transcript, end);
      if (!utterance.ended && transcript !== '') {
        host.heard.stable(utterance);
        host.heard.endOfTurn(utterance);
      }
    } else {
      host.interim(utterance, transcript);
      if (event === 'EagerEndOfTurn' && !utterance.ended) host.heard.stable(utterance);
    }
    if (utterance.ended) this.#end(utterance);
    host.check();
  }

  /** Ends the turn of an utterance that is over, once all that was said has been listened to. */
  #end(utterance: Utterance): void {
    if (this.#heardUntil >= utterance.spokenUntil - this.#samples(PAUSE_MS)) this.#force();
  }

  /** https://developers.deepgram.com/docs/flux/force-end-turn: ignored where there is no turn. */
  #force(): void {
    if (!this.#inTurn || this.#forced || !this.#server.canForce) return;
    this.#forced = true;
    this.#host.send(forceEndTurn);
  }

  #fill(withinMs: number, send: () => boolean): void {
    this.#silence?.cancel();
    if (withinMs <= 0) return;
    this.#silence = this.#clock.after(CHUNK_MS, () => {
      if (send()) this.#fill(withinMs - CHUNK_MS, send);
    });
  }

  #samples(ms: number): number {
    return (ms * this.#host.sampleRate) / 1000;
  }
}
