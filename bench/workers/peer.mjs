// The peer: Cloudflare's `agents/voice`, with the scripted vendors behind its provider interfaces. It leaves the end of a turn to
// its transcriber: this one waits as long as the service does.
import { Agent, routeAgentRequest } from 'agents';
import { withVoice } from 'agents/voice';
import { createDetector, Utterances } from './utterances.mjs';
import { speech, streamedReply, transcribe } from './vendor-requests.mjs';

/** What its protocol lets a client send, and its transcribers take. */
const SAMPLE_RATE = 16_000;

/** One call's transcriber: whole utterances; with `AHEAD_MS`, transcribed at a pause already, as the service does by itself. */
class TranscriberSession {
  #env;
  #options;
  #utterances = null;
  #ready;
  #ahead = null;

  constructor(env, options) {
    this.#env = env;
    this.#options = options;
    this.#ready = this.#open();
  }

  waitUntilReady() {
    return this.#ready;
  }

  feed(chunk) {
    this.#utterances?.push(new Int16Array(chunk));
  }

  close() {
    this.#utterances?.close();
    this.#utterances = null;
  }

  async #open() {
    const { VENDORS, DETECTOR, END_MS, AHEAD_MS } = this.#env;
    this.#utterances = new Utterances({
      detector: await createDetector(DETECTOR, SAMPLE_RATE),
      sampleRate: SAMPLE_RATE,
      endMs: Number(END_MS),
      pauseMs: Number(AHEAD_MS),
      onStart: () => this.#options?.onSpeechStart?.(),
      onPause: (audio) => {
        this.#ahead = transcribe(VENDORS, audio);
      },
      onMore: () => {
        this.#ahead = null;
      },
      onEnd: async (audio) => {
        const text = this.#ahead ?? transcribe(VENDORS, audio);
        this.#ahead = null;
        this.#options?.onUtterance?.(await text);
      },
    });
  }
}

export class VoicePeer extends withVoice(Agent, { audioFormat: 'pcm16', sampleRate: 24_000 }) {
  transcriber = { createSession: (options) => new TranscriberSession(this.env, options) };

  tts = {
    synthesizeStream: async function* (text, signal) {
      const { body } = await speech(this.env.VENDORS, text, signal);
      for await (const chunk of body) {
        yield chunk.buffer.slice(chunk.byteOffset, chunk.byteOffset + chunk.byteLength);
      }
    }.bind(this),
  };

  onTurn(transcript, { messages, signal }) {
    return streamedReply(this.env.VENDORS, [...messages, { role: 'user', content: transcript }], signal);
  }
}

export default {
  fetch: async (request, env) =>
    (await routeAgentRequest(request, env)) ?? new Response('no such agent', { status: 404 }),
};
