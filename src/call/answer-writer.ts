import {
  type LanguageModel,
  type LanguageModelEvent,
  type LanguageModelRequest,
  type Message,
  ProviderError,
  type ToolCall,
  type ToolDefinition,
  type Usage,
} from '../providers/ports.ts';
import { SentenceChunker } from '../text/sentences.ts';
import type { Afterwards } from '../tools/afterwards.ts';
import type { ToolResult } from '../tools/tool.ts';
import type { AsyncQueue } from './async-queue.ts';
import type { Clock } from './clock.ts';
import type { LatencyLedger } from './latency.ts';

/** What the model may ask for during a call: one tool box a call. */
export interface Tools {
  readonly definitions: readonly ToolDefinition[];
  /** Never rejects: what goes wrong is a result as well. */
  run(call: ToolCall): Promise<ToolResult>;
}

export interface AnswerWriterOptions {
  languageModel: LanguageModel;
  tools: Tools | null;
  ledger: LatencyLedger;
  clock: Clock;
  /** A tool wants something done once the answer was heard. */
  onAfterwards(act: Afterwards): void;
  onUsage(usage: Usage): void;
  onFailover(error: ProviderError): void;
}

/** Times that the model may ask for tools before it has to answer without. */
const MOST_ROUNDS = 5;

/** Writes one answer, sentence by sentence, with whatever tools the model asks for on the way. */
export class AnswerWriter {
  readonly #options: AnswerWriterOptions;
  /** Tools want something done once the answer was heard. */
  #acts = false;

  constructor(options: AnswerWriterOptions) {
    this.#options = options;
  }

  /** Fills `sentences`, and ends it. Throws as the model does; what was written before that stands in `sentences`. */
  async write(
    request: LanguageModelRequest,
    sentences: AsyncQueue<string>,
    signal: AbortSignal,
  ): Promise<void> {
    const { tools } = this.#options;
    let messages: readonly Message[] = request.messages;
    try {
      for (let round = 0; ; round++) {
        const definitions = round < MOST_ROUNDS ? (request.tools ?? []) : [];
        const { text, calls } = await this.#round({ ...request, messages }, definitions, sentences, signal);
        if (signal.aborted || calls.length === 0 || tools === null || definitions.length === 0) return;
        const results = await Promise.all(calls.map((call) => this.#run(call, tools, signal)));
        if (signal.aborted) return;
        messages = [
          ...messages,
          { role: 'assistant', content: text, toolCalls: calls },
          ...calls.map(
            (call, i): Message => ({ role: 'tool', toolCallId: call.id, content: results[i]!.content }),
          ),
        ];
      }
    } finally {
      sentences.end();
    }
  }

  /** What is to be done is known at once: it is promised, whatever becomes of the other tools. */
  async #run(call: ToolCall, tools: Tools, signal: AbortSignal): Promise<ToolResult> {
    const result = await tools.run(call);
    if (result.afterwards !== undefined && !signal.aborted) {
      this.#acts = true;
      this.#options.onAfterwards(result.afterwards);
    }
    return result;
  }

  /** Reads a stream to its end for its usage. It ends with the turn, or by the provider's own bounds. */
  async #settle(events: AsyncIterator<LanguageModelEvent>): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await events.next();
        if (done === true) return;
        if (value.type === 'usage') this.#options.onUsage(value.usage);
      }
    } catch {
      // The answer stands; only its bill is missing.
    }
  }

  async #round(
    request: LanguageModelRequest,
    tools: readonly ToolDefinition[],
    sentences: AsyncQueue<string>,
    signal: AbortSignal,
  ): Promise<{ text: string; calls: ToolCall[] }> {
    const { languageModel, ledger, clock, onUsage, onFailover } = this.#options;
    const chunker = new SentenceChunker();
    const add = (complete: string[]) => {
      for (const sentence of complete) {
        ledger.mark('firstSentence', clock.now());
        sentences.push(sentence);
      }
    };
    const calls: ToolCall[] = [];
    let text = '';
    ledger.mark('modelRequested', clock.now());
    const { tools: _, ...bare } = request;
    const billed = { ...bare, onLateBill: onUsage };
    const asked = tools.length === 0 ? billed : { ...billed, tools };
    try {
      const events = languageModel.reply(asked, signal)[Symbol.asyncIterator]();
      for (;;) {
        const { done, value: event } = await events.next();
        if (done === true || signal.aborted) break;
        if (event.type === 'usage') {
          onUsage(event.usage);
        } else if (event.type === 'failover') {
          onFailover(event.error);
        } else if (event.type === 'finished') {
          // What is left of the stream is its bill: nobody waits for it.
          void this.#settle(events);
          break;
        } else {
          ledger.mark('firstToken', clock.now());
          if (event.type === 'toolCall') {
            calls.push(event.call);
          } else {
            text += event.text;
            add(chunker.push(event.text));
          }
        }
      }
      add(chunker.flush());
      return { text, calls };
    } catch (error) {
      if (signal.aborted) return { text, calls: [] };
      // A failed wait was the provider's time as well.
      ledger.mark('firstSentence', clock.now());
      // What was written before the failure is worth hearing.
      add(chunker.flush());
      // A model that has hung up need not say anything more.
      const saidEnough = this.#acts && isEmptyReply(error);
      if (saidEnough) return { text, calls: [] };
      throw error;
    }
  }
}

function isEmptyReply(error: unknown): boolean {
  return error instanceof ProviderError && error.failure === 'malformed';
}
