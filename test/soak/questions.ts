/** What callers ask of the embedded agent, and words of its answer: of its business those that the recogniser understands from this voice. */
export interface Question {
  text: string;
  answer: RegExp;
}

export const questions: readonly Question[] = [
  { text: 'What time do you open on Saturday?', answer: /ten to four/i },
  { text: 'Could you tell me where to leave my car?', answer: /car park/i },
  { text: 'Can I pay by credit card?', answer: /cards/i },
  { text: 'Are you open on Sunday?', answer: /closed on sunday/i },
  { text: 'Can you adjust my brakes?', answer: /brakes is fifteen/i },
  { text: 'Do you close for lunch?', answer: /over lunch/i },
  { text: 'What is your email address?', answer: /hello at harbour/i },
  { text: 'What are your opening hours?', answer: /tuesday to saturday/i },
  { text: 'How far is the train station?', answer: /railway station/i },
];

/** Those whose answers last longer than anybody waits to interrupt: some six seconds. */
export const longAnswers: readonly number[] = [4, 7];

/** Said over the agent's speech. */
export const interruptions: readonly Question[] = [
  { text: 'No, wait. Do you close for lunch?', answer: /over lunch/i },
  { text: 'No, wait. Can I pay by credit card?', answer: /cards/i },
];

/** Of flite's voices the one that the recogniser understands best; it hears only one side, so that the agent has the same does not matter. */
export const voice = 'rms';
