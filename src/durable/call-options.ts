import { resolveAgent } from '../agents.ts';
import { lineDetector } from '../audio/line-detector.ts';
import type { VoiceActivityFactory } from '../audio/voice-activity.ts';
import { isBlocked } from '../auth/authenticate.ts';
import type { CallOptions } from '../call/call-options.ts';
import { systemClock } from '../call/clock.ts';
import { type CallFunds, callFunds } from '../call/funds.ts';
import type { Config } from '../config.ts';
import type { Env } from '../env.ts';
import type { LegRequest } from '../http/leg-request.ts';
import { describeError, log, personalId } from '../log.ts';
import { providerSettings } from '../provider-settings.ts';
import { createProviders } from '../providers/registry.ts';
import { connectBooks } from '../records/connect.ts';
import { homeOf, jurisdictionOf } from '../regions/settings.ts';
import { callTools } from '../tools/call-tools.ts';
import type { CallTrace } from '../tracing/call-trace.ts';
import { speechStore } from './speech-store.ts';

/** What the settings say nothing of: it is this call's, or its object's. */
type OwnOptions = Pick<
  CallOptions,
  'events' | 'resumeToken' | 'claimCallId' | 'releaseCallId' | 'slots' | 'storeAudio' | 'given' | 'past'
> & {
  /** The connection that the call begins with, or is taken up with. */
  leg: CallOptions['leg'];
};

/** What this call is lent: by the settings, by what the Worker is bound to, by the router's word on its leg, and by its object. */
export function callOptions(
  { config, env }: { config: Config; env: Env },
  request: LegRequest,
  own: OwnOptions,
  lent: {
    detectors: VoiceActivityFactory;
    trace: CallTrace;
    /** Keeps the object alive until it is done. */
    background(work: Promise<void>): void;
  },
): CallOptions {
  const { detectors, trace, background } = lent;
  const settings = providerSettings(config);
  const { vendor, baseUrl, model } = settings.textToSpeech[0];
  return {
    clock: systemClock,
    principal: request.principal,
    providers: createProviders(settings, { ai: env.AI ?? null }),
    speechCache: {
      store: speechStore(env.CACHE_KV),
      identity: JSON.stringify([vendor, baseUrl ?? null, model ?? null]),
    },
    callId: request.callId,
    callIdBound: request.bound,
    limits: {
      callMs: config.WEBSOCKET_TIMEOUT,
      startMs: config.START_TIMEOUT,
      idleMs: config.IDLE_TIMEOUT,
      aheadMs: config.MAX_AUDIO_AHEAD,
      graceMs: config.RESUME_GRACE,
      messagesPerSecond: config.MAX_MESSAGES_PER_SECOND,
    },
    spoolMs: config.SPOOL_INTERVAL,
    createDetector: (sampleRate) => lineDetector(detectors, sampleRate),
    resolveAgent: (campaignId) => resolveAgent(config, campaignId),
    mayBeHere: (userId) => {
      const home = homeOf(config.REGIONS, userId);
      return home === null || home === jurisdictionOf(request.region ?? null);
    },
    isBlocked: (userId) => isBlocked(config, userId),
    funds: config.BILLING ? fundsOf(config, request.callId, background) : null,
    createTools: (agent, facts, actions, onRun, earlier) =>
      callTools(agent.tools, {
        call: facts,
        actions,
        clock: systemClock,
        secrets: config.AGENT_HTTP_TOOL_SECRETS,
        onRun,
        results: earlier,
        trace,
      }),
    ...own,
  };
}

function fundsOf(config: Config, legId: string, background: (work: Promise<void>) => void): CallFunds {
  return callFunds({
    books: connectBooks(config),
    clock: systemClock,
    callMs: config.WEBSOCKET_TIMEOUT,
    leastSeconds: config.BILLING_LEAST_SECONDS,
    timeoutMs: config.BILLING_TIMEOUT,
    withoutAnswer: config.BILLING_WITHOUT_DATABASE,
    background: (work) =>
      background(
        work.catch((error: unknown) =>
          log('warn', 'a reservation was not given back, and will expire', {
            leg: personalId(legId),
            error: describeError(error),
          }),
        ),
      ),
  });
}
