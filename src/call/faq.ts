/** A question with a fixed answer: no language model is asked, and the answer's speech is ready audio. */
export interface FaqEntry {
  /** Ways to ask it. It matches whoever says just that, courtesies aside. */
  questions: readonly string[];
  answer: string;
}

/** What people say around a question. Longer ones first, since they begin like shorter ones. English. */
const courtesies = [
  'could you please tell me',
  'can you please tell me',
  'could you tell me',
  'can you tell me',
  'would you tell me',
  'i would like to know',
  "i'd like to know",
  'i want to know',
  'i wanted to ask',
  'i have a question',
  'do you know',
  'just wondering',
  'i was wondering',
  'excuse me',
  'good morning',
  'good afternoon',
  'good evening',
  'thank you',
  'please',
  'thanks',
  'hello',
  'hi',
  'hey',
  'yes',
  'yeah',
  'okay',
  'ok',
  'so',
  'well',
  'um',
  'uh',
  'er',
  'and',
].map((words) => words.split(' '));

/**
 * The declared questions of an agent. A match is exact, word for word, once courtesies at both ends are set aside: a wrong answer
 * would cost more than a model's right one.
 */
export class Faq {
  readonly #answers = new Map<string, string>();

  constructor(entries: readonly FaqEntry[]) {
    for (const { questions, answer } of entries) {
      for (const question of questions) {
        const key = keyOf(question);
        if (key !== '' && !this.#answers.has(key)) this.#answers.set(key, answer);
      }
    }
  }

  /** The answer to what the caller said, or null. */
  answerTo(text: string): string | null {
    return this.#answers.size === 0 ? null : (this.#answers.get(keyOf(text)) ?? null);
  }
}

function keyOf(text: string): string {
  let words: string[] = text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}]+)?/gu) ?? [];
  words = words.map((word) => word.replace('’', "'"));
  for (let shorter = true; shorter; ) {
    shorter = false;
    for (const courtesy of courtesies) {
      // What consists of a courtesy is the question itself.
      if (courtesy.length >= words.length) continue;
      if (courtesy.every((word, i) => words[i] === word)) {
        words = words.slice(courtesy.length);
        shorter = true;
      } else if (courtesy.every((word, i) => words[words.length - courtesy.length + i] === word)) {
        words = words.slice(0, -courtesy.length);
        shorter = true;
      }
    }
  }
  return words.join(' ');
}
