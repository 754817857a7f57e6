import type { DialectEntry } from './carrier.ts';
import { FreeSwitchLeg } from './freeswitch-leg.ts';
import type { JsonObject } from './json-text.ts';

/**
 * FreeSWITCH with `mod_openai_audio_stream` as a plain bridge (`uuid_raw_audio_stream`), https://github.com/VoiSmart/mod_openai_realtime
 * ("Raw Audio Mode"): L16 as binary messages both ways, of any length. It clears what it has not played at OpenAI's
 * `input_audio_buffer.speech_started`; `response.output_audio.done` lets it tell the node (`openai_speech_stop`) when it has played the
 * rest. Every other text is an event of the node's (`mod_openai_audio_stream::json`).
 */
class FreeSwitchDialect extends FreeSwitchLeg {
  readonly name = 'freeswitch';

  protected tell(type: string, data: JsonObject): void {
    this.send({ type, ...data });
  }

  override flush(): void {
    super.flush();
    this.send({ type: 'response.output_audio.done' });
  }

  clear(): void {
    this.clearEncoder();
    this.send({ type: 'input_audio_buffer.speech_started' });
  }

  mark(name: string): void {
    this.tell('mark', { name });
  }
}

export const freeSwitch: DialectEntry = {
  path: 'freeswitch',
  subprotocols: [],
  beginsWith: ({ type }) => type === 'start_call',
  create: (context) => new FreeSwitchDialect(context),
};
