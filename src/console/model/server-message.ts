import type { LatencyMoment, ServerMessage } from '../../dialects/native-messages.ts';

type Fields = Record<string, unknown>;

const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
/** A field that may be left out. */
const maybe = (test: (value: unknown) => boolean) => (value: unknown) => value === undefined || test(value);
const oneOf =
  (...values: readonly string[]) =>
  (value: unknown) =>
    isText(value) && values.includes(value);

type Known = Exclude<ServerMessage['type'], 'audio_response'>;

/** Fields that a message must have. By hand: zod would be twice as large as the rest of the page. */
const checks: Record<Known, Record<string, (value: unknown) => boolean>> = {
  status: {
    status: oneOf('ready', 'processing', 'error'),
    message: isText,
    callId: maybe(isText),
    resumeToken: maybe(isText),
  },
  speech: { text: isText },
  error: { code: isText, message: isText },
  clear: {},
  mark: { name: isText },
  transcript: {
    role: oneOf('caller', 'agent'),
    text: isText,
    final: (value) => typeof value === 'boolean',
  },
  latency: {
    turn: isNumber,
    endpointWaitMs: isNumber,
    processingMs: isNumber,
    providerMs: isNumber,
    totalMs: isNumber,
    moments: isMoments,
  },
  transfer: { to: isText, ringSeconds: isNumber },
  cancel_transfer: {},
  dtmf: { digits: isText },
};

/** A message of the service's that this page can get: its audio comes as binary frames. */
export type ReceivedMessage = Extract<ServerMessage, { type: Known }>;

/** Null: no message that is known, as from a service that is newer than the page. */
export function parseServerMessage(data: string): ReceivedMessage | null {
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof json !== 'object' || json === null) return null;
  const fields = json as Fields;
  const { type } = fields;
  if (!isText(type) || !Object.hasOwn(checks, type)) return null;
  const wanted = checks[type as Known];
  const right = Object.entries(wanted).every(([name, test]) => test(fields[name]));
  return right ? (json as ReceivedMessage) : null;
}

function isMoments(value: unknown): value is Partial<Record<LatencyMoment, number>> {
  return typeof value === 'object' && value !== null && Object.values(value).every(isNumber);
}
