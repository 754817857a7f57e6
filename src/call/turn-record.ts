import type { Message, ToolCall } from '../providers/ports.ts';
import type { RecordedTurn } from '../records/call-records.ts';
import type { ToolRun } from '../tools/tool.ts';
import { Conversation } from './conversation.ts';
import type { CallEvents } from './events.ts';
import type { HeardSentence } from './past-call.ts';
import type { Reply } from './reply.ts';

/** Writes down who said what: for the language model's history, the transcript and the client, from one source. */
export class TurnRecord {
  readonly #conversation = new Conversation();
  readonly #events: CallEvents;
  readonly #sampleRate: number;
  readonly #startTime: number;

  /** @param startTime sample 0 of the recording, in milliseconds since the epoch. */
  constructor(options: { events: CallEvents; sampleRate: number; startTime: number }) {
    this.#events = options.events;
    this.#sampleRate = options.sampleRate;
    this.#startTime = options.startTime;
  }

  /** The language model's history: see {@link Conversation.messages}. */
  messages(prompt: string, most: number, next?: string): Message[] {
    return this.#conversation.messages(prompt, most, next);
  }

  /** What was recorded before the call's object lost its memory: nobody is told of it again. */
  recall(entry: { turn: RecordedTurn } | { run: ToolRun }): void {
    if ('turn' in entry) this.#conversation.add(entry.turn);
    else this.#conversation.addRun(entry.run);
  }

  /** Sentences of a turn of the agent's that was cut off there: they are a turn of their own. */
  heardBefore(sentences: readonly HeardSentence[]): void {
    const [first, last] = [sentences[0], sentences.at(-1)];
    if (first === undefined || last === undefined) return;
    this.#add({
      role: 'agent',
      text: sentences.map(({ text }) => text).join(' '),
      startMs: first.from - this.#startTime,
      endMs: last.until - this.#startTime,
      interrupted: true,
      latency: null,
    });
  }

  /** Something that the model has to know, and nobody has said. */
  note(text: string): void {
    this.#conversation.addNote(text);
  }

  /** A tool was asked for. */
  toolAsked(call: ToolCall): void {
    this.#conversation.beginRun(call);
  }

  /** What a tool did. It is written down before anything of it can be spoken. */
  tool(run: ToolRun): void {
    this.#conversation.addRun(run);
    this.#events.emit({ type: 'tool.ran', run });
  }

  /** What the caller said; `turn` is the number of the turn that answers it. */
  caller(turn: number, span: { startSample: number; endSample: number }, text: string): void {
    this.#events.emit({ type: 'transcript', role: 'caller', turn, text, final: true });
    this.#add(this.#callers(span, text));
  }

  /** Whether the caller's turn is the last that is recorded, so that he may go on with it. */
  get lastIsCallers(): boolean {
    return this.#conversation.lastIsCallers;
  }

  /** The caller's last turn, which went on: all of it in `text`; whoever shows it has shown what comes before `added`. */
  callerWentOn(
    turn: number,
    span: { startSample: number; endSample: number },
    text: string,
    added: string,
  ): void {
    this.#events.emit({ type: 'transcript', role: 'caller', turn, text: added, final: true });
    const recorded = this.#conversation.replaceLast(this.#callers(span, text));
    this.#events.emit({ type: 'turn.recorded', turn: recorded });
  }

  #callers(span: { startSample: number; endSample: number }, text: string): Omit<RecordedTurn, 'position'> {
    return {
      role: 'caller',
      text,
      startMs: (span.startSample * 1000) / this.#sampleRate,
      endMs: (span.endSample * 1000) / this.#sampleRate,
      interrupted: false,
      latency: null,
    };
  }

  /** What the caller heard of the agent, if anything. */
  agent(reply: Pick<Reply, 'spoken' | 'turn'>, interrupted: boolean): void {
    const { heard } = reply.spoken;
    if (heard === null) return;
    const { text, from, until } = heard;
    this.#events.emit({ type: 'transcript', role: 'agent', turn: reply.turn.id, text, final: true });
    this.#add({
      role: 'agent',
      text,
      startMs: from - this.#startTime,
      endMs: until - this.#startTime,
      interrupted,
      latency: reply.turn.ledger.parts(),
    });
  }

  #add(turn: Omit<RecordedTurn, 'position'>): void {
    this.#events.emit({ type: 'turn.recorded', turn: this.#conversation.add(turn) });
  }
}
