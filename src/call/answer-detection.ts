import type { Clock, Timer } from './clock.ts';

/** Who has answered a call that we placed. */
export interface AnswerVerdict {
  verdict: 'human' | 'machine' | 'unknown';
  /** How sure it is, 0 to 1: to compare verdicts of one implementation, not those of two. */
  confidence: number;
  /** What decided it. */
  because: string;
}

/** What is heard of whoever has answered. */
export interface AnswerDetection {
  /** A voice begins, or has ended. */
  voice(speaking: boolean): void;
  /** What an utterance comes to so far; `final`: all of it. */
  words(text: string, final: boolean): void;
  /** Somebody else has decided it: nothing more is judged, but the end of a greeting is still told. */
  decided(verdict: AnswerVerdict['verdict']): void;
  /** The call is over. */
  stop(): void;
}

/** Makes one for a call that has just been answered. A vendor's or a carrier's detection stands behind the same port. */
export type CreateAnswerDetection = (options: {
  clock: Clock;
  /** Once, unless it was decided before. */
  onVerdict(verdict: AnswerVerdict): void;
  /** After a verdict of `machine`, once: its greeting is over, and it records. */
  onGreetingEnded(): void;
}) => AnswerDetection;

/** jambonz' defaults: https://docs.jambonz.org/guides/features/answering-machine-detection. */
const MACHINE_WORDS = 9;
const NO_SPEECH_MS = 5_000;
const DECISION_MS = 15_000;
const GREETING_END_MS = 2_000;

/** What machines say and people do not, in the languages of our prompts. */
const PHRASES =
  /(?<!\p{L})(?:leave (?:me |us )?(?:a|your) (?:message|name)|after the (?:tone|beep)|voice ?mail|(?:is|am) not available|record your message|forwarded to|hinterlassen sie|nach dem (?:signal|ton|piep)|mailbox|nicht erreichbar|laissez (?:un|votre) message|après le bip|messagerie|deje (?:un|su) mensaje|después de la señal|buzón de voz)/iu;

/**
 * By words and time: people answer with a few words and wait; machines talk on. So nine words without a pause that ends the utterance are a machine,
 * likewise a machine's own phrases; a shorter utterance that is over is a person; silence for 5 s, or no decision within 15 s, are nobody knows who.
 */
export const wordsAndTime: CreateAnswerDetection = ({ clock, onVerdict, onGreetingEnded }) => {
  let verdict: AnswerVerdict['verdict'] | null = null;
  let speaking = false;
  let greetingTimer: Timer | null = null;
  let over = false;

  const decide = (found: AnswerVerdict) => {
    if (verdict !== null || over) return;
    settle(found.verdict);
    onVerdict(found);
  };
  const settle = (found: AnswerVerdict['verdict']) => {
    if (over) return;
    verdict = found;
    for (const timer of [noSpeech, decision, greetingTimer]) timer?.cancel();
    if (found === 'machine' && !speaking) awaitEnd();
  };
  /** A greeting has pauses: it is over when one is long. */
  const awaitEnd = () => {
    greetingTimer?.cancel();
    greetingTimer = clock.after(GREETING_END_MS, () => {
      over = true;
      onGreetingEnded();
    });
  };
  const noSpeech = clock.after(NO_SPEECH_MS, () =>
    decide({ verdict: 'unknown', confidence: 0, because: 'no speech' }),
  );
  const decision = clock.after(DECISION_MS, () =>
    decide({ verdict: 'unknown', confidence: 0, because: 'no decision' }),
  );

  return {
    voice(now) {
      speaking = now;
      if (now) noSpeech.cancel();
      if (over || verdict !== 'machine') return;
      if (now) greetingTimer?.cancel();
      else awaitEnd();
    },
    words(text, final) {
      const count = text.split(/\s+/).filter((word) => /\p{L}/u.test(word)).length;
      if (count === 0) return;
      noSpeech.cancel();
      if (PHRASES.test(text)) decide({ verdict: 'machine', confidence: 0.95, because: 'phrase' });
      else if (count >= MACHINE_WORDS) decide({ verdict: 'machine', confidence: 0.7, because: 'words' });
      else if (final) {
        // "Hello?" is said by people; eight words may be the first sentence of a greeting.
        decide({ verdict: 'human', confidence: 1 - count / (2 * MACHINE_WORDS), because: 'short' });
      }
    },
    decided: settle,
    stop() {
      over = true;
      for (const timer of [noSpeech, decision, greetingTimer]) timer?.cancel();
    },
  };
};

/** What a campaign wants done where a machine has answered. */
export interface MachineDetectionOptions {
  onMachine: 'hang up' | 'leave message' | 'go on';
  /** Said once the greeting is over; then the agent hangs up. */
  message: string;
}
