import { Flite, type FliteVoice } from '../../embedded/engines/tts/flite.ts';
import { joined } from '../../tools/caller/audio.ts';
import { lineRate } from './clips.ts';
import { type Speaker, speaker } from './speakers.ts';

const voices: readonly FliteVoice[] = ['rms', 'slt', 'awb', 'kal16'];

const sentences = [
  'I bought a bicycle from you last summer, and now the brakes make a terrible noise.',
  'Could you tell me whether the workshop is open on Saturday?',
  'I would like to book an appointment for next week, if that is possible.',
  'My daughter needs a smaller wheel, but I do not know which size it is.',
];
const numbers = ['My number is five five five, three two one, oh nine eight seven.'];
const interruptions = ['Wait, I have another question.', 'Stop, please.', 'No, that is not what I mean.'];
const backchannels = ['Uh-huh.', 'Okay.', 'Right.', 'Yes.', 'I see.'];

/** The embedded voices, as if they were callers. */
export async function syntheticSpeakers(): Promise<Speaker[]> {
  const flite = new Flite();
  const signal = new AbortController().signal;
  const say = async (voice: FliteVoice, texts: readonly string[]) => {
    const recordings = [];
    for (const text of texts) {
      const parts: Int16Array[] = [];
      for await (const samples of flite.speak(text, { voice, speed: 1, sampleRate: lineRate }, signal)) {
        parts.push(samples);
      }
      recordings.push({ from: joined(parts) });
    }
    return recordings;
  };
  try {
    const speakers: Speaker[] = [];
    for (const voice of voices) {
      speakers.push(
        speaker(`flite ${voice}`, 'synthetic', {
          sentences: await say(voice, sentences),
          dictation: await say(voice, numbers),
          interruptions: await say(voice, interruptions),
          backchannels: await say(voice, backchannels),
        }),
      );
    }
    return speakers;
  } finally {
    await flite.close();
  }
}
