import { encodeBase64 } from '../audio/base64.ts';
import type { DialectEntry, LegContext } from './carrier.ts';
import { FreeSwitchLeg } from './freeswitch-leg.ts';
import type { JsonObject } from './json-text.ts';
import type { WireFormat } from './wire-audio.ts';

/**
 * FreeSWITCH with `mod_audio_stream`, https://github.com/amigniter/mod_audio_stream. How the agent is played stands in the URL's `playback`:
 *
 * - `file` (default), the free edition: each `streamAudio` becomes a file and the event `mod_audio_stream::play`; a hook plays it
 *   (`uuid_broadcast`), and falls silent (`uuid_break`) at `killAudio`, which reaches it as `mod_audio_stream::json`.
 * - `json`, `binary`: from version 1.0.3 on the module plays by itself, from `streamAudio` or from binary messages. Its documents know no
 *   message that clears; forks take `killAudio`, and `features=clear` in the URL says so.
 */
class ModAudioStreamDialect extends FreeSwitchLeg {
  readonly name = 'mod_audio_stream';
  readonly #playback: 'file' | 'json' | 'binary';

  constructor(context: LegContext) {
    super(context);
    const asked = context.query.get('playback');
    this.#playback = asked === 'json' || asked === 'binary' ? asked : 'file';
  }

  /** A file costs more than a message, and between two of them is a gap. */
  override get pieceMs(): number {
    return this.#playback === 'file' ? 400 : super.pieceMs;
  }

  override get leadMs(): number {
    return this.#playback === 'file' ? 800 : super.leadMs;
  }

  override get canClear(): boolean {
    return this.#playback === 'file' || this.has('clear');
  }

  protected tell(type: string, data: JsonObject): void {
    this.send({ type, ...data });
  }

  protected override sendAudio(bytes: Uint8Array, format: WireFormat): void {
    if (this.#playback === 'binary') this.context.send(bytes);
    else this.#sendFile(bytes, format);
  }

  #sendFile(bytes: Uint8Array, { sampleRate }: WireFormat): void {
    const head = `{"type":"streamAudio","data":{"audioDataType":"raw","sampleRate":${sampleRate},"audioData":"`;
    this.context.send(`${head}${encodeBase64(bytes)}"}}`);
  }

  clear(): void {
    // What it may or may not take back counts as heard.
    if (!this.canClear) return;
    this.clearEncoder();
    this.tell('killAudio', {});
  }

  mark(name: string): void {
    this.tell('mark', { name });
  }
}

export const modAudioStream: DialectEntry = {
  path: 'mod_audio_stream',
  subprotocols: [],
  // Its first text is whatever the dialplan has for metadata.
  beginsWith: ({ event }) => event === undefined,
  create: (context) => new ModAudioStreamDialect(context),
};
