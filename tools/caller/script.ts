import { z } from 'zod';
import type { Call } from './call.ts';
import { CallError } from './errors.ts';
import { spokenCharacters } from './speech.ts';
import type { Utterance } from './types.ts';

const maxSteps = 500;

const expression = z
  .string()
  .min(1)
  .max(1000)
  .refine((source) => isExpression(source), 'must be a regular expression');

/** `wait: false` goes on without waiting for the reply: the next step interrupts, or a `pause` comes first. */
const speech = { expect: expression.optional(), wait: z.boolean().default(true) };

const stepSchema = z.union([
  z.strictObject({ say: z.string().min(1).max(spokenCharacters), ...speech }),
  z.strictObject({ wav: z.string().min(1).max(4096), ...speech }),
  z.strictObject({ pause: z.number().min(0).max(600_000) }),
  z.strictObject({ dtmf: z.string().regex(/^[0-9*#A-D]{1,64}$/, 'must be keys: 0-9 * # A-D') }),
  z.strictObject({ expect: expression }),
]);

/** One thing that the caller does. `pause` is milliseconds, `expect` a regular expression (`i`, `u`) on the reply's text. */
export type Step = z.output<typeof stepSchema>;

export const scriptSchema = z.array(stepSchema).min(1).max(maxSteps);

/** The script is not one; the message says where. */
export class ScriptError extends Error {
  override readonly name = 'ScriptError';
}

/** Reads a script: a JSON array of steps. */
export function parseScript(json: string): Step[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new ScriptError(`The script is not JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = scriptSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const [step, ...rest] = issue?.path ?? [];
  const where =
    typeof step === 'number' ? `step ${step + 1}${rest.length > 0 ? `, ${rest.join('.')}` : ''}` : 'it';
  const what =
    issue?.code === 'invalid_union'
      ? 'must have exactly one of say, wav, pause, dtmf and expect, with say and wav also expect and wait'
      : issue?.message;
  throw new ScriptError(`The script is wrong: ${where} ${what}`);
}

/** Gives the samples of a step at the call's rate. */
export type Audio = (step: { say: string } | { wav: string }) => Promise<Int16Array>;

/**
 * Runs the steps in order, after the greeting.
 *
 * @throws {CallError} as `Call`; `unexpected` where a reply is not as `expect` has it.
 */
export async function runScript(
  call: Call,
  steps: readonly Step[],
  audio: Audio,
  greetingMs: number,
): Promise<void> {
  await call.waitForGreeting(greetingMs);
  let last: Utterance | null = null;
  for (const step of steps) {
    if ('pause' in step) {
      await call.pause(step.pause);
    } else if ('dtmf' in step) {
      for (const digit of step.dtmf) {
        call.dtmf(digit);
        // Two keys of a telephone are never closer: a key held for 160 ms, and a gap.
        await call.pause(240);
      }
    } else if ('say' in step || 'wav' in step) {
      last = await call.say(await audio(step), 'say' in step ? step.say : step.wav);
      if (step.wait) await call.waitForReply();
      if (step.expect !== undefined) checkReply(last, step.expect);
    } else {
      if (last !== null && last.reply === null) await call.waitForReply();
      checkReply(last, step.expect);
    }
  }
}

function checkReply(utterance: Utterance | null, source: string): void {
  if (utterance === null) throw new CallError('unexpected', `Nothing was said that /${source}/ could answer`);
  const text = utterance.reply?.text ?? '';
  if (!new RegExp(source, 'iu').test(text)) {
    const asked = JSON.stringify(utterance.label);
    throw new CallError('unexpected', `The reply to ${asked} is ${JSON.stringify(text)}, not /${source}/`);
  }
}

function isExpression(source: string): boolean {
  try {
    new RegExp(source, 'iu');
    return true;
  } catch {
    return false;
  }
}
