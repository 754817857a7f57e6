import type {
  CacheControlEphemeral,
  MessageCreateParamsBase,
  MessageParam,
  ThinkingConfigParam,
  Tool,
} from '@anthropic-ai/sdk/resources/messages/messages';
import type { LanguageModelRequest, Message, ToolCall } from '../ports.ts';

/** How Claude is asked, whoever serves it. */
export interface ClaudeSettings {
  model: string;
  /**
   * Whether the model thinks before it speaks, or only after a tool has answered. A caller hears thinking as silence. Absent: as
   * little as the model allows where that is known (Haiku: not at all; Sonnet 5.5: between tools), else the model's own.
   * Opus 5.5 and Fable 5.1 always think, and refuse `disabled`.
   */
  thinking?: 'disabled' | 'between_tools' | 'adaptive';
  /** Tokens that a model which thinks may use for it, on top of the reply's bound. Default 2,000. */
  thinkingTokens?: number;
  /** How much the model puts into its thinking and its reply; absent: the model's own. Models before Opus 4.5, and Haiku 4.5, know none; `xhigh` and `max` are refused without `adaptive` thinking. */
  effort?: 'low' | 'medium' | 'high' | 'xhigh' | 'max';
  /**
   * Whether the tools and the system prompt are cached by the vendor for five minutes from their last use: a quarter dearer at the first turn,
   * nine tenths cheaper and faster at each later one. Prompts too short for the model's cache are not affected. Default true.
   */
  cachePrompt?: boolean;
  /** The longest wait for the head of one attempt's answer. Default 4,000: a hung attempt leaves time for another one. */
  timeoutMs?: number;
  /** Attempts after the first on 408, 409, 429, 5xx and broken connections, with exponential back-off. Default 3. */
  maxRetries?: number;
  /** The longest wait for the first text, all retries included. Default 10,000. */
  firstTokenMs?: number;
  /** The longest wait for the next text. Default 5,000. */
  idleMs?: number;
}

/** What the API takes but for the model, which Bedrock has in the address. */
export type ClaudeRequest = Omit<MessageCreateParamsBase, 'model'>;

const defaultThinkingTokens = 2_000;

/** Stands where the API demands a word of the caller's and there is none: before a greeting, after a reply. */
const callBegins = '(The call begins.)';
const callerIsSilent = '(The caller says nothing.)';

/**
 * A request for the Messages API ("Messages", "Tool use", "Prompt caching"; the same on Bedrock, "Anthropic Claude Messages API").
 * The system prompt stands apart; a conversation starts and ends with the user, whose turns alternate with the assistant's; the result
 * of every tool call follows it at once. Sends no temperature: API version 2026-10-21 has none, and no model since
 * Opus 4.7 accepts one.
 */
export function claudeRequest(settings: ClaudeSettings, request: LanguageModelRequest): ClaudeRequest {
  const system = request.messages.flatMap((message) =>
    message.role === 'system' && message.content.trim() !== ''
      ? [{ type: 'text' as const, text: message.content }]
      : [],
  );
  const cache: { cache_control?: CacheControlEphemeral } =
    (settings.cachePrompt ?? true) ? { cache_control: { type: 'ephemeral' } } : {};
  const thinking = thinkingOf(settings);
  const thinks = thinking !== null && thinking.type !== 'disabled';
  return {
    max_tokens: request.maxOutputTokens + (thinks ? (settings.thinkingTokens ?? defaultThinkingTokens) : 0),
    ...(system.length === 0
      ? {}
      : { system: system.map((block, i) => (i === system.length - 1 ? { ...block, ...cache } : block)) }),
    messages: conversationOf(request.messages),
    ...toolsOf(request),
    ...(thinking === null ? {} : { thinking }),
    ...(settings.effort === undefined ? {} : { output_config: { effort: settings.effort } }),
  };
}

