import type { Clock } from '../call/clock.ts';
import { describeError, log, personalId } from '../log.ts';
import type { CallTrace } from '../tracing/call-trace.ts';
import { type BuiltInTools, builtInTools } from './built-in.ts';
import { type HttpToolSettings, httpTool } from './http-tool.ts';
import type { CallActions, ToolCallFacts, ToolRun } from './tool.ts';
import { ToolBox } from './tool-box.ts';

/** What an agent's model may ask for. */
export interface AgentTools {
  builtIn: BuiltInTools;
  http: readonly HttpToolSettings[];
}

/** The tools of one call, or null where the agent has none. `onRun` is told of each run before its result is used. */
export function callTools(
  tools: AgentTools,
  options: {
    call: ToolCallFacts;
    actions: CallActions;
    clock: Clock;
    /** They sign the requests of the operator's own tools, see `HttpToolOptions`. */
    secrets: readonly string[];
    onRun(run: ToolRun): void;
    /** Runs of this call before: by another engine, or before its object lost its memory. */
    results: readonly ToolRun[];
    /** The call's, of which a tool's server is told. */
    trace?: Pick<CallTrace, 'facts' | 'traceparentFor'>;
  },
): ToolBox | null {
  const { call, clock, secrets, trace } = options;
  const all = [
    ...builtInTools(tools.builtIn, clock),
    ...tools.http.map((settings) =>
      httpTool(settings, { secrets, clock, ...(trace === undefined ? {} : { trace }) }),
    ),
  ];
  if (all.length === 0) return null;
  return new ToolBox({
    ...options,
    tools: all,
    onError: (error, tool) =>
      log('error', 'a tool failed', {
        callId: personalId(call.callId),
        trace: trace?.facts?.traceId,
        tool,
        error: describeError(error),
      }),
  });
}
