import { z } from 'zod';
import type { Clock } from '../call/clock.ts';
import { defaultRingSeconds } from '../call/transfer.ts';
import { isPremium } from '../dialling/destination.ts';
import { bytesOfText } from './json.ts';
import { defineTool, type Tool, type ToolCallFacts, ToolError } from './tool.ts';

/** None of them waits for anything outside. */
const timeoutMs = 1_000;

/** Names that no other tool may have. */
export const builtInNames = ['hang_up', 'transfer_call', 'press_digits', 'call_facts'] as const;

/** E.164: at most 15 digits, the first of them no zero. */
const e164 = /^\+[1-9]\d{1,14}$/;
/** Of what RFC 3261 allows, what means nothing in a dial plan either: FreeSWITCH has its own use for commas, bars, braces and quotes. */
const sipAddress = /^sips?:[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:\d{1,5})?$/;

const destination = z
  .string()
  .max(255)
  .refine((to) => e164.test(to) || sipAddress.test(to), {
    error: 'neither a number in E.164, e.g. +14155550100, nor a SIP address, e.g. sip:sales@example.com',
  });

const timeZone = z.string().max(64).refine(isTimeZone, { error: 'no IANA time zone, e.g. Europe/Berlin' });

/** Which built-in tools an agent has. */
export const builtInToolsSchema = z.strictObject({
  hangUp: z.boolean().default(true),
  /** Absent: callers are not transferred. */
  transfer: z
    .strictObject({
      /** By the name that the model uses, e.g. `sales`; default the address itself. */
      destinations: z
        .array(
          z
            .strictObject({
              name: z.string().min(1).max(64).optional(),
              to: destination,
            })
            .transform(({ name, to }) => ({ name: name ?? to, to })),
        )
        .max(50)
        .default([])
        .refine((list) => new Set(list.map((each) => each.name)).size === list.length, {
          error: 'two destinations have one name',
        }),
      /** Beginnings of numbers in E.164 that the model may choose by itself, e.g. `+4930`. */
      prefixes: z
        .array(z.string().regex(/^\+[1-9]\d{0,13}$/, 'the beginning of a number in E.164, e.g. +4930'))
        .max(50)
        .default([]),
      /** How long it rings there before the agent takes the caller back. */
      ringSeconds: z.number().int().min(5).max(120).default(defaultRingSeconds),
      /** Said to a caller who is back, word for word; empty: the model says it. */
      failedLine: z.string().max(2_000).default(''),
    })
    .refine((options) => options.destinations.length + options.prefixes.length > 0, {
      error: 'neither destinations nor prefixes',
    })
    .optional(),
  pressDigits: z.boolean().default(false),
  /** Absent: the model knows nothing of the call. */
  callFacts: z
    .strictObject({
      /** IANA name. */
      timeZone: timeZone.default('UTC'),
      /** Keys of `start_call.metadata` that the model may know. What stands there was written by the client. */
      metadataKeys: z.array(z.string().min(1).max(64)).max(20).default([]),
    })
    .optional(),
});

export type BuiltInTools = z.output<typeof builtInToolsSchema>;

export function builtInTools(settings: BuiltInTools, clock: Clock): Tool[] {
  const tools: Tool[] = [];
  if (settings.hangUp) tools.push(hangUp());
  if (settings.transfer !== undefined) tools.push(transferCall(settings.transfer));
  if (settings.pressDigits) tools.push(pressDigits());
  if (settings.callFacts !== undefined) tools.push(callFacts(settings.callFacts, clock));
  return tools;
}

/** Ends the call, after the goodbye was heard. */
export function hangUp(): Tool {
  return defineTool({
    name: 'hang_up',
    description: 'Ends the call. Use it when the conversation is over or the caller asks for it.',
    schema: z.object({}),
    timeoutMs,
    // What it does is done afterwards, and comes to nothing if the caller speaks again.
    repeat: 'always',
    run: async () => ({
      ok: true,
      content:
        'The call ends once the caller has heard what you say next. Say goodbye in one short sentence, unless you have done so.',
      afterwards: { act: 'hangUp' },
    }),
  });
}

