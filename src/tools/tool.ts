import { z } from 'zod';
import type { ToolDefinition } from '../providers/ports.ts';
import type { Afterwards } from './afterwards.ts';

/** The call that a tool is run for. What of it a tool may tell the model is the tool's own choice. */
export interface ToolCallFacts {
  callId: string;
  userId: string;
  campaignId: string | null;
  phoneNumber: string | null;
  /** Milliseconds since the epoch. */
  startTime: number;
  metadata: Record<string, unknown>;
}

/** What a tool may do to the call. */
export interface CallActions {
  /** Ends the call. */
  hangUp(): void;
  /**
   * Begins to connect the caller to somebody else: a number in E.164, or a `sip:` address. The agent has no part in the call meanwhile, and
   * takes the caller back if nobody answers. False: this leg cannot, or it was tried often enough.
   */
  transfer(to: string, ringSeconds: number): boolean;
  /** Sends keys to the far end, of `0-9 * # A-D`. False: this leg cannot. */
  pressDigits(digits: string): boolean;
}

export interface ToolContext {
  call: ToolCallFacts;
  actions: CallActions;
  /** The same for the same request, however often it is repeated: after a restart, or by the model. */
  idempotencyKey: string;
  /** Fires when the tool's time is over, and when the call is. */
  signal: AbortSignal;
}

/** What a tool answers. */
export interface ToolResult {
  /** For the model: text or JSON. */
  content: string;
  /** False: it failed, and `content` says how. */
  ok: boolean;
  afterwards?: Afterwards;
}

/**
 * What becomes of a request with the same tool and arguments as an earlier one of the call.
 * - `once`: it is never done twice. While the first run is under way, the second request waits for its result; once that has
 *   succeeded, it gets the result again. For all that leaves something behind: a booking, a message, a payment.
 * - `later`: waits for the result of a run that is under way, and is run anew after it. For looking something up.
 * - `always`: every request is run by itself. For what is meant to be done again: pressing the same key twice.
 */
export type ToolRepeat = 'once' | 'later' | 'always';

/** Something that the model can ask for during a call. */
export interface Tool {
  readonly definition: ToolDefinition;
  /** What `run` takes. The model's arguments, parsed from JSON, go through it first. */
  readonly schema: z.ZodType;
  /** The longest run, in milliseconds. */
  readonly timeoutMs: number;
  readonly repeat: ToolRepeat;
  /**
   * An interruption of the agent's turn does not end it: half a booking is worse than one that nobody waits for.
   *
   * @param args what `schema` made of the model's arguments.
   * @throws {ToolError} with what the model may know of a failure; of anything else thrown it is told only that the tool failed.
   */
  run(args: unknown, context: ToolContext): Promise<ToolResult>;
}

/** A tool failed. The model is told the message. */
export class ToolError extends Error {
  override readonly name: string = 'ToolError';
}

/** The tool did what was asked, but its answer is longer than {@link mostContentBytes}. */
export class AnswerTooLong extends ToolError {
  override readonly name = 'AnswerTooLong';

  constructor() {
    super(`The answer is longer than ${mostContentBytes} bytes.`);
  }
}

/** Of a tool's answer, in UTF-8: some 2,000 tokens, which the model reads again in every further turn. */
export const mostContentBytes = 8 * 1024;

/** What a tool is made from; the model is shown the schema as JSON Schema. */
export interface ToolParts<Schema extends z.ZodType> {
  name: string;
  description: string;
  schema: Schema;
  timeoutMs: number;
  /** Default `once`. */
  repeat?: ToolRepeat;
  run(args: z.output<Schema>, context: ToolContext): Promise<ToolResult>;
}

export function defineTool<Schema extends z.ZodType>(parts: ToolParts<Schema>): Tool {
  const { name, description, schema, timeoutMs, repeat = 'once' } = parts;
  const { $schema, ...parameters } = z.toJSONSchema(schema, { io: 'input' });
  return {
    definition: { name, description, parameters },
    schema,
    timeoutMs,
    repeat,
    run: (args, context) => parts.run(args as z.output<Schema>, context),
  };
}

/**
 * One request of the model, as it is kept with the call: also one that was refused, for each request needs its answer in the
 * conversation.
 */
export interface ToolRun {
  /** The model's id of the request. */
  id: string;
  name: string;
  /** As the model wrote it: JSON, if it is any; cut where it is longer than a request may be. */
  arguments: string;
  content: string;
  ok: boolean;
  /** When it was asked for, in milliseconds since the epoch, and how long it took. */
  at: number;
  tookMs: number;
  /** Null: no tool was run. That of an earlier run: this request got that run's result. */
  idempotencyKey: string | null;
}
