import { readFileSync } from 'node:fs';
import { redactionKinds } from '../src/privacy/kinds.ts';
import { redact } from '../src/privacy/redaction.ts';
import { median, printTable } from './statistics.ts';

export const help = `npm run bench -- redaction

Looks through texts that have no personal data in them (all that the embedded agent says and is asked), and counts where some is found; and
measures how long 20,000 characters of talk take, which are looked through at once.`;

const everything = { kinds: redactionKinds, countries: ['US', 'GB'] as const, known: [] };
const TALK =
  'So I said that we need two hundred and fifty of them by the twelfth of March, my number is oh seven seven double oh nine double oh ' +
  'one two three, order 2125550123, and I paid 1,250.00 for it. ';
const ROUNDS = 20;

/** All texts in a JSON value. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

export async function run(): Promise<object> {
  const business = new URL('../embedded/engines/business/harbour-cycles.json', import.meta.url);
  const texts = textsOf(JSON.parse(readFileSync(business, 'utf8')));
  const found = texts.filter((text) => redact([{ role: 'agent', text }], [], everything).turns[0] !== text);
  for (const text of found)
    console.log(text, '\n  →', redact([{ role: 'agent', text }], [], everything).turns[0]);
  const talk = [{ role: 'caller' as const, text: TALK.repeat(100).slice(0, 20_000) }];
  const times = Array.from({ length: ROUNDS }, () => {
    const began = performance.now();
    redact(talk, [], everything);
    return performance.now() - began;
  });
  const words = texts.join(' ').split(/\s+/).length;
  printTable([
    ['texts', 'words', 'with something found', 'ms for 20,000 characters, median'],
    [String(texts.length), String(words), String(found.length), median(times).toFixed(0)],
  ]);
  return { texts: texts.length, words, found: found.length, msAtOnce: Math.round(median(times)) };
}
