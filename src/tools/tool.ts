import type { ToolDefinition } from '../providers/ports.ts';

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
  /** Connects the caller to somebody else: a number in E.164, or a `sip:` address. False: this leg cannot. */
  transfer(to: string): boolean;
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
  /** Done once what the agent says next was heard to its end: a goodbye comes before the hang-up. */
  afterwards?: () => void;
}

/** Something that the model can ask for during a call. */
export interface Tool {
  readonly definition: ToolDefinition;
  /** The longest run, in milliseconds. */
  readonly timeoutMs: number;
  /**
   * Whether it may be run again with the same arguments while the first run is still under way. Default false: the second request
   * waits for the first one's result.
   */
  readonly repeatable?: boolean;
  /**
   * @param args the model's arguments, parsed from JSON and not checked any further.
   * @throws whatever; it becomes a result that is not `ok`.
   */
  run(args: unknown, context: ToolContext): Promise<ToolResult>;
}

/** One run of a tool, as it is kept with the call. */
export interface ToolRun {
  /** The model's id of the request. */
  id: string;
  name: string;
  /** JSON as the model wrote it. */
  arguments: string;
  content: string;
  ok: boolean;
  /** Milliseconds since the epoch, and how long it took. */
  at: number;
  tookMs: number;
  idempotencyKey: string;
}
