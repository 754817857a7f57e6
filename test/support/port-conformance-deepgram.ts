import { deepgramSpeechToText } from '../../src/providers/deepgram/speech-to-text.ts';
import { deepgramTextToSpeech } from '../../src/providers/deepgram/text-to-speech.ts';
import { deepgramDouble, type Fault, spoken } from './deepgram-double.ts';
import { openAmong, type Subject, type VendorFault } from './port-conformance.ts';
import { always } from './port-conformance-http.ts';
import type { SpeechToTextSubject } from './port-conformance-speech-to-text.ts';
import {
  STALLING,
  type TextToSpeechSubject,
  type VoiceBehaviour,
} from './port-conformance-text-to-speech.ts';
import { dialFromNode } from './socket-double.ts';

/** Deadlines of a vendor that never answers. */
const SHORT_MS = 200;

const faults = {
  keyRefused: { refuse: 401 },
  rateLimited: { refuse: 429 },
  down: { refuse: 503 },
  malformed: { malformed: '{' },
} satisfies Partial<Record<VendorFault, Fault>>;

async function doubleOf(fault: Fault) {
  const double = await deepgramDouble(always(fault));
  const subject: Subject = {
    open: openAmong(
      () => double.connections,
      (connection) => connection.closed,
    ),
    made: () => double.dialled,
    close: () => double.close(),
  };
  return { subject, settings: { apiKey: 'key', baseUrl: double.url, dial: dialFromNode, maxRetries: 1 } };
}

const words = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'];

export function deepgramEars(model: string) {
  return async (fault: VendorFault | null): Promise<SpeechToTextSubject> => {
    const silent: Fault = { muteFrom: 0 };
    const { settings, subject } = await doubleOf(
      fault === null ? {} : fault === 'silent' ? silent : faults[fault],
    );
    const deadlines = fault === 'silent' ? { finalMs: 2 * SHORT_MS, silentMs: SHORT_MS } : {};
    return {
      ...subject,
      speechToText: deepgramSpeechToText({ ...settings, ...deadlines, model }),
      speech: (number, sampleRate) => ({
        samples: spoken(`${words[number]} ${words[number]}`, sampleRate),
        text: `${words[number]} ${words[number]}`,
      }),
    };
  };
}

export async function deepgramVoice(behaviour: VoiceBehaviour): Promise<TextToSpeechSubject> {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const paced: Fault = {
    pace: (piece, text) => (piece > 0 && text.startsWith(STALLING) ? released : undefined),
  };
  const behaviours: Record<VoiceBehaviour, Fault> = {
    ...faults,
    silent: { mute: true },
    speaks: paced,
    breaksOff: { cutAfter: 2 },
    empty: { empty: true },
  };
  const { settings, subject } = await doubleOf(behaviours[behaviour]);
  const deadlines = behaviour === 'silent' ? { answerMs: SHORT_MS, firstAudioMs: 3 * SHORT_MS } : {};
  return {
    ...subject,
    textToSpeech: deepgramTextToSpeech({ ...settings, ...deadlines }),
    voice: 'aura-2-thalia-en',
    // 80 samples for each character, at any rate.
    samplesOf: (text) => text.length * 80,
    release,
  };
}
