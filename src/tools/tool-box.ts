import type { Clock, Timer } from '../call/clock.ts';
import type { ToolCall, ToolDefinition } from '../providers/ports.ts';
import { mostArgumentBytes, type ReadArguments, readArguments } from './arguments.ts';
import { bytesOfText } from './json.ts';
import {
  AnswerTooLong,
  type CallActions,
  mostContentBytes,
  type Tool,
  type ToolCallFacts,
  ToolError,
  type ToolResult,
  type ToolRun,
} from './tool.ts';

export interface ToolBoxOptions {
  /** No two of one name. */
  tools: readonly Tool[];
  call: ToolCallFacts;
  actions: CallActions;
  clock: Clock;
  /**
   * A request has its result. Called before that is given back, so that it can be committed before anything of it is spoken; also
   * where nobody waits for it any more, an interrupted turn or a call that has ended. Of one `run`, once.
   */
  onRun(run: ToolRun): void;
  /** Something failed that the model is told nothing of: an error of a tool's own, or of `onRun`. For the log. */
  onError?: (error: unknown, tool: string) => void;
  /** What `onRun` got of this call before its object was restarted, in the same order. */
  results?: readonly ToolRun[];
  /** Requests that are heeded in a call, those in `results` counted. Default 100: more come from a model in a loop. */
  mostRuns?: number;
}

/** A request that waits for a run: the one that began it, or one that joined it. */
interface Waiting {
  toolCall: ToolCall;
  at: number;
  resolve(result: ToolResult): void;
}

interface Running {
  readonly tool: Tool;
  /** Tool and canonical arguments. */
  readonly request: string;
  readonly controller: AbortController;
  readonly waiting: Waiting[];
  timer: Timer;
  /** Null until the tool itself has begun. */
  idempotencyKey: string | null;
  over: boolean;
}

/** What is known of all requests with one tool and one set of arguments. */
interface Earlier {
  /** Of the tool's runs that count as done: the next one is another one to whoever remembers idempotency keys. */
  occurrences: number;
  succeeded: { result: ToolResult; idempotencyKey: string } | null;
}

/**
 * The tools of one call. Whatever a request asks for and whatever the tool does, the request gets a result; that result is recorded;
 * and nothing that must not be done twice is.
 */
export class ToolBox {
  readonly definitions: readonly ToolDefinition[];
  readonly #options: ToolBoxOptions;
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #mostRuns: number;
  readonly #underWay = new Set<Running>();
  readonly #earlier = new Map<string, Earlier>();
  #runs = 0;
  #closed = false;

