import { type Attributes, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { ATTR_ERROR_TYPE, ATTR_EXCEPTION_TYPE } from '@opentelemetry/semantic-conventions';
import type { CallEvent } from '../call/events.ts';
import { perProvider } from '../cost/usage.ts';
import { errorWords } from '../privacy/error-words.ts';
import type { Usage } from '../providers/ports.ts';
import type { RecordedTransfer, RecordedTurn } from '../records/call-records.ts';
import type { ToolRun } from '../tools/tool.ts';
import { genAi, operations } from './attributes.ts';
import { addEvent, endSpan, type SpanMaker } from './span-maker.ts';
import { splitProvider, TurnSpans } from './turn-spans.ts';

/** Turns that are not over. There is one as a rule; a caller who goes on has two for a moment. */
const MOST_OPEN = 4;

/**
 * Makes spans of a call's events: of its turns, its tools, its interruptions. What it puts into them are times, counts, and words of
 * this service's own; nobody's words, and no id that came from outside.
 */
export class CallSpans {
  readonly #maker: SpanMaker;
  readonly #startTime: number;
  readonly #spanIdOf: (run: ToolRun) => string | undefined;
  /** By the number of the turn that answers. In the order in which they began. */
  readonly #open = new Map<number, TurnSpans>();
  /** The number that the caller's next recorded turn has. */
  #answeredBy: number | null = null;
  /** The turn whose words are heard. */
  #speaker: number | null = null;
  /** When the agent's last turn was recorded. */
  #recordedAt: number | null = null;
  /** By the number of their turn: bills that came before it was opened, summed. Of at most the next turn, and of a few that are over. */
  readonly #early = new Map<number, Usage[]>();

  /** @param spanIdOf the id that the span of a tool's run has already, where its server was told of it. */
  constructor(maker: SpanMaker, startTime: number, spanIdOf: (run: ToolRun) => string | undefined) {
    this.#maker = maker;
    this.#startTime = startTime;
    this.#spanIdOf = spanIdOf;
  }

  hear(event: CallEvent, at: number): void {
    switch (event.type) {
      case 'transcript':
        if (!event.final && event.role === 'caller') return;
        if (event.role === 'caller') this.#answeredBy = event.turn;
        else this.#speaks(event.turn, at);
        return;
      case 'turn.recorded':
        if (event.turn.role === 'caller') this.#callerSpoke(event.turn, at);
        else this.#agentHeard(event.turn, at);
        return;
      case 'latency': {
        const { type: _, turn, ...latency } = event;
        this.#turnThatSpeaks(turn, at).answered(latency, at);
        return;
      }
      case 'agent.sentence':
        if (event.state === 'written') this.#latest?.written(at);
        if (event.state === 'over') this.#replyOver(at);
        return;
      case 'turn.reopened':
        if (this.#latest !== undefined) this.#latest.reopened = true;
        this.#event('call.turn.reopened', at);
        return;
      case 'overlap':
        this.#event('call.overlap', at, {
          'call.overlap.outcome': event.outcome,
          'call.overlap.because': event.because,
        });
        return;
      case 'usage':
        this.#used(event.usage, event.turn);
        return;
      case 'tool.ran':
        this.#toolRan(event.run);
        return;
      case 'transfer':
        if (event.state === 'over') this.#transferred(event.transfer);
        return;
      case 'failure':
        this.#failed(event, at);
        return;
      case 'leg.lost':
        addEvent(this.#maker.root, 'call.leg.lost', at);
        return;
      case 'leg.resumed':
        this.#maker.add('leg lost', { at: at - event.afterMs }, at);
        return;
      case 'language.heard':
        this.#maker.root.setAttribute('call.language', event.language);
        return;
      case 'call.counted':
        for (const [name, count] of Object.entries(event.counts)) {
          this.#maker.root.setAttribute(`call.count.${snakeCase(name)}`, count);
        }
        return;
      case 'call.closed':
        this.close(event, at);
        return;
    }
  }

  /** Ends every span. */
  close({ reason, status, endTime }: { reason: string; status: string; endTime: number }, at: number): void {
    for (const [id, turn] of [...this.#open]) this.#close(id, turn, Math.min(at, endTime));
    const { root, lost } = this.#maker;
    root.setAttributes({ 'call.end_reason': reason, 'call.status': status });
    if (lost > 0) root.setAttribute('call.spans_lost', lost);
    if (status === 'failed') {
      root.setAttribute(ATTR_ERROR_TYPE, reason);
      root.setStatus({ code: SpanStatusCode.ERROR, message: reason });
    }
    endSpan(root, Math.max(this.#startTime, endTime));
  }

  get #latest(): TurnSpans | undefined {
    return [...this.#open.values()].at(-1);
  }

  #callerSpoke(turn: RecordedTurn, at: number): void {
    const id = this.#answeredBy ?? turn.position;
    const from = this.#startTime + turn.startMs;
    const until = this.#startTime + turn.endMs;
    // One that went on is recorded in its own place once more, and answered by another turn.
    for (const [known, open] of this.#open) {
      if (open.position !== turn.position) continue;
      open.callerSpoke(turn.position, until);
      this.#open.delete(known);
      this.#place(id, open);
      return;
    }
    this.#begin(id, from, at).callerSpoke(turn.position, until);
  }

  /** @param turn null: it is for no turn, but for the call. */
  #used(usage: Usage, turn: number | null): void {
    if (turn === null) return;
    const open = this.#open.get(turn);
    if (open !== undefined) open.used(usage);
    else this.#early.set(turn, perProvider([...(this.#early.get(turn) ?? []), usage]));
  }

  /** The turn has this number from now on, and the bills that came for it. Those for turns before it come too late. */
  #place(id: number, turn: TurnSpans): void {
    this.#open.set(id, turn);
    for (const usage of this.#early.get(id) ?? []) turn.used(usage);
    for (const early of [...this.#early.keys()]) if (early <= id) this.#early.delete(early);
  }

  #speaks(id: number, at: number): void {
    this.#speaker = id;
    this.#turnThatSpeaks(id, at).speaks(at);
  }

  /** The turn of this number; one of the caller's that waits for its answer; or one that the agent begins. */
  #turnThatSpeaks(id: number, at: number): TurnSpans {
    const known = this.#open.get(id);
    if (known !== undefined) return known;
    for (const [other, open] of this.#open) {
      if (open.spoken || open.position === null) continue;
      this.#open.delete(other);
      this.#place(id, open);
      return open;
    }
    return this.#begin(id, at, at);
  }

  #begin(id: number, from: number, at: number): TurnSpans {
    for (const [oldest, open] of this.#open) {
      if (this.#open.size < MOST_OPEN) break;
      this.#close(oldest, open, at);
    }
    const turn = new TurnSpans(this.#maker, from, at);
    this.#place(id, turn);
    return turn;
  }

  #agentHeard(turn: RecordedTurn, at: number): void {
    this.#recordedAt = at;
    const id = this.#speaker;
    const open = id === null ? undefined : this.#open.get(id);
    this.#speaker = null;
    // What an object before this one was saying is recorded by this one.
    if (id === null || open === undefined) return;
    open.heard(this.#startTime + turn.endMs, turn.interrupted);
    this.#close(id, open, at);
  }

  /** A reply is over. Of one that was heard the record has told; of another nothing comes any more. */
  #replyOver(at: number): void {
    if (this.#recordedAt === at) return;
    for (const [id, turn] of this.#open) {
      // One that begins at this moment is what the reply was ended for.
      if (turn.reopened || turn.openedAt === at) continue;
      this.#close(id, turn, at);
      return;
    }
  }

  #close(id: number, turn: TurnSpans, at: number): void {
    if (this.#speaker === id) this.#speaker = null;
    this.#open.delete(id);
    turn.end(id, at);
  }

  #toolRan(run: ToolRun): void {
    const { at, tookMs, ok, idempotencyKey } = run;
    // Where nothing was run, the name may be the model's own invention.
    const name = idempotencyKey === null ? errorWords(run.name) : run.name;
    const spanId = this.#spanIdOf(run);
    const parts = {
      at,
      // Of the operator's own server, or of this service.
      kind: spanId === undefined ? SpanKind.INTERNAL : SpanKind.CLIENT,
      attributes: {
        [genAi.operation]: operations.tool,
        [genAi.toolName]: name,
        ...(ok ? {} : { [ATTR_ERROR_TYPE]: 'tool_failed' }),
      },
      ...(spanId === undefined ? {} : { spanId }),
      ...(this.#latest === undefined ? {} : { under: this.#latest.span }),
    };
    const span = this.#maker.start(`${operations.tool} ${name}`, parts);
    if (!ok) span.setStatus({ code: SpanStatusCode.ERROR });
    endSpan(span, at + tookMs);
  }

  /** Without whom it was to, and without the leg's words. */
  #transferred({ at, ringingAt, endedAt, outcome, sipStatus }: RecordedTransfer): void {
    const attributes = {
      'call.transfer.outcome': outcome,
      ...(sipStatus === null ? {} : { 'call.transfer.sip_status': sipStatus }),
    };
    const span = this.#maker.start('transfer', { at, kind: SpanKind.CLIENT, attributes });
    if (ringingAt !== null) addEvent(span, 'call.transfer.ringing', ringingAt);
    endSpan(span, Math.max(at, endedAt));
  }

  #failed({ code, provider, requestId }: Extract<CallEvent, { type: 'failure' }>, at: number): void {
    const [vendor, model] = provider === null ? [] : splitProvider(provider);
    this.#latest?.failed(code);
    this.#event('exception', at, {
      [ATTR_EXCEPTION_TYPE]: code,
      ...(vendor === undefined ? {} : { [genAi.provider]: vendor }),
      ...(model === undefined ? {} : { [genAi.requestModel]: model }),
      ...(requestId === undefined ? {} : { 'call.provider.request_id': requestId }),
    });
  }

  /** In the turn that is under way, or in the call. */
  #event(name: string, at: number, attributes: Attributes = {}): void {
    const turn = this.#latest;
    if (turn === undefined) addEvent(this.#maker.root, name, at, attributes);
    else turn.event(name, at, attributes);
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
