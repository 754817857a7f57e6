import { chainLanguageModel, chainSpeechToText, chainTextToSpeech } from '../../src/providers/chain.ts';
import { Circuits } from '../../src/providers/circuit-breaker.ts';
import type { Subject, VendorFault } from './port-conformance.ts';
import { failureOf } from './port-conformance.ts';
import type { LanguageModelSubject, ModelBehaviour } from './port-conformance-language-model.ts';
import { outage, ScriptedEars, word } from './port-conformance-scripted.ts';
import type { SpeechToTextSubject } from './port-conformance-speech-to-text.ts';
import type { TextToSpeechSubject, VoiceBehaviour } from './port-conformance-text-to-speech.ts';

/** Counts what the second one gets: the first is down. */
function both(first: Subject, second: Subject): Subject {
  return {
    open: () => first.open() + second.open(),
    made: () => second.made(),
    async close() {
      await first.close();
      await second.close();
    },
  };
}

const named = <Port>(...ports: Port[]) =>
  ports.map((port, i) => ({ port, name: `chain/${i}`, identity: String(i) }));

type Start<Kind, S> = (kind: Kind) => Promise<S>;

/** A first one that has the fault, and a second one that is as the test wants it. */
export function chainedEars(
  fault: VendorFault,
  first: Start<VendorFault | null, SpeechToTextSubject>,
  second: Start<VendorFault | null, SpeechToTextSubject>,
): Start<VendorFault | null, SpeechToTextSubject> {
  return async (kind) => {
    const members = [await first(fault), await second(kind)] as const;
    const [broken, { speech }] = members;
    const ports = named(broken.speechToText, members[1].speechToText);
    return {
      ...both(...members),
      speech,
      speechToText: chainSpeechToText(ports, { circuits: new Circuits() }),
    };
  };
}

/** A chain of two scripted members. */
export async function scriptedEars(fault: VendorFault | null): Promise<SpeechToTextSubject> {
  const first = new ScriptedEars('scripted/first');
  const second = new ScriptedEars('scripted/second');
  if (fault !== null) {
    first.atEnd = outage('scripted/first', failureOf[fault]);
    second.atEnd = outage('scripted/second', failureOf[fault]);
  }
  const ears = [first, second];
  return {
    speechToText: chainSpeechToText(named(...ears), { circuits: new Circuits() }),
    speech: (number, sampleRate) => ({ samples: word(number + 1, sampleRate / 4), text: String(number + 1) }),
    open: () => first.openSessions + second.openSessions,
    made: () => first.sessions.length + second.sessions.length,
    close: async () => {},
  };
}

/** See {@link chainedEars}. */
export function chainedModel(
  fault: VendorFault,
  first: Start<ModelBehaviour, LanguageModelSubject>,
  second: Start<ModelBehaviour, LanguageModelSubject>,
): Start<ModelBehaviour, LanguageModelSubject> {
  return async (behaviour) => {
    const members = [await first(fault), await second(behaviour)] as const;
    const ports = named(members[0].languageModel, members[1].languageModel);
    return {
      ...members[1],
      ...both(...members),
      languageModel: chainLanguageModel(ports, { circuits: new Circuits() }),
    };
  };
}

/** See {@link chainedEars}. */
export function chainedVoice(
  fault: VendorFault,
  first: Start<VoiceBehaviour, TextToSpeechSubject>,
  second: Start<VoiceBehaviour, TextToSpeechSubject>,
): Start<VoiceBehaviour, TextToSpeechSubject> {
  return async (behaviour) => {
    const members = [await first(fault), await second(behaviour)] as const;
    const { voice, samplesOf, release } = members[1];
    const ports = named(members[0].textToSpeech, members[1].textToSpeech);
    return {
      ...both(...members),
      voice,
      samplesOf,
      release,
      textToSpeech: chainTextToSpeech(ports, { circuits: new Circuits() }),
    };
  };
}
