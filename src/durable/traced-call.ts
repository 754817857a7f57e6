import type { SpanContext } from '@opentelemetry/api';
import { version } from '../../package.json';
import { systemClock, systemRandom } from '../call/clock.ts';
import type { Config } from '../config.ts';
import { log, personalWords } from '../log.ts';
import { CallTrace } from '../tracing/call-trace.ts';
import { otlpOverHttp } from '../tracing/otlp-request.ts';

/** The trace of a call of this object. @param carried the span of whoever asked for the call. */
export function traceOf(
  config: Config,
  background: (work: Promise<void>) => void,
  carried: SpanContext | null,
): CallTrace {
  const options = {
    settings: config,
    send: otlpOverHttp(config, systemClock),
    clock: systemClock,
    random: systemRandom,
    version,
    background,
    onTrouble: ({ traceId, lost, why }: { traceId: string; lost: number; why?: string }) => {
      if (why === undefined) log('warn', 'spans of a call were lost', { trace: traceId, lost });
      else log('warn', 'the collector took no spans', { trace: traceId, lost, reason: personalWords(why) });
    },
  };
  return new CallTrace(options, carried);
}
