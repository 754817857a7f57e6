/** What caller's words mean that come while the agent speaks. */
export type OverlapKind =
  /** "uh-huh": the caller listens. The agent goes on. */
  | 'backchannel'
  /** The agent's own words, come back over the line. */
  | 'echo'
  /** The caller wants to speak. */
  | 'speech';

/** Sounds and words by which a listener says "go on". */
const listening = new Set(
  'uh huh uhuh uhhuh mhm mm mmm hm hmm mmhmm ah aha oh eh a ok okay right yeah yep yes sure good great fine i see alright cool'.split(
    ' ',
  ),
);
/** How the listener may call whom he listens to, behind one of them: "yes, sir". Alone it calls for attention. */
const addresses = new Set(['sir', 'madam', "ma'am"]);
/** Longer ones are speech, whatever they consist of. */
const MOST_BACKCHANNEL_WORDS = 4;
/** Fewer words in common are chance. */
const LEAST_ECHO_WORDS = 2;
const ECHO_SHARE = 0.7;

/**
 * Judges what the caller said over the agent. Pure.
 *
 * @param text what the caller said, as understood so far.
 * @param agentText what the agent was saying. After a question of the agent's "yes" is an answer.
 */
export function overlapKind(text: string, agentText: string): OverlapKind {
  const said = wordsOf(text);
  if (said.length === 0) return 'backchannel';
  // Whoever was asked may answer in the question's own words, and with one word.
  const asked = /[?？]/.test(agentText);
  const shortAnswer = asked && said.length <= MOST_BACKCHANNEL_WORDS;
  if (!shortAnswer && isEcho(said, wordsOf(agentText))) return 'echo';
  const isListening =
    said.length <= MOST_BACKCHANNEL_WORDS &&
    said.every((word, i) => listening.has(word) || (i > 0 && addresses.has(word)));
  return isListening && !asked ? 'backchannel' : 'speech';
}

/**
 * Whether an interim is too short to be judged: one word may be the beginning of the agent's own words, come back, or of a backchannel.
 * Pure.
 */
export function isTooEarly(text: string, agentText: string): boolean {
  const words = text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
  return words.length < 2 && words.every((word) => word === 'all' || wordsOf(agentText).includes(word));
}

/** Whether words that began after the agent had ended can be its echo: only the end of what it said still comes back. Pure. */
export function isEchoOfEnd(text: string, agentText: string): boolean {
  const said = wordsOf(text);
  return isEcho(said, wordsOf(agentText).slice(-said.length));
}

/** Most of the words stand in the agent's in the same order. */
function isEcho(said: readonly string[], agent: readonly string[]): boolean {
  const common = longestCommonSubsequence(said, agent);
  return common >= LEAST_ECHO_WORDS && common / said.length >= ECHO_SHARE;
}

function wordsOf(text: string): string[] {
  // A transcriber writes "alright" as two words.
  return (
    text
      .toLowerCase()
      .replaceAll('all right', 'alright')
      .match(/[\p{L}\p{N}']+/gu) ?? []
  );
}

/** Of at most some hundred words a side; one row of the table at a time. */
function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const word of a) {
    const next = [0];
    for (let j = 0; j < b.length; j++) {
      next.push(word === b[j] ? row[j]! + 1 : Math.max(row[j + 1]!, next[j]!));
    }
    row = next;
  }
  return row[b.length]!;
}
