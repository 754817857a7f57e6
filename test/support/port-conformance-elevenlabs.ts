import { elevenLabsTextToSpeech } from '../../src/providers/elevenlabs/text-to-speech.ts';
import {
  ElevenLabsDouble,
  failure,
  type HttpAnswer,
  hang,
  type SentenceAnswer,
  speechOf,
  stream,
} from './elevenlabs-double.ts';
import { openAmong, type VendorFault } from './port-conformance.ts';
import { always } from './port-conformance-http.ts';
import {
  STALLING,
  type TextToSpeechSubject,
  type VoiceBehaviour,
} from './port-conformance-text-to-speech.ts';
import { dialFromNode } from './socket-double.ts';

/** Deadlines of a vendor that never answers. */
const SHORT_MS = 200;

const refusals: Partial<Record<VendorFault, number>> = { keyRefused: 401, rateLimited: 429, down: 503 };

const httpFaults: Record<VendorFault, HttpAnswer> = {
  keyRefused: failure(401, 'invalid_api_key'),
  rateLimited: failure(429, 'rate_limit_exceeded'),
  down: failure(503, 'service_unavailable'),
  silent: hang,
  malformed: stream(['<html>'], 'complete', 'text/html'),
};

const sampleBytes = (format: string) => (format === 'ulaw_8000' ? 1 : 2);

export function elevenLabsVoice(transport: 'socket' | 'http') {
  return async (behaviour: VoiceBehaviour): Promise<TextToSpeechSubject> => {
    const double = await ElevenLabsDouble.start();
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });

    const whole: SentenceAnswer = (sentence) => {
      const bytes = speechOf(sentence.text, sentence.socket.query.get('output_format') ?? '');
      sentence.audio(bytes.subarray(0, 501));
      const rest = () => {
        sentence.audio(bytes.subarray(501));
        sentence.final();
      };
      if (sentence.text.startsWith(STALLING)) void released.then(rest);
      else rest();
    };
    const sentences: Record<VoiceBehaviour, SentenceAnswer> = {
      keyRefused: () => {},
      rateLimited: () => {},
      down: () => {},
      silent: () => {},
      malformed: ({ socket }) => socket.send('{'),
      speaks: whole,
      breaksOff: (sentence) => {
        sentence.audio(new Uint8Array(480));
        setImmediate(() => setImmediate(() => setImmediate(() => sentence.socket.cut())));
      },
      empty: (sentence) => sentence.final(),
    };
    const wholeByHttp: HttpAnswer = (request, response) => {
      const bytes = speechOf(String(request.body.text), request.query.get('output_format') ?? '');
      const stalls = String(request.body.text).startsWith(STALLING);
      const parts = [bytes.subarray(0, 501), ...(stalls ? [] : [bytes.subarray(501)])];
      return stream(parts, stalls ? 'hang' : 'complete')(request, response);
    };
    const requests: Record<VoiceBehaviour, HttpAnswer> = {
      ...httpFaults,
      speaks: wholeByHttp,
      breaksOff: stream([new Uint8Array(480)], 'cut'),
      empty: stream([]),
    };

    double.sentenceScript.push(...always(sentences[behaviour]));
    const refusal = refusals[behaviour as VendorFault];
    if (refusal !== undefined) double.upgrades.push(...always(refusal));
    let open = 0;
    const counted: HttpAnswer = (request, response) => {
      open++;
      response.once('close', () => {
        open--;
      });
      return requests[behaviour](request, response);
    };
    double.httpScript.push(...always(counted));
    const sockets = openAmong(
      () => double.sockets,
      (socket) => socket.closed,
    );
    const deadlines = behaviour === 'silent' ? { attemptMs: SHORT_MS, firstAudioMs: 3 * SHORT_MS } : {};
    return {
      textToSpeech: elevenLabsTextToSpeech({
        apiKey: 'key',
        baseUrl: double.baseUrl,
        dial: dialFromNode,
        transport,
        maxRetries: 1,
        ...deadlines,
      }),
      voice: 'rachel',
      samplesOf: (text, sampleRate) => {
        const format = sampleRate === 8000 ? 'ulaw_8000' : 'pcm_16000';
        return speechOf(text, format).length / sampleBytes(format);
      },
      open: () => sockets() + open,
      made: () => double.sockets.length + double.requests.length,
      release,
      close: () => double.close(),
    };
  };
}
