import type { CallEvent } from './call/events.ts';

/** Values of a log line beside its message. Personal data never stands in them. */
export type LogFields = Record<string, string | number | boolean | null | undefined>;

/** Writes one JSON line. The message is a static string, so that logs can be searched and counted by it. */
export function log(level: 'info' | 'warn' | 'error', message: string, fields: LogFields = {}): void {
  console[level === 'info' ? 'log' : level](JSON.stringify({ level, message, ...fields }));
}

/** An error's own words for a log field, bounded. */
export function describeError(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.slice(0, 500);
}

/** Writes what an operator needs of a call's events: no words and no numbers of anybody. */
export function logCallEvent(callId: string, event: CallEvent): void {
  switch (event.type) {
    case 'call.started':
      log('info', 'call started', {
        leg: callId,
        callId: event.call.callId,
        by: event.call.startedBy,
      });
      return;
    case 'tool.ran':
      log('info', 'tool ran', {
        leg: callId,
        tool: event.run.name,
        ok: event.run.ok,
        tookMs: event.run.tookMs,
      });
      return;
    case 'call.counted':
      log('info', 'call counted', { leg: callId, ...event.counts });
      return;
    case 'call.closed':
      log('info', 'call ended', { leg: callId, reason: event.reason, status: event.status });
      return;
    case 'failure':
      log('warn', 'failure in a call', {
        leg: callId,
        code: event.code,
        provider: event.provider,
        error: event.message.slice(0, 500),
      });
      return;
  }
}
