// The baseline of `pipeline`: a Durable Object that does the steps of a turn strictly one after another.
import { decodeMulaw, encodeMulaw } from '../../src/audio/g711.ts';
import { decodePcm16 } from '../../src/audio/pcm.ts';
import { Resampler } from '../../src/audio/resample.ts';
import { createDetector, Utterances } from './utterances.mjs';
import { completeReply, speech, transcribe } from './vendor-requests.mjs';

/** Length of an outgoing message, as the service's. */
const PIECE_BYTES = 800;

export class SerialCall {
  #env;

  constructor(_state, env) {
    this.#env = env;
  }

  async fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    server.binaryType = 'arraybuffer';
    server.accept();
    const utterances = new Utterances({
      detector: await createDetector(this.#env.DETECTOR, 8000),
      sampleRate: 8000,
      endMs: Number(this.#env.END_MS),
      pauseMs: 0,
      onEnd: (audio) => this.#answer(server, audio),
    });
    server.addEventListener('message', ({ data }) => utterances.push(decodeMulaw(new Uint8Array(data))));
    server.addEventListener('close', () => {
      utterances.close();
      server.close();
    });
    server.send(JSON.stringify({ type: 'listening' }));
    return new Response(null, { status: 101, webSocket: client });
  }

  async #answer(socket, audio) {
    const { VENDORS } = this.#env;
    const question = await transcribe(VENDORS, audio);
    const reply = await completeReply(VENDORS, [{ role: 'user', content: question }]);
    const pcm = new Uint8Array(await (await speech(VENDORS, reply)).arrayBuffer());
    const resampler = new Resampler(24_000, 8_000);
    const spoken = [resampler.push(decodePcm16(pcm)), resampler.flush()].map((samples) =>
      encodeMulaw(samples),
    );
    for (const bytes of spoken) {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) socket.send(bytes.slice(at, at + PIECE_BYTES));
    }
  }
}

export default {
  fetch: (request, env) => env.CALLS.get(env.CALLS.newUniqueId()).fetch(request),
};
