import type { CallEvent } from './call/events.ts';
import { errorSummary, errorWords } from './privacy/error-words.ts';
import { maskId, maskText } from './privacy/mask.ts';

/**
 * A value of a log line that may hold personal data. It is made from such a value by the functions below, and holds only what may be
 * shown of it; the line lists the names of its fields under `personal`.
 */
export class Personal {
  readonly shown: string;

  constructor(shown: string) {
    this.shown = shown;
  }
}

/** An id that somebody outside has chosen: a caller's, a user's, a campaign's. It may be a telephone number. */
export function personalId(id: string): Personal {
  return new Personal(maskId(id));
}

/** The path of a request: each part of it may be such an id. */
export function personalPath(path: string): Personal {
  return new Personal(path.split('/').map(maskId).join('/'));
}

/** Words that somebody else has written: they may quote a caller, a request or a token. */
export function personalWords(text: string): Personal {
  return new Personal(errorWords(text));
}

/** An error's own words for a log field, so far as they are nobody's. */
export function describeError(error: unknown): Personal {
  return new Personal(errorSummary(error));
}

/** Fields of these names hold personal data, wherever they are logged. */
type PersonalField =
  | 'callId'
  | 'leg'
  | 'userId'
  | 'user'
  | 'campaignId'
  | 'phoneNumber'
  | 'email'
  | 'address'
  | 'url'
  | 'text'
  | 'error';

/** Values of a log line beside its message. What may hold personal data is marked, by {@link Personal}. */
export type LogFields = Record<string, string | number | boolean | null | undefined | Personal> & {
  [Field in PersonalField]?: Personal;
};

/** Writes one JSON line. The message is a static string, so that logs can be searched and counted by it. */
export function log(level: 'info' | 'warn' | 'error', message: string, fields: LogFields = {}): void {
  const personal: string[] = [];
  const shown = Object.entries(fields).map(([name, value]) => {
    if (!(value instanceof Personal)) return [name, typeof value === 'string' ? maskText(value) : value];
    personal.push(name);
    return [name, value.shown];
  });
  const marked = personal.length > 0 ? { personal } : {};
  console[level === 'info' ? 'log' : level](
    JSON.stringify({ level, message, ...Object.fromEntries(shown), ...marked }),
  );
}

/** Writes what an operator needs of a call's events: no words and no numbers of anybody. `trace` stands in every line of a call that has begun. */
export function logCallEvent(callId: string, event: CallEvent, trace: string | undefined): void {
  const leg = personalId(callId);
  switch (event.type) {
    case 'call.started':
      log('info', 'call started', {
        leg,
        trace,
        callId: personalId(event.call.callId),
        ...(event.call.startedBy === undefined ? {} : { by: personalId(event.call.startedBy) }),
      });
      return;
    case 'leg.closed':
      if (event.refusal !== undefined) {
        log('warn', 'call refused', {
          leg,
          code: event.refusal.code,
          reason: personalWords(event.refusal.message),
        });
      }
      return;
    case 'tool.ran': {
      const { name, ok, tookMs, idempotencyKey } = event.run;
      // Where nothing was run, the name may be the model's own invention.
      log('info', 'tool ran', {
        leg,
        trace,
        tool: idempotencyKey === null ? personalWords(name) : name,
        ok,
        tookMs,
      });
      return;
    }
    case 'transfer':
      log('info', 'transfer', {
        leg,
        trace,
        state: event.state,
        to: personalWords(event.transfer.to),
        ...(event.state === 'over' ? { outcome: event.transfer.outcome, cause: event.transfer.cause } : {}),
      });
      return;
    case 'call.counted':
      log('info', 'call counted', { leg, trace, ...event.counts });
      return;
    case 'call.closed':
      log('info', 'call ended', { leg, trace, reason: event.reason, status: event.status });
      return;
    case 'failure':
      log('warn', 'failure in a call', {
        leg,
        trace,
        code: event.code,
        provider: event.provider,
        requestId: event.requestId,
        error: personalWords(event.message),
      });
      return;
  }
}
