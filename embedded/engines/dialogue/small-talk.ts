import type { Business } from './business.ts';

/** Something said that asks for no fact. */
export interface SmallTalk {
  id: string;
  pattern: RegExp;
  answer: (business: Business) => string;
}

/** Asked about before any fact is looked for: their words must not be mistaken for a subject. Lower case, no signs. */
export const firstOfAll: readonly SmallTalk[] = [
  {
    id: 'what-are-you',
    pattern:
      /\b(are|r) you (really |actually |just )?(an? )?(real|human|person|robot|bot|machine|computer|ai|artificial|chat ?bot|chat ?gpt|language model|recording|answering machine|automated)\b|\b(what|who) are you$|\bwhat (kind|sort) of (system|machine|bot|assistant|ai) are you\b|\b(am i|i am) (talking|speaking) (to|with) (an? )?(real|human|person|robot|bot|machine|computer|ai)\b|\bwho am i (talking|speaking) (to|with)\b|\bis this (an? )?(real|robot|bot|machine|computer|ai|recording|human|person)\b|\bwhat am i (talking|speaking) (to|with)\b/,
    answer: ({ name }) =>
      `I am a computer. I am no language model, but a small program that finds answers about ${name} by keywords.`,
  },
  {
    id: 'leave-message',
    pattern:
      /\b(leave|take|pass on|give) (him |her |them |you )?(a |my )?message\b|\b(speak|talk) (to|with) (a |an |some )?(human|person|real person|somebody|someone|mechanic|manager|colleague|agent|operator|member of staff)\b|\b(put me through|transfer me|call me back|ring me back|connect me)\b/,
    answer: () => messageRequest,
  },
];

/** Asked about only where no fact was found. */
export const afterFacts: readonly SmallTalk[] = [
  {
    id: 'goodbye',
    pattern:
      /\b(good ?bye|bye|see you|have a (nice|good) (day|evening|one)|that is all|thats all|that will be all|nothing else)\b/,
    answer: ({ name }) => `Goodbye! Thank you for calling ${name}.`,
  },
  {
    id: 'thanks',
    pattern: /\b(thank you|thanks|cheers|much appreciated|that helps|great|perfect|brilliant|lovely)\b/,
    answer: () => 'You are welcome. Is there anything else?',
  },
  {
    id: 'how-are-you',
    pattern: /\bhow are (you|things)\b|\bhow is it going\b|\bhow do you do\b/,
    answer: () => 'I am fine, thank you. What can I do for you?',
  },
  {
    id: 'help',
    pattern:
      /\b(what can (you|i) (do|ask|help)|what do you know|how can you help|can you help|i (have|got) a question|help me|need (some )?help)\b/,
    answer: ({ name }) =>
      `Of course. I can answer questions about ${name}: opening hours, repairs, prices, bikes and hire.`,
  },
  {
    id: 'greeting',
    pattern: /^(oh |um |er )?(hello|hi|hey|hiya|good (morning|afternoon|evening|day)|greetings)\b/,
    answer: ({ name }) => `Hello! This is ${name}. What can I do for you?`,
  },
  {
    id: 'no',
    pattern: /^(no|nope|no thanks|not really|i am fine)\b/,
    answer: () => 'All right. Just ask if there is anything else.',
  },
  {
    id: 'yes',
    pattern: /^(yes|yeah|yep|sure|okay|ok|all right|alright)$/,
    answer: () => 'Good. What would you like to know?',
  },
];

export const repeatPattern =
  /\b(repeat (that|it|please)|(can|could) you repeat|say (that|it) again|come again|once more please|one more time|i (did not|didnt) (catch|hear|get|understand) (that|you|it)|what did you say|pardon|beg your pardon|excuse me what)\b|^(sorry|what|repeat|again)( please)?$/;

export const yesPattern =
  /^(yes|yeah|yep|sure|please|ok|okay|go ahead|of course|that would be|all right|alright|why not)\b/;

export const messageOffer = 'take a message';
export const messageRequest = 'Gladly. Please tell me your name, your number and what it is about.';
export const messageTaken =
  'Thank you, I have that. It is in the record of this call, where the shop will find it.';
export const nothingHeard = 'Sorry, I did not hear anything. Could you say that again?';
export const nothingToRepeat = 'I have not said anything yet. What can I do for you?';

/** Said to every question outside the subject; never a guess. */
export function unknown({ name }: Business, again: boolean): string {
  return again
    ? `I don't know that either. Shall I ${messageOffer} for the shop?`
    : `I'm sorry, I don't know that. I only know about ${name}, but I can ${messageOffer} for the shop.`;
}
