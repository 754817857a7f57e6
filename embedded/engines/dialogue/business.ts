import { readFileSync } from 'node:fs';
import { z } from 'zod';

const word = z.string().min(1).max(200);
const concept = z.string().regex(/^[a-z-]+$/);

const factSchema = z.strictObject({
  id: word,
  /** Concepts that a follow-up question takes over: after "when are you open?", "and on Sunday?" is about `open`. */
  topic: z.array(concept).min(1),
  /** A question must name one concept of each group, whatever else it says. */
  needs: z.array(z.array(concept).min(1)).min(1),
  /** What it needs is hardly spoken of outside the subject: words that nobody knows then count little. */
  specific: z.boolean().default(false),
  /** One to three short sentences to be spoken; the first is the shortest. */
  answer: z.string().min(1).max(300),
  phrasings: z.array(word).min(2),
});
export type Fact = z.infer<typeof factSchema>;

const businessSchema = z
  .strictObject({
    name: word,
    about: word,
    facts: z.array(factSchema).min(1),
    /** Words and phrases that mean the same, by the name they go under. */
    concepts: z.record(concept, z.array(word).min(1)),
    /** Concepts that make a question one for those facts only that know them: cars have brakes too. */
    exclusive: z.array(concept),
    /** Concepts that ask something about a subject rather than name one: "how much is that?" */
    aspects: z.array(concept),
  })
  .superRefine((business, context) => {
    const ids = new Set<string>();
    for (const fact of business.facts) {
      if (ids.has(fact.id)) context.addIssue(`two facts are called ${fact.id}`);
      ids.add(fact.id);
      for (const name of [...fact.topic, ...fact.needs.flat()]) {
        if (!Object.hasOwn(business.concepts, name)) context.addIssue(`${fact.id}: no concept ${name}`);
      }
    }
  });
export type Business = z.infer<typeof businessSchema>;

/** The example business that the embedded dialogue engine answers for. @throws {Error} if its file is wrong. */
export function exampleBusiness(): Business {
  const path = new URL('../business/harbour-cycles.json', import.meta.url);
  return businessSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
}
