import type { ToolCall } from './ports.ts';
import { malformed } from './streamed-request.ts';

/** Tools that one reply may ask for: more come from a model in a loop. */
const mostToolCalls = 8;

/** Characters of one tool's arguments. */
const longestArguments = 16 * 1024;

/** A piece of a tool call as it is streamed. What it does not tell is absent, null or empty. */
export interface ToolCallPiece {
  /** Which of the reply's calls it belongs to; absent: the last one. */
  index?: number | null | undefined;
  id?: string | null | undefined;
  name?: string | null | undefined;
  /** More of the arguments. */
  arguments?: string | null | undefined;
}

interface OpenCall {
  index: number | null;
  id: string;
  name: string;
  arguments: string;
}

/** Puts the tool calls of one reply together. Throws `ProviderError`, `malformed`. */
export class ToolCallCollector {
  readonly #provider: string;
  readonly #calls: OpenCall[] = [];

  constructor(provider: string) {
    this.#provider = provider;
  }

  get count(): number {
    return this.#calls.length;
  }

  /** Returns whether the piece told anything: an empty one is no progress. */
  add(piece: ToolCallPiece): boolean {
    const id = piece.id ?? '';
    const name = piece.name ?? '';
    const more = piece.arguments ?? '';
    if (id === '' && name === '' && more === '') return false;
    const call = this.#find(piece.index ?? null, id) ?? this.#open(piece.index ?? null);
    const isNew = call.id === '' && call.name === '' && call.arguments === '';
    if (call.name !== '' && name !== '' && call.name !== name) {
      throw malformed(this.#provider, 'gave one tool call two names');
    }
    if (call.arguments.length + more.length > longestArguments) {
      throw malformed(this.#provider, 'sent tool arguments without end');
    }
    // Some servers repeat both in every piece.
    if (id !== '') call.id = id;
    if (name !== '') call.name = name;
    call.arguments += more;
    return more !== '' || (isNew && (id !== '' || name !== ''));
  }

  /** Whether the arguments of every call are whole JSON: so they are where the end of the reply was not told. */
  get areComplete(): boolean {
    return this.#calls.every((call) => call.arguments === '' || isJson(call.arguments));
  }

  /** Every call, in the order in which they were begun. Nothing may be added afterwards. */
  finish(): ToolCall[] {
    const ids = new Set(this.#calls.map((call) => call.id));
    if (ids.size < this.#calls.length) throw malformed(this.#provider, 'gave two tool calls one id');
    return this.#calls.map((call) => {
      if (!/^[\x21-\x7e]{1,256}$/.test(call.id)) throw malformed(this.#provider, 'gave a tool call no id');
      if (!/^[A-Za-z0-9_-]{1,64}$/.test(call.name)) {
        throw malformed(this.#provider, 'asked for a tool without a name');
      }
      // A tool without parameters is called with no text at all by some models.
      return { id: call.id, name: call.name, arguments: call.arguments === '' ? '{}' : call.arguments };
    });
  }

  #find(index: number | null, id: string): OpenCall | undefined {
    const call = index === null ? this.#calls.at(-1) : this.#calls.findLast((each) => each.index === index);
    // Some servers number every call 0 and tell them apart by their ids.
    return call !== undefined && id !== '' && call.id !== '' && call.id !== id ? undefined : call;
  }

  #open(index: number | null): OpenCall {
    if (this.#calls.length === mostToolCalls) {
      throw malformed(this.#provider, 'asked for more tools than one reply may');
    }
    const call = { index, id: '', name: '', arguments: '' };
    this.#calls.push(call);
    return call;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