/** "Thinking", section "Configuring thinking": what each model does where nothing is said, and what it accepts. */
function thinkingOf({ thinking, model }: ClaudeSettings): ThinkingConfigParam | null {
  if (thinking !== undefined) return { type: thinking };
  if (/haiku/.test(model)) return { type: 'disabled' };
  if (/sonnet-5-5/.test(model)) return { type: 'between_tools' };
  return null;
}

function toolsOf(request: LanguageModelRequest): Pick<ClaudeRequest, 'tools' | 'tool_choice'> {
  if (request.tools?.length) {
    const tools = request.tools.map(
      (tool): Tool => ({
        name: tool.name,
        description: tool.description,
        input_schema: { ...tool.parameters, type: 'object' },
      }),
    );
    return { tools };
  }
  // A conversation with calls in it must define tools, even where none may be called any more.
  const called = request.messages.flatMap((message) =>
    message.role === 'assistant' ? (message.toolCalls ?? []).map((call) => call.name) : [],
  );
  if (called.length === 0) return {};
  return {
    tools: [...new Set(called)].map((name) => ({ name, input_schema: { type: 'object' } })),
    tool_choice: { type: 'none' },
  };
}

type Block = Exclude<MessageParam['content'], string>[number];
interface Turn {
  role: 'user' | 'assistant';
  content: Block[];
}

function conversationOf(messages: readonly Message[]): MessageParam[] {
  const turns: Turn[] = [];
  const ids = new Set<string>();
  const add = (role: Turn['role'], ...content: Block[]) => {
    if (content.length === 0) return;
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...content);
    else turns.push({ role, content });
  };
  for (const [i, message] of messages.entries()) {
    if (message.role === 'user') add('user', ...textOf(message.content));
    if (message.role !== 'assistant') continue;
    if (turns.length === 0) add('user', { type: 'text', text: callBegins });
    const calls = (message.toolCalls ?? []).map((call) => ({ call, id: idOf(call, ids) }));
    add('assistant', ...textOf(message.content), ...calls.map(({ call, id }) => toolUseOf(call, id)));
    add('user', ...calls.map(({ call, id }) => toolResultOf(call, id, messages.slice(i + 1))));
  }
  if (turns.length === 0) add('user', { type: 'text', text: callBegins });
  // Models since Opus 4.6 continue no turn of their own.
  if (turns.at(-1)?.role === 'assistant') add('user', { type: 'text', text: callerIsSilent });
  return turns;
}

/** The API refuses blank text. */
function textOf(content: string): Block[] {
  return content.trim() === '' ? [] : [{ type: 'text', text: content }];
}

/** Another vendor's id, of a call before a fail-over, may hold what this API refuses, or come twice. */
function idOf(call: ToolCall, taken: Set<string>): string {
  const isUsable = /^[A-Za-z0-9_-]{1,128}$/.test(call.id) && !taken.has(call.id);
  const id = isUsable ? call.id : `call_${taken.size}_of_another`;
  taken.add(id);
  return id;
}

function toolUseOf(call: ToolCall, id: string): Block {
  return { type: 'tool_use', id, name: call.name, input: inputOf(call.arguments) };
}

/** "Fine-grained tool streaming" says how to hand back JSON that is none. */
function inputOf(text: string): Record<string, unknown> {
  try {
    const input: unknown = JSON.parse(text);
    if (typeof input === 'object' && input !== null && !Array.isArray(input)) return { ...input };
  } catch {}
  return { INVALID_JSON: text };
}

/** A call without a result is refused: it may be missing where the caller interrupted. */
function toolResultOf(call: ToolCall, id: string, later: readonly Message[]): Block {
  const result = later.find((message) => message.role === 'tool' && message.toolCallId === call.id);
  return result === undefined
    ? { type: 'tool_result', tool_use_id: id, content: 'No result.', is_error: true }
    : { type: 'tool_result', tool_use_id: id, content: result.content };
}
