import { type Clock, systemClock } from '../../call/clock.ts';
import type { SpeechToText } from '../ports.ts';
import { fluxProtocol } from './flux.ts';
import { ListenSession } from './listen-session.ts';
import { novaProtocol } from './nova.ts';
import type { DeepgramSettings } from './settings.ts';

export interface DeepgramSpeechToTextSettings extends DeepgramSettings {
  /** E.g. `nova-3`, or of the Flux models `flux-general-en`, `flux-general-multi`. */
  model: string;
  /**
   * The longest wait for an utterance's final text after its end, all retries included. Default 5,000: at the 99th percentile
   * Nova-3 takes 326 (pipecat-ai/stt-benchmark).
   */
  finalMs?: number;
  /** The longest wait for any message where one is due; then the audio is sent again on a new connection. Default 2,000. */
  silentMs?: number;
  /** The most audio of one utterance that is kept for another connection, in milliseconds. Default 60,000. */
  keptMs?: number;
  /** Nova: the silence after which the vendor itself settles the text. Default 300. */
  endpointingMs?: number;
  /** Flux: confidence at which a turn is over, 0.5 to 0.9. Default: the vendor's, 0.7. */
  eotThreshold?: number;
  /** Flux: confidence at which a turn may be over, 0.3 to 0.9; null: not told. Default 0.5. */
  eagerEotThreshold?: number | null;
  /** Flux: silence after which a turn is over, whatever the confidence. Default: the vendor's, 5,000. */
  eotTimeoutMs?: number;
}

/**
 * Streaming transcription: Nova over `/v1/listen`, Flux over `/v2/listen`, by the model's name. One connection a session, opened
 * at once, held open between utterances and made anew when it is lost; audio whose text was not settled is then sent again.
 */
export function deepgramSpeechToText(
  settings: DeepgramSpeechToTextSettings,
  clock: Clock = systemClock,
): SpeechToText {
  return {
    open(options) {
      const protocol = settings.model.startsWith('flux') ? fluxProtocol(clock) : novaProtocol(clock);
      return new ListenSession(protocol, settings, options, clock);
    },
  };
}
