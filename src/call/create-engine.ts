import type { Dialect } from '../dialects/dialect.ts';
import type { CallActions } from '../tools/tool.ts';
import type { AgentConfig } from './agent-config.ts';
import type { CallOptions, OnToolRun } from './call-options.ts';
import { DuplexEngine } from './duplex-engine.ts';
import type { Engine } from './engine.ts';
import type { EndReason } from './events.ts';
import { Pipeline } from './pipeline.ts';
import type { Playout } from './playout.ts';
import type { RequestedCall } from './requested-call.ts';
import { Turns } from './turn.ts';

/** What an engine is made of. */
export interface EngineParts {
  options: Pick<
    CallOptions,
    'clock' | 'events' | 'providers' | 'speechCache' | 'createDetector' | 'createTools' | 'past'
  >;
  agent: AgentConfig;
  call: RequestedCall;
  playout: Playout;
  /** What tools may do to the call. */
  actions: CallActions;
  /** Of the leg that counts at the moment. */
  dialect(): Dialect;
  /** Ends the call. */
  hangUp(reason: EndReason): void;
}

/** What makes the conversation of this call: a duplex model with the pipeline in reserve, where one is set, otherwise the pipeline. */
export function createEngine({
  options,
  agent,
  call,
  playout,
  actions,
  dialect,
  hangUp,
}: EngineParts): Engine {
  const { clock, events, providers, speechCache, createDetector, createTools, past } = options;
  const { sampleRate, startTime } = call;
  // What tools did in this call, whichever engine asked for it.
  const runs = (past?.history ?? []).flatMap((entry) => ('run' in entry ? [entry.run] : []));
  const common = {
    clock,
    events,
    playout,
    providers,
    speechCache,
    createTools: (onRun: OnToolRun) =>
      createTools(
        agent,
        call,
        actions,
        (run) => {
          runs.push(run);
          onRun(run);
        },
        [...runs],
      ),
    agent,
    sampleRate,
    startTime,
    languageHeard: past?.language ?? null,
    // One count for the whole call, whichever engine holds it and however often its object was lost.
    turns: new Turns(past?.nextTurn ?? 0),
    actions,
    leg: {
      get canClear() {
        return dialect().canClear;
      },
      clear: () => dialect().clear(),
      hangUp,
    },
  };
  const detector = () => createDetector(sampleRate);
  if (providers.duplex === null) return new Pipeline({ ...common, detector: detector() });
  return new DuplexEngine({
    ...common,
    duplex: providers.duplex,
    detector: detector(),
    // What it says first takes the place of the apology.
    fallback: (record) =>
      new Pipeline({
        ...common,
        record,
        detector: detector(),
        agent: { ...agent, greeting: agent.apology },
      }),
  });
}
