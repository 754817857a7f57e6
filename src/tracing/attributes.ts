/**
 * Names of the generative AI conventions, which are not stable yet. OpenTelemetry asks that such names be copied rather than imported:
 * a later version of its package may drop them (README of `@opentelemetry/semantic-conventions`, "Unstable SemConv").
 * https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
 */
export const genAi = {
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  outputType: 'gen_ai.output.type',
  /** Seconds. */
  timeToFirstChunk: 'gen_ai.response.time_to_first_chunk',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  toolName: 'gen_ai.tool.name',
} as const;

/** `chat` and `execute_tool` are the conventions' own; for speech they have none. */
export const operations = {
  transcription: 'speech_to_text',
  model: 'chat',
  speech: 'text_to_speech',
  tool: 'execute_tool',
} as const;
