/**
 * What the service itself uses, as it was seen on 2026-11-21. Whoever changes what a call does measures again.
 */
export const measured = {
  turnsAMinute: 6,
  callerSpeechSecondsATurn: 1.98,
  pauseSecondsATurn: 0.24,
  agentSpeechSecondsATurn: 5.55,
  transcribedSecondsATurn: 4.4,
  transcribedInVainSecondsATurn: 0.6,
  inputTokensATurn: 159,
  outputTokensATurn: 20,
  charactersATurn: 75,
  rowsACall: 87,
  rowsATurn: 30,
  spoolRowsAMinute: 45,
  rowsAMinute: 15,
  objectRequestsACall: 14,
  objectRequestsAMinute: 1,
  workerRequestsACall: 2,
  workerCpuMs: 5,
  lingerSecondsACall: 10,
  logEventsACall: 12,
  opusBytesASecond: 2_000,
  callsANode: 1_600,
  databaseBytesACall: 2_000,
  databaseBytesATurn: 1_600,
  sttCoreSecondsASecond: 0.06,
  ttsCoreSecondsASecond: 0.04,
} as const;

const usage = '`npm run bench -- usage`, eight questions to the embedded agent, two runs';

const rows = '`npm test -- rows-written`';

/** Where each figure is from. */
export const provenance: Record<keyof typeof measured, string> = {
  turnsAMinute: usage,
  callerSpeechSecondsATurn: usage,
  pauseSecondsATurn: 'src/call/listener.ts, PAUSE_MS: so much silence is sent at the end of an utterance',
  agentSpeechSecondsATurn: usage,
  transcribedSecondsATurn: `${usage}; with what was transcribed at pauses and replaced later`,
  transcribedInVainSecondsATurn: `${usage}; requests that were given up`,
  inputTokensATurn: `${usage}; the default prompt and the history, four characters a token. --prompt adds your own`,
  outputTokensATurn: usage,
  charactersATurn: usage,
  rowsACall: `${rows}, a call that is begun and ended: tables, facts, deliveries, alarms, what others count of it`,
  rowsATurn: `${rows}; there the conversation is delivered every second, so this is too many rather than too few`,
  spoolRowsAMinute: `${rows}, 20 s of silence; SPOOL_INTERVAL is 2 s`,
  rowsAMinute:
    'counted in the code: a report and two deliveries of the conversation a minute, each with its alarm',
  objectRequestsACall:
    'counted in the code: eight for the limits (ARCHITECTURE.md, "Limits"), the upgrade, two reports, three alarms',
  objectRequestsAMinute: 'counted in the code: a report a minute (REPORT_MS)',
  workerRequestsACall: 'counted in the code: the upgrade, and the node’s POST /api/v1/nodes/hangups',
  workerCpuMs: 'assumed',
  lingerSecondsACall:
    'https://developers.cloudflare.com/durable-objects/platform/pricing/: an object stays active for ten seconds after its last client',
  logEventsACall: 'assumed: an event an invocation, and two lines of the service',
  opusBytesASecond: 'src/audio/ogg-opus.ts: 16 kbit/s',
  callsANode: 'docs/capacity.md: half a core for 100 calls; eight cores by arithmetic, filled',
  databaseBytesACall: 'assumed: the row without what grows with turns, and its indexes',
  databaseBytesATurn: `${usage}; as JSON, without indexes`,
  sttCoreSecondsASecond: 'embedded recogniser on this machine: real-time factor 0.06',
  ttsCoreSecondsASecond: 'embedded voice on this machine: real-time factor 0.04',
};