/** Connects the caller to somebody else, after having been told so. */
export function transferCall(options: NonNullable<BuiltInTools['transfer']>): Tool {
  const names = options.destinations.map((each) => each.name);
  const listed = names.map((name) => JSON.stringify(name)).join(', ');
  const prefixed = `a number in E.164 that begins with ${options.prefixes.join(' or ')}`;
  return defineTool({
    name: 'transfer_call',
    description:
      'Connects the caller to somebody else. Your part in the call ends with it, unless nobody answers there: then the caller comes back to you.',
    schema: z.object({
      to:
        options.prefixes.length === 0
          ? z.enum(names)
          : z
              .string()
              .max(255)
              .describe([...(names.length === 0 ? [] : [`One of ${listed}`]), prefixed].join('; or ')),
    }),
    timeoutMs,
    repeat: 'always',
    run: async ({ to }) => {
      const address = destinationOf(to, options);
      if (address === null) {
        throw new ToolError(`Callers cannot be transferred there. Possible: ${listed || prefixed}.`);
      }
      return {
        ok: true,
        content:
          'The caller is connected after having heard what you say next. Tell the caller so in one short sentence.',
        afterwards: { act: 'transfer', to: address, ringSeconds: options.ringSeconds },
      };
    },
  });
}

/** Sends keys to the far end: an extension, the menu of another machine. */
export function pressDigits(): Tool {
  return defineTool({
    name: 'press_digits',
    description: 'Presses keys on the telephone, to choose from a menu or to dial an extension.',
    schema: z.object({
      // As many keys as an entry of the caller's may have.
      digits: z
        .string()
        .regex(/^[0-9*#A-D]{1,32}$/, '1 to 32 of 0-9 * # A-D')
        .describe('E.g. 4711#'),
    }),
    timeoutMs,
    repeat: 'always',
    run: async ({ digits }, { actions }) => {
      if (!actions.pressDigits(digits)) throw new ToolError('Keys cannot be pressed on this line.');
      return { ok: true, content: 'Pressed.' };
    },
  });
}

/** Tells what is known of the call, and the time. */
export function callFacts(options: NonNullable<BuiltInTools['callFacts']>, clock: Clock): Tool {
  return defineTool({
    name: 'call_facts',
    description:
      "Tells what is known of this call: the caller's number, when the call began, today's date and the local time now, and what the caller's system told.",
    schema: z.object({}),
    timeoutMs,
    repeat: 'always',
    run: async (_, { call }) => ({
      ok: true,
      content: JSON.stringify({
        callerNumber: call.phoneNumber,
        callStarted: localTime(call.startTime, options.timeZone),
        now: localTime(clock.now(), options.timeZone),
        weekday: weekday(clock.now(), options.timeZone),
        timeZone: options.timeZone,
        ...metadataOf(call, options.metadataKeys),
      }),
    }),
  });
}

function destinationOf(to: string, options: NonNullable<BuiltInTools['transfer']>): string | null {
  const named = options.destinations.find((each) => each.name === to || each.to === to);
  if (named !== undefined) return named.to;
  // As numbers are written: +49 (30) 123-456.
  const digits = to.replaceAll(/[\s().-]/g, '');
  // Whatever prefix is allowed: a caller may have talked the model into it, and earn by it.
  if (!e164.test(digits) || isPremium(digits)) return null;
  return options.prefixes.some((prefix) => digits.startsWith(prefix)) ? digits : null;
}

/** Bytes of one value's JSON that the model is shown; a longer one is left out. All of them together fit into an answer. */
const longestMetadata = 300;

function metadataOf(call: ToolCallFacts, keys: readonly string[]): { metadata?: Record<string, unknown> } {
  const chosen = keys
    .filter((key) => Object.hasOwn(call.metadata, key))
    .map((key) => [key, call.metadata[key]] as const)
    .filter(([, value]) => bytesOfText(JSON.stringify(value) ?? '') <= longestMetadata);
  return chosen.length === 0 ? {} : { metadata: Object.fromEntries(chosen) };
}

/** ISO 8601 with the zone's own offset, e.g. `2026-11-21T14:03:00+01:00`. */
function localTime(at: number, zone: string): string {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
  });
  const parts = new Map<string, string>(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const part = (type: string) => parts.get(type) ?? '';
  // `GMT+01:00`, and for UTC itself `GMT`.
  const offset = part('timeZoneName').slice('GMT'.length) || '+00:00';
  return `${part('year')}-${part('month')}-${part('day')}T${part('hour')}:${part('minute')}:${part('second')}${offset}`;
}

function weekday(at: number, zone: string): string {
  return new Intl.DateTimeFormat('en-US', { timeZone: zone, weekday: 'long' }).format(at);
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
