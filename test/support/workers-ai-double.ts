import type { Ai, AiModels } from '@cloudflare/workers-types';
import type { WorkersAi, WorkersAiOptions } from '../../src/providers/workers-ai/binding.ts';

/** The real binding can be passed: the options are checked here, the inputs where they are made (`satisfies`). */
export type RealBinding = Fits<Pick<Ai, 'run'>>;
type Fits<Binding extends WorkersAi> = Binding;

/** One call of `env.AI.run`. */
export interface AiCall {
  model: string;
  /** As they go over the wire; a stream is in `body` instead. */
  inputs: Record<string, unknown>;
  /** What a stream among the inputs held, and its type. */
  body: { bytes: Uint8Array; contentType: string } | null;
  options: WorkersAiOptions;
}

export type AiAnswer = (call: AiCall) => Response | Promise<Response>;

/**
 * Plays the Worker's `AI` binding, which exists remotely only: calls are answered one after the other by the script of their model.
 * What the binding does with inputs and answers is after workerd's `cloudflare-internal:ai-api` (src/cloudflare/internal/ai-api.ts);
 * answers are after the pages of the models and developers.cloudflare.com/workers-ai/platform/errors/.
 */
export class WorkersAiDouble implements WorkersAi {
  readonly calls: AiCall[] = [];
  readonly unexpected: AiCall[] = [];
  readonly #scripts = new Map<string, AiAnswer[]>();
  #watchers: (() => void)[] = [];

  /** Adds answers for the next calls of a model. */
  script(model: string, ...answers: AiAnswer[]): void {
    this.#scripts.set(model, [...(this.#scripts.get(model) ?? []), ...answers]);
  }

  /** Resolves with the call of this number, from 0. */
  async called(number: number): Promise<AiCall> {
    while (this.calls.length <= number) {
      await new Promise<void>((resolve) => {
        this.#watchers.push(resolve);
      });
    }
    return this.calls[number]!;
  }

  async run(model: string, inputs: Record<string, unknown>, options: WorkersAiOptions): Promise<unknown> {
    const call = { model, ...(await wireOf(inputs)), options };
    const answer = this.#scripts.get(model)?.shift();
    this.calls.push(call);
    for (const watcher of this.#watchers.splice(0)) watcher();
    if (answer === undefined) this.unexpected.push(call);
    const response = await (answer ?? failure(501, 9999, 'not scripted'))(call);
    if (options.returnRawResponse) return response;
    if (!response.ok) throw inferenceError(await response.text());
    const type = response.headers.get('content-type');
    return type === 'application/json' ? response.json() : response.body;
  }
}

async function wireOf(inputs: Record<string, unknown>): Promise<Pick<AiCall, 'inputs' | 'body'>> {
  const streams = Object.entries(inputs).filter(([, value]) => isStreamInput(value));
  const [stream] = streams;
  if (stream === undefined) return { inputs: JSON.parse(JSON.stringify(inputs)), body: null };
  if (streams.length > 1) throw new Error('Multiple ReadableStreams are not supported.');
  const { body, contentType } = stream[1] as { body: ReadableStream; contentType?: string };
  if (!contentType) throw new Error('Content-Type is required with ReadableStream inputs');
  const { [stream[0]]: _, ...others } = inputs;
  const bytes = new Uint8Array(await new Response(body).arrayBuffer());
  return { inputs: JSON.parse(JSON.stringify(others)), body: { bytes, contentType } };
}

function isStreamInput(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && 'body' in value && value.body instanceof ReadableStream
  );
}

function inferenceError(content: string): Error {
  const parsed = JSON.parse(content) as { internalCode?: number; description?: string };
  const error = new Error(
    parsed.internalCode === undefined ? content : `${parsed.internalCode}: ${parsed.description}`,
  );
  error.name = 'InferenceUpstreamError';
  return error;
}

// --- answers --------------------------------------------------------------------------------------------------

export function json(value: unknown): AiAnswer {
  return () => Response.json(value, { headers: { 'content-type': 'application/json' } });
}

/** An error's body as the binding parses it. */
export function failure(
  status: number,
  internalCode: number,
  description: string,
  headers: Record<string, string> = {},
): AiAnswer {
  const name = 'AiError';
  return () => Response.json({ internalCode, description, name, message: description }, { status, headers });
}

