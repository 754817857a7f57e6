import { encodeBase64 } from '../audio/base64.ts';
import { Blocks } from './blocks.ts';
import type { DialectEntry, LegContext } from './carrier.ts';
import type { LegHandler } from './dialect.ts';
import { FreeSwitchLeg } from './freeswitch-leg.ts';
import type { CallFacts } from './identity.ts';
import { type JsonObject, objectOf, textOf } from './json-text.ts';
import { bytesOf, type WireFormat } from './wire-audio.ts';

/** The module keeps 30 marks at most (`MAX_MARKS`), and jambonz queues ten files. */
const MOST_MARKS = 30;
/**
 * What the module has less of waits in it until more comes (`streamingPreBufSize`, `processIncomingBinary` of `lws_glue.cpp`: 640 samples of
 * a channel of 8 kHz; before its first audio twice that). The end of a sentence would be heard at the head of the next one.
 */
const LEAST_MS = 80;

/**
 * FreeSWITCH with jambonz' `mod_audio_fork`, https://github.com/jambonz/freeswitch-modules, and the verb `listen` of jambonz, which is
 * made of it: https://docs.jambonz.org/verbs/verbs/listen. The first text is what the dialplan has for metadata, or jambonz' call
 * attributes. What the agent says goes back as binary messages (`bidirectionalAudio.streaming`), or with `playback=json` in the URL as
 * `playAudio`, which jambonz answers with `playDone`.
 *
 * Of other texts the module makes events only where it knows their type, hence the type `json`; `disconnect` ends the verb `listen`.
 */
class AudioForkDialect extends FreeSwitchLeg {
  readonly name: string;
  readonly #json: boolean;
  /** Marks that are out. */
  #marks: string[] = [];
  /** How many of them stand in the module's audio, and not behind all of it. */
  #marksInAudio = 0;
  #marksLost = false;
  #blocks: Blocks | null = null;

  constructor(name: string, context: LegContext) {
    super(context);
    this.name = name;
    this.#json = context.query.get('playback') === 'json';
  }

  override get pieceMs(): number {
    return this.#json ? 400 : LEAST_MS;
  }

  override get leadMs(): number {
    return this.#json ? 800 : super.leadMs;
  }

  override get canMark(): boolean {
    return !this.#json && !this.#marksLost && this.#marks.length < MOST_MARKS;
  }

  protected override receiveObject(message: JsonObject, handler: LegHandler): void {
    if (message.type === 'mark') {
      const at = this.#marks.indexOf(textOf(objectOf(message.data).name) ?? '');
      if (at >= 0) this.#marks.splice(at, 1);
      if (at >= 0 && at < this.#marksInAudio) this.#marksInAudio--;
    }
    // Of what `playAudio` has played the call's own clock tells as much.
    if (message.type === 'playDone') return;
    super.receiveObject(message, handler);
  }

  protected override factsOf(message: JsonObject): CallFacts {
    if (this.name !== 'jambonz') return super.factsOf(message);
    // Its own name of the call is `callSid`; `callId` is SIP's, and its form is the far end's.
    const { callSid, callId, accountSid, applicationSid, ...parameters } = message;
    const facts = super.factsOf(parameters);
    const ids = {
      sipCallId: textOf(callId),
      accountSid: textOf(accountSid),
      applicationSid: textOf(applicationSid),
    };
    return { ...facts, carrierCallId: textOf(callSid), ids };
  }

  protected tell(type: string, data: JsonObject): void {
    this.send({ type: 'json', data: { type, ...data } });
  }

  protected override sendAudio(bytes: Uint8Array, format: WireFormat): void {
    if (!this.#json) {
      const least = bytesOf(LEAST_MS, format);
      const most = bytesOf(1_000, format) - (bytesOf(1_000, format) % least);
      const sizes = { block: least, least, most, silence: 0 };
      this.#blocks ??= new Blocks(sizes, (whole) => this.#stream(whole));
      this.#blocks.push(bytes);
      return;
    }
    const head = `{"type":"playAudio","data":{"audioContentType":"raw","sampleRate":${format.sampleRate},"queuePlay":true,"audioContent":"`;
    this.context.send(`${head}${encodeBase64(bytes)}"}}`);
  }

  #stream(whole: Uint8Array): void {
    // The socket may still hold what it was given: each message its own bytes.
    const bytes = whole.slice();
    // The module has a sample of -1 (`AUDIO_MARKER`) where a mark stands, and takes any other for one as well.
    for (let i = 0; i < bytes.length; i += 2) if (bytes[i] === 0xff && bytes[i + 1] === 0xff) bytes[i] = 0xfe;
    this.#marksInAudio = this.#marks.length;
    this.context.send(bytes);
  }

  override flush(): void {
    super.flush();
    this.#blocks?.flush();
  }

  /**
   * Without `clearMarks`: `killAudio` clears the marks too, and tells so. Of those that stood in the audio the module then waits for ever
   * (`pVecMarksCleared`) and swallows later ones in their place: there are no more marks in this call.
   */
  clear(): void {
    this.clearEncoder();
    this.#blocks?.clear();
    if (this.#marksInAudio > 0) this.#marksLost = true;
    this.#marks = [];
    this.#marksInAudio = 0;
    this.send({ type: 'killAudio' });
  }

  mark(name: string): void {
    this.#marks.push(name);
    this.send({ type: 'mark', data: { name } });
  }

  override hangUp(): void {
    super.hangUp();
    this.send({ type: 'disconnect' });
  }
}

export const jambonz: DialectEntry = {
  path: 'jambonz',
  subprotocols: ['audio.jambonz.org'],
  beginsWith: ({ callSid, mixType }) => textOf(callSid) !== undefined && textOf(mixType) !== undefined,
  create: (context) => new AudioForkDialect('jambonz', context),
};

export const modAudioFork: DialectEntry = {
  path: 'mod_audio_fork',
  subprotocols: ['audio.drachtio.org'],
  // Nothing but its subprotocol tells it from other modules whose first text is the dialplan's.
  beginsWith: () => false,
  create: (context) => new AudioForkDialect('mod_audio_fork', context),
};
