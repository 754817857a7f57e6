import { Blocks } from './blocks.ts';
import type { DialectEntry } from './carrier.ts';
import { FreeSwitchLeg } from './freeswitch-leg.ts';
import type { JsonObject } from './json-text.ts';
import { bytesOf, type WireFormat } from './wire-audio.ts';

/**
 * What is left of less than a frame the module writes as a shorter one (`write_frame` of `openai_audio_streamer_glue.cpp`), after which
 * FreeSWITCH has no whole packet at a time for the line any more.
 */
const FRAME_MS = 20;

/**
 * FreeSWITCH with `mod_openai_audio_stream` as a plain bridge (`uuid_raw_audio_stream`), https://github.com/VoiSmart/mod_openai_realtime
 * ("Raw Audio Mode"): L16 as binary messages both ways, in whole frames. It clears what it has not played at OpenAI's
 * `input_audio_buffer.speech_started`; `response.output_audio.done` lets it tell the node (`openai_speech_stop`) when it has played the
 * rest. Every other text is an event of the node's (`mod_openai_audio_stream::json`).
 */
class FreeSwitchDialect extends FreeSwitchLeg {
  readonly name = 'freeswitch';
  #blocks: Blocks | null = null;

  protected tell(type: string, data: JsonObject): void {
    this.send({ type, ...data });
  }

  protected override sendAudio(bytes: Uint8Array, format: WireFormat): void {
    const block = bytesOf(FRAME_MS, format);
    // The socket may still hold what it was given: each message its own bytes.
    this.#blocks ??= new Blocks({ block, least: block, most: 50 * block, silence: 0 }, (whole) =>
      this.context.send(whole.slice()),
    );
    this.#blocks.push(bytes);
  }

  override flush(): void {
    super.flush();
    this.#blocks?.flush();
    this.send({ type: 'response.output_audio.done' });
  }

  clear(): void {
    this.clearEncoder();
    this.#blocks?.clear();
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
