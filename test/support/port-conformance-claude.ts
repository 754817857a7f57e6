import { anthropicLanguageModel } from '../../src/providers/anthropic/language-model.ts';
import { bedrockLanguageModel } from '../../src/providers/bedrock/language-model.ts';
import { AnthropicDouble, events, message, status } from './anthropic-double.ts';
import {
  authorised,
  BedrockDouble,
  chunk,
  chunks,
  credentials,
  exception,
  messages,
  region,
} from './bedrock-double.ts';
import { type Answer, body, hang, jsonOf } from './http-double.ts';
import type { VendorFault } from './port-conformance.ts';
import { always, RequestCount } from './port-conformance-http.ts';
import {
  type LanguageModelSubject,
  type ModelBehaviour,
  pieces,
  toolCall,
} from './port-conformance-language-model.ts';

const model = 'claude-haiku-5-5';
/** Deadline of a vendor that never answers. */
const SHORT_MS = 200;

const talking = message({ texts: pieces });
const args = JSON.stringify(toolCall.arguments);
const asking = message({
  texts: [pieces[0]],
  tools: [{ id: 'toolu_1', name: toolCall.name, input: [args.slice(0, 5), args.slice(5)] }],
});
/** Up to the first text: begin, ping, begin of the block, text. */
const begun = talking.slice(0, 4);

export async function anthropicModel(behaviour: ModelBehaviour): Promise<LanguageModelSubject> {
  const faults: Record<VendorFault, Answer> = {
    keyRefused: status(401, 'authentication_error'),
    rateLimited: status(429, 'rate_limit_error'),
    down: status(503, 'api_error'),
    silent: hang(),
    malformed: body('<html>', 'text/html'),
  };
  const answers: Record<ModelBehaviour, Answer> = {
    ...faults,
    talks: events(talking),
    asksForTool: events(asking),
    stalls: events(begun, 'hang'),
    breaksOff: events(begun, 'cut'),
    rejects: status(400, 'invalid_request_error'),
  };
  const double = await AnthropicDouble.start();
  const count = new RequestCount();
  double.script('/v1/messages', ...always(count.of(answers[behaviour])));
  return {
    languageModel: anthropicLanguageModel({
      apiKey: 'key',
      baseUrl: double.baseUrl,
      model,
      maxRetries: 1,
      ...(behaviour === 'silent' ? { firstTokenMs: SHORT_MS } : {}),
    }),
    asked: () => jsonOf(double.requests.at(-1)!),
    withoutTemperature: true,
    open: () => count.open,
    made: () => count.made,
    close: () => double.close(),
  };
}

export async function bedrockModel(behaviour: ModelBehaviour): Promise<LanguageModelSubject> {
  const faults: Record<VendorFault, Answer> = {
    keyRefused: exception(403, 'AccessDeniedException'),
    rateLimited: exception(429, 'ThrottlingException'),
    down: exception(503, 'ServiceUnavailableException'),
    silent: hang(),
    malformed: messages([chunk({ type: 'message_start' })]),
  };
  const answers: Record<ModelBehaviour, Answer> = {
    ...faults,
    talks: messages(chunks(talking)),
    asksForTool: messages(chunks(asking)),
    stalls: messages(chunks(begun), 'hang'),
    breaksOff: messages(chunks(begun), 'cut'),
    rejects: exception(400, 'ValidationException'),
  };
  const double = await BedrockDouble.start();
  const count = new RequestCount();
  double.script(
    `/model/${model}/invoke-with-response-stream`,
    ...always(count.of(authorised(answers[behaviour], () => Date.now()))),
  );
  return {
    languageModel: bedrockLanguageModel({
      model,
      region,
      credentials,
      baseUrl: double.baseUrl,
      maxRetries: 1,
      ...(behaviour === 'silent' ? { firstTokenMs: SHORT_MS } : {}),
    }),
    asked: () => jsonOf(double.requests.at(-1)!),
    withoutTemperature: true,
    open: () => count.open,
    made: () => count.made,
    close: () => double.close(),
  };
}