  /** Throws `Error` where two tools have one name. */
  constructor(options: ToolBoxOptions) {
    this.#options = options;
    this.#mostRuns = options.mostRuns ?? 100;
    this.definitions = options.tools.map((tool) => tool.definition);
    this.#tools = new Map(options.tools.map((tool) => [tool.definition.name, tool]));
    if (this.#tools.size < options.tools.length) throw new Error('two tools have one name');
    const keys = new Set<string>();
    for (const run of options.results ?? []) this.#remember(run, keys);
  }

  /** Never rejects. Not ended by an interruption of the turn, only by the tool's time and the call's end. */
  run(toolCall: ToolCall): Promise<ToolResult> {
    if (this.#closed) return Promise.resolve(failure('The call is over. Nothing was done.'));
    return new Promise((resolve) => this.#take({ toolCall, at: this.#options.clock.now(), resolve }));
  }

  /** The call is over: ends the runs under way, whose results are recorded before this returns. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const running of this.#underWay) {
      this.#finish(running, failure('The call ended first. It is not known whether it was done.'));
      running.controller.abort(new DOMException('the call is over', 'AbortError'));
    }
  }

  #take(waiting: Waiting): void {
    const { name, arguments: text } = waiting.toolCall;
    if (this.#runs >= this.#mostRuns) {
      const content = 'No more tools can be used in this call. Nothing was done. Go on without them.';
      this.#answer(waiting, failure(content), null);
      return;
    }
    this.#runs++;
    const tool = this.#tools.get(name);
    if (tool === undefined) {
      const names = [...this.#tools.keys()].join(', ') || 'none';
      this.#answer(waiting, failure(`There is no such tool. There are: ${names}.`), null);
      return;
    }
    let args: ReadArguments;
    try {
      args = readArguments(tool, text);
    } catch (error) {
      this.#answer(waiting, failure(`${this.#told(error, name)} Nothing was done.`), null);
      return;
    }
    this.#request(tool, args, waiting);
  }

  #request(tool: Tool, args: ReadArguments, waiting: Waiting): void {
    const request = requestOf(tool, args);
    if (tool.repeat !== 'always') {
      for (const running of this.#underWay) {
        if (running.request !== request) continue;
        running.waiting.push(waiting);
        return;
      }
    }
    const earlier = this.#earlierOf(request);
    if (tool.repeat === 'once' && earlier.succeeded !== null) {
      const { result, idempotencyKey } = earlier.succeeded;
      const content = `This was done before in this call, and is not done again. Its result was: ${result.content}`;
      this.#answer(waiting, { ...result, content }, idempotencyKey);
      return;
    }
    const occurrence = earlier.occurrences;
    // A run that fails may have been done all the same, so its repetition has its key; one that is meant to be done each time has not.
    if (tool.repeat === 'always') earlier.occurrences++;
    void this.#begin(tool, args, occurrence, waiting);
  }

  async #begin(tool: Tool, args: ReadArguments, occurrence: number, first: Waiting): Promise<void> {
    const { call, actions, clock } = this.#options;
    const running: Running = {
      tool,
      request: requestOf(tool, args),
      controller: new AbortController(),
      waiting: [first],
      timer: clock.after(tool.timeoutMs, () => this.#expire(running)),
      idempotencyKey: null,
      over: false,
    };
    this.#underWay.add(running);
    let result: ToolResult;
    try {
      const key = await idempotencyKeyOf(`${call.callId}/${call.startTime}`, running.request, occurrence);
      if (running.over) return;
      running.idempotencyKey = key;
      const { signal } = running.controller;
      const answer = await tool.run(args.value, { call, actions, idempotencyKey: key, signal });
      if (bytesOfText(answer.content) > mostContentBytes) throw new AnswerTooLong();
      result = answer;
    } catch (error) {
      if (running.over) return;
      result = this.#failed(error, tool);
    }
    this.#finish(running, result);
  }

  #expire(running: Running): void {
    const { timeoutMs } = running.tool;
    this.#finish(
      running,
      failure(`No answer within ${timeoutMs / 1000} seconds. It is not known whether it was done.`),
    );
    running.controller.abort(new DOMException(`no answer within ${timeoutMs} ms`, 'TimeoutError'));
  }

  #failed(error: unknown, tool: Tool): ToolResult {
    // What was done must not be told to have failed: it would be asked for again.
    if (error instanceof AnswerTooLong && tool.repeat === 'once') {
      return { ok: true, content: 'It was done, but the answer is too long to be shown.' };
    }
    if (error instanceof AnswerTooLong) return failure(`${error.message} Ask for less.`);
    return failure(this.#told(error, tool.definition.name));
  }

  /** What the model is told of an error. */
  #told(error: unknown, tool: string): string {
    if (error instanceof ToolError) return error.message;
    this.#options.onError?.(error, tool);
    return 'The tool failed.';
  }

  #finish(running: Running, result: ToolResult): void {
    if (running.over) return;
    running.over = true;
    running.timer.cancel();
    this.#underWay.delete(running);
    const { tool, idempotencyKey } = running;
    const earlier = this.#earlierOf(running.request);
    if (result.ok && idempotencyKey !== null) {
      // What was to be done afterwards is not done again.
      earlier.succeeded ??= { result: { ok: true, content: result.content }, idempotencyKey };
      if (tool.repeat !== 'always') earlier.occurrences++;
    }
    for (const waiting of running.waiting) this.#answer(waiting, result, idempotencyKey);
  }

  #answer(waiting: Waiting, result: ToolResult, idempotencyKey: string | null): void {
    const { toolCall, at } = waiting;
    const { clock, onRun, onError } = this.#options;
    try {
      onRun({
        id: toolCall.id,
        name: toolCall.name,
        arguments: toolCall.arguments.slice(0, mostArgumentBytes),
        content: result.content,
        ok: result.ok,
        at,
        tookMs: clock.now() - at,
        idempotencyKey,
      });
    } catch (error) {
      // The result stands all the same: a model that is told of a failure would ask for it again.
      onError?.(error, toolCall.name);
    }
    waiting.resolve(result);
  }

  /** @param keys those of the runs before it. */
  #remember(run: ToolRun, keys: Set<string>): void {
    this.#runs++;
    const tool = this.#tools.get(run.name);
    if (tool === undefined || run.idempotencyKey === null || keys.has(run.idempotencyKey)) return;
    if (!run.ok && tool.repeat !== 'always') return;
    try {
      const earlier = this.#earlierOf(requestOf(tool, readArguments(tool, run.arguments)));
      keys.add(run.idempotencyKey);
      earlier.occurrences++;
      earlier.succeeded ??= {
        result: { content: run.content, ok: true },
        idempotencyKey: run.idempotencyKey,
      };
    } catch {
      // The agent's configuration was changed under the call: the tool takes other arguments now.
    }
  }

  #earlierOf(request: string): Earlier {
    let earlier = this.#earlier.get(request);
    if (earlier === undefined) {
      earlier = { occurrences: 0, succeeded: null };
      this.#earlier.set(request, earlier);
    }
    return earlier;
  }
}

function requestOf(tool: Tool, args: ReadArguments): string {
  // A name has no space in it.
  return `${tool.definition.name} ${args.canonical}`;
}

/** 128 bits of SHA-256: what a header takes, and without the dot that delimits what Standard Webhooks sign. */
async function idempotencyKeyOf(callId: string, request: string, occurrence: number): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify([callId, request, occurrence]));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return `tool_${[...digest.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function failure(content: string): ToolResult {
  return { content, ok: false };
}
