import { openAiRealtimeSpeechToText } from '../../src/providers/openai-realtime/speech-to-text.ts';
import { openAiRealtimeTextToSpeech } from '../../src/providers/openai-realtime/text-to-speech.ts';
import { type Answer, OpenAiRealtimeDouble } from './openai-realtime-double.ts';
import { eventually, openAmong, type Subject, type VendorFault } from './port-conformance.ts';
import { tone } from './port-conformance-http.ts';
import type { SpeechToTextSubject } from './port-conformance-speech-to-text.ts';
import {
  STALLING,
  type TextToSpeechSubject,
  type VoiceBehaviour,
} from './port-conformance-text-to-speech.ts';
import { dialFromNode } from './socket-double.ts';

/** Deadlines of a vendor that never answers. */
const SHORT_MS = 200;

const refusals: Partial<Record<VendorFault, number>> = { keyRefused: 401, rateLimited: 429, down: 503 };

async function doubleOf(fault: string | null) {
  const refusal = refusals[fault as VendorFault] ?? null;
  let upgrades = 0;
  const double = await OpenAiRealtimeDouble.start({
    upgrade: () => {
      upgrades++;
      if (fault === 'malformed') void spoil(upgrades);
      return refusal;
    },
  });
  double.mute = fault === 'silent' || fault === 'malformed';
  /** Sends what means nothing in place of the session's greeting. */
  const spoil = async (number: number): Promise<void> => {
    await eventually(() => double.sessions.length >= number);
    double.sessions[number - 1]!.connection.send('{');
  };
  const subject: Subject = {
    open: openAmong(
      () => double.sessions,
      (session) => session.connection.closed,
    ),
    made: () => double.dials,
    close: () => double.close(),
  };
  const settings = {
    apiKey: 'key',
    baseUrl: double.baseUrl,
    dial: dialFromNode,
    maxRetries: 1,
    ...(fault === 'silent' ? { connectMs: SHORT_MS, finalMs: 5 * SHORT_MS } : {}),
  };
  return { double, subject, settings };
}

export async function openAiRealtimeEars(fault: VendorFault | null): Promise<SpeechToTextSubject> {
  const { double, subject, settings } = await doubleOf(fault);
  for (let i = 0; i < 8; i++)
    double.hearings.push({ deltas: [tone(i, 8000).text], text: tone(i, 8000).text });
  return { ...subject, speechToText: openAiRealtimeSpeechToText(settings), speech: tone };
}

export async function openAiRealtimeVoice(behaviour: VoiceBehaviour): Promise<TextToSpeechSubject> {
  const { double, subject, settings } = await doubleOf(behaviour);
  let created = 0;
  /** Answers by the text, which only the request tells. */
  double.answers.shift = (): Answer => {
    const requests = double.sessions.flatMap((session) =>
      session.received('response.create').map((event) => ({ session, event })),
    );
    const { session, event } = requests.length > created ? newest(requests) : requests.at(-1)!;
    created = requests.length;
    const text = /<text>([\s\S]*?)<\/text>/.exec(event.response?.instructions ?? '')?.[1] ?? '';
    const isMulaw = event.response?.audio?.output?.format?.type === 'audio/pcmu';
    // 20 ms for each character.
    const audio = new Uint8Array(text.length * (isMulaw ? 160 : 960)).fill(17);
    const words = text.split(/(?<= )/);
    if (behaviour === 'empty') return { words: [], audio: [] };
    if (behaviour === 'breaksOff') {
      void cutLater(session);
      return { words, audio: [audio.subarray(0, 960)], holdAfter: 'audio' };
    }
    if (text.startsWith(STALLING)) return { words, audio: [audio.subarray(0, 960)], holdAfter: 'audio' };
    return { words, audio: [audio.subarray(0, 501), audio.subarray(501)] };
  };
  return {
    ...subject,
    textToSpeech: openAiRealtimeTextToSpeech(settings),
    voice: 'marin',
    samplesOf: (text, sampleRate) => (text.length * sampleRate) / 50,
    release: () => {
      for (const session of double.sessions) while (session.running.length > 0) session.finish();
    },
  };
}

type Session = OpenAiRealtimeDouble['sessions'][number];

/** The request that came last; of several sessions, that of the one that was given no answer yet. */
const answered = new WeakSet<object>();
function newest<R extends { event: object }>(requests: readonly R[]): R {
  const request = requests.find(({ event }) => !answered.has(event)) ?? requests.at(-1)!;
  answered.add(request.event);
  return request;
}

async function cutLater(session: Session): Promise<void> {
  const before = performance.now();
  await eventually(() => performance.now() - before > 50);
  session.connection.cut();
}
