import { type Attributes, type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { type LatencyMoment, latencyMoments, type TurnLatency } from '../dialects/native-messages.ts';
import type { Usage } from '../providers/ports.ts';
import { genAi, operations } from './attributes.ts';
import { addEvent, endSpan, type SpanMaker } from './span-maker.ts';

/** What was waited for, between two moments of the ledger. */
interface Step {
  from: number;
  until: number;
}

/** One turn: what the caller said, and the agent's answer to it; or what the agent said by itself. */
export class TurnSpans {
  readonly span: Span;
  /** When it was opened. */
  readonly openedAt: number;
  /** Where the caller's words stand in the record; null: the agent spoke by itself. */
  position: number | null = null;
  /** The answer is heard. */
  spoken = false;
  /** The caller went on: the same turn is answered anew. */
  reopened = false;
  readonly #maker: SpanMaker;
  readonly #startAt: number;
  readonly #usage: Usage[] = [];
  #callerUntil: number | null = null;
  #latency: (TurnLatency & { sentAt: number }) | null = null;
  #spokenAt: number | null = null;
  #writtenAt: number | null = null;
  #heardUntil: number | null = null;

  constructor(maker: SpanMaker, startAt: number, openedAt: number) {
    this.#maker = maker;
    this.#startAt = startAt;
    this.openedAt = openedAt;
    this.span = maker.start('turn', { at: startAt });
  }

  callerSpoke(position: number, until: number): void {
    this.position = position;
    this.reopened = false;
    this.#callerUntil = until;
  }

  /** The first audio of the answer went out just now. */
  answered(latency: TurnLatency, sentAt: number): void {
    this.#latency ??= { ...latency, sentAt };
  }

  /** A sentence goes out. */
  speaks(at: number): void {
    this.spoken = true;
    this.#spokenAt ??= at;
  }

  written(at: number): void {
    this.#writtenAt ??= at;
  }

  used(usage: Usage): void {
    this.#usage.push(usage);
  }

  heard(until: number, interrupted: boolean): void {
    this.#heardUntil = until;
    this.span.setAttribute('call.turn.interrupted', interrupted);
  }

  event(name: string, at: number, attributes: Attributes): void {
    addEvent(this.span, name, at, attributes);
  }

  failed(code: string): void {
    this.span.setStatus({ code: SpanStatusCode.ERROR, message: code });
  }

  /** Tells all of it. Nothing is said of it after this. */
  end(id: number, at: number): void {
    const { span } = this;
    span.setAttributes({
      'call.turn.id': id,
      'call.turn.by': this.position === null ? 'agent' : 'caller',
    });
    if (this.#callerUntil !== null) this.#add('caller speech', this.#startAt, this.#callerUntil);
    if (this.#latency !== null) this.#addWaits(this.#latency);
    const spokenAt = this.#latency?.sentAt ?? this.#spokenAt;
    const heardUntil = this.#heardUntil ?? at;
    if (spokenAt !== null) this.#add('playout', spokenAt, heardUntil);
    endSpan(span, Math.max(this.#startAt, heardUntil));
  }

  #addWaits(latency: TurnLatency & { sentAt: number }): void {
    const { endpointWaitMs, processingMs, providerMs, totalMs, sentAt } = latency;
    this.span.setAttributes({
      'call.turn.endpoint_wait_ms': endpointWaitMs,
      'call.turn.processing_ms': processingMs,
      'call.turn.provider_ms': providerMs,
      'call.turn.total_ms': totalMs,
    });
    const steps = stepsOf(latency, sentAt - totalMs);
    const { decided, transcript, firstToken, firstSentence, firstAudio, firstSent } = steps;
    if (decided !== undefined) this.#add('endpointing', decided.from, decided.until);
    if (transcript !== undefined) this.#addTranscription(transcript);
    if (firstToken !== undefined) {
      this.#addModel(firstToken, Math.max(firstSentence?.until ?? 0, this.#writtenAt ?? 0));
    }
    if (firstAudio !== undefined) this.#addSpeech(firstAudio);
    if (firstSent !== undefined) this.#add('wait to speak', firstSent.from, firstSent.until);
  }

  #addTranscription({ from, until }: Step): void {
    const usage = this.#usage.filter(({ audioSeconds }) => audioSeconds !== undefined);
    const seconds = usage.reduce((sum, { audioSeconds }) => sum + (audioSeconds ?? 0), 0);
    this.#addRequest(operations.transcription, usage[0]?.provider, from, until, {
      [genAi.outputType]: 'text',
      ...(seconds > 0 ? { 'call.usage.audio_seconds': seconds } : {}),
    });
  }

  #addModel(firstToken: Step, until: number): void {
    const usage = this.#usage.filter(
      ({ inputTokens, outputTokens }) => inputTokens !== undefined || outputTokens !== undefined,
    );
    const sum = (of: 'inputTokens' | 'outputTokens') => usage.reduce((all, each) => all + (each[of] ?? 0), 0);
    this.#addRequest(
      operations.model,
      usage[0]?.provider,
      firstToken.from,
      Math.max(until, firstToken.until),
      {
        [genAi.timeToFirstChunk]: (firstToken.until - firstToken.from) / 1000,
        ...(usage.length === 0
          ? {}
          : {
              [genAi.inputTokens]: sum('inputTokens'),
              [genAi.outputTokens]: sum('outputTokens'),
            }),
      },
    );
  }

  /** The first sentence's, up to its first audio: that is what the caller waits for. Ready audio has no provider. */
  #addSpeech({ from, until }: Step): void {
    const usage = this.#usage.filter(({ characters }) => characters !== undefined);
    const characters = usage.reduce((sum, each) => sum + (each.characters ?? 0), 0);
    this.#addRequest(operations.speech, usage[0]?.provider, from, until, {
      [genAi.outputType]: 'speech',
      ...(characters > 0 ? { 'call.usage.characters': characters } : {}),
    });
  }

  /** Of a provider, where one was asked. https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ */
  #addRequest(
    operation: string,
    provider: string | undefined,
    from: number,
    until: number,
    attributes: Attributes,
  ): void {
    const [vendor, model] = provider === undefined ? [] : splitProvider(provider);
    const name = model === undefined ? operation : `${operation} ${model}`;
    const all = {
      [genAi.operation]: operation,
      ...(vendor === undefined ? {} : { [genAi.provider]: vendor }),
      ...(model === undefined ? {} : { [genAi.requestModel]: model }),
      ...attributes,
    };
    const kind = vendor === undefined ? SpanKind.INTERNAL : SpanKind.CLIENT;
    this.#maker.add(name, { at: from, kind, attributes: all, under: this.span }, until);
  }

  #add(name: string, from: number, until: number): void {
    this.#maker.add(name, { at: from, under: this.span }, until);
  }
}

/** Vendor and model: `aws.bedrock` is the convention's name of one. */
export function splitProvider(provider: string): [vendor: string, model: string | undefined] {
  const slash = provider.indexOf('/');
  const vendor = slash < 0 ? provider : provider.slice(0, slash);
  return [vendor === 'bedrock' ? 'aws.bedrock' : vendor, slash < 0 ? undefined : provider.slice(slash + 1)];
}

/** Each step begins where the one before it ended, in the order of time: an answer that was begun early has moments before the decision. */
function stepsOf({ moments }: TurnLatency, lastVoicedAt: number): Partial<Record<LatencyMoment, Step>> {
  const known = latencyMoments.flatMap((name) => {
    const ms = moments[name];
    return ms === undefined ? [] : [{ name, until: lastVoicedAt + ms }];
  });
  known.sort((a, b) => a.until - b.until);
  return Object.fromEntries(
    known.map(({ name, until }, i) => [name, { from: known[i - 1]?.until ?? lastVoicedAt, until }]),
  );
}