/** The binding itself fails. */
export function thrown(message: string): AiAnswer {
  return () => {
    const error = new Error(message);
    error.name = 'InferenceUpstreamError';
    throw error;
  };
}

/** Never answers, and heeds no signal. */
export const hang: AiAnswer = () => new Promise<Response>(() => {});

/** How a streamed body ends. */
export type StreamEnd = 'complete' | 'cut' | 'hang';

/** A body in pieces. */
export function stream(
  pieces: readonly (string | Uint8Array)[],
  type: string,
  end: StreamEnd = 'complete',
  cancelled: () => void = () => {},
): AiAnswer {
  return () => {
    const waiting = pieces.map((piece) =>
      typeof piece === 'string' ? new TextEncoder().encode(piece) : piece,
    );
    const body = new ReadableStream<Uint8Array>({
      pull(controller): Promise<void> | undefined {
        const piece = waiting.shift();
        if (piece !== undefined) controller.enqueue(piece);
        else if (end === 'complete') controller.close();
        else if (end === 'cut') controller.error(new TypeError('Network connection lost.'));
        else return new Promise(() => {});
        return undefined;
      },
      cancel: cancelled,
    });
    return new Response(body, { headers: { 'content-type': type } });
  };
}

/** Server-sent events; a string is sent as it is, anything else as JSON. */
export function events(
  items: readonly unknown[],
  end: StreamEnd = 'complete',
  cancelled?: () => void,
): AiAnswer {
  const lines = items.map((item) => `data: ${typeof item === 'string' ? item : JSON.stringify(item)}\n\n`);
  return stream(lines, 'text/event-stream', end, cancelled);
}

type Output<Model extends keyof AiModels> = AiModels[Model]['postProcessedOutputs'];
type Llama = Output<'@cf/meta/llama-3.3-70b-instruct-fp8-fast'>;

/** Events of a model's own form: developers.cloudflare.com/workers-ai/models/llama-3.3-70b-instruct-fp8-fast/. */
export function ownReply(
  texts: readonly string[],
  calls: { name: string; arguments: object }[] = [],
): unknown[] {
  const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
  return [
    ...texts.map((response) => ({ response, p: 'abdefghijk' }) satisfies Llama & { p: string }),
    { response: '', tool_calls: calls, usage } satisfies Llama,
    '[DONE]',
  ];
}

/** Events of OpenAI's form, as `@cf/zai-org/glm-4.7-flash` sends them: the reason to end comes with the usage. */
export function chunkedReply(deltas: readonly Record<string, unknown>[], reason = 'stop'): unknown[] {
  const chunk = (delta: unknown, finish_reason: string | null, usage?: unknown) => ({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'scripted',
    choices: [{ index: 0, delta, finish_reason }],
    ...(usage === undefined ? {} : { usage }),
  });
  return [
    chunk({ role: 'assistant', content: '' }, null),
    ...deltas.map((delta) => chunk(delta, null)),
    chunk({}, reason, { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 }),
    '[DONE]',
  ];
}

/** developers.cloudflare.com/workers-ai/models/whisper-large-v3-turbo/. */
export function whisperAnswer(text: string): AiAnswer {
  return json({
    transcription_info: {
      language: 'en',
      language_probability: 0.99,
      duration: 1.5,
      duration_after_vad: 1.4,
    },
    text,
    word_count: text.split(' ').length,
    segments: [{ start: 0, end: 1.5, text, temperature: 0, no_speech_prob: 0.01 }],
    vtt: `WEBVTT\n\n00:00.000 --> 00:01.500\n${text}`,
  } satisfies Output<'@cf/openai/whisper-large-v3-turbo'>);
}

/** developers.cloudflare.com/workers-ai/models/nova-3/. */
export function novaAnswer(transcript: string): AiAnswer {
  return json({
    results: {
      channels: [
        {
          alternatives: [
            { confidence: 0.98, transcript, words: [{ confidence: 0.98, start: 0, end: 0.4, word: 'one' }] },
          ],
        },
      ],
    },
  } satisfies Output<'@cf/deepgram/nova-3'>);
}
