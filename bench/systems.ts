import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackEnds } from './back-ends.ts';
import type { Wire } from './paced-client.ts';
import { PEER } from './peer.ts';
import { temporaryFolder } from './temporary.ts';
import { serve, type Workerd, type WorkerOptions } from './workerd.ts';

export type SystemOptions = Pick<WorkerOptions, 'v8Flags' | 'inspector' | 'storage'>;

/** A system that takes calls' frames, in plain `workerd serve`. */
export interface System {
  name: string;
  wire: Wire;
  /** Where a call's socket is opened; a client adds the name of the call where the system wants one. */
  path: string;
  start(backEnds: BackEnds, options?: SystemOptions): Promise<Workerd>;
}

const plainModules = (): string => {
  const folder = temporaryFolder('bench-bare-');
  copyFileSync(join(import.meta.dirname, 'workers', 'plain.mjs'), join(folder, 'index.mjs'));
  return folder;
};

/** Takes the frames and counts them. */
export const countingObject = (): System => ({
  name: 'counting object',
  wire: 'plain',
  path: '',
  start: (_, options) => serve(plainModules(), { objects: { OBJECTS: 'Counter' }, ...options }),
});

/** Sends each frame back as well. */
export const echoingObject = (): System => ({
  name: 'echoing object',
  wire: 'plain',
  path: '',
  start: (_, options) => serve(plainModules(), { objects: { OBJECTS: 'Echo' }, ...options }),
});

/** Writes as many bytes into its SQLite as a recording of the caller takes: what is left of the service's memory without it is the service's own. */
export const storingObject = (): System => ({
  name: 'counting object that stores',
  wire: 'plain',
  path: '',
  start: (_, options) => serve(plainModules(), { objects: { OBJECTS: 'Storer' }, ...options }),
});

/** `agents/voice`, which neither detects speech here nor records. @param modules the bundle of `workers/taking-peer.mjs`. */
export const takingPeer = (modules: string): System => ({
  name: PEER.name,
  wire: 'voice',
  path: 'agents/voice-peer',
  start: (_, options) => serve(modules, { objects: { VoicePeer: 'VoicePeer' }, ...options }),
});

/** How a bench runs the service: all calls are one user's, nobody is asked whether he is there, and no line of the agent's is made. */
export function serviceOptions(
  address: string,
  settings: Record<string, string>,
): Pick<WorkerOptions, 'objects' | 'text'> {
  return {
    objects: {
      CALL_SESSION: 'CallSessionDO',
      METRICS: 'MetricsDO',
      USER_CALLS: 'UserCallsDO',
      PERMITS: 'PermitsDO',
    },
    text: {
      OPENAI_API_KEY: 'bench',
      OPENAI_BASE_URL: `${address}/v1`,
      SUPABASE_URL: address,
      SUPABASE_SERVICE_ROLE_KEY: 'bench',
      AGENT_GREETING: '',
      // In production these lines are ready in CACHE_KV; without it each call would have them made anew.
      AGENT_APOLOGY: '',
      AGENT_HOLD_LINE: '',
      AGENT_SILENCE_PROMPT: '',
      AGENT_GOODBYE: '',
      RATE_LIMIT_PER_IP: '0',
      MAX_CONCURRENT_CALLS_PER_USER: '10000',
      AUTH: 'none',
      // A bench says itself how long its calls are.
      WEBSOCKET_TIMEOUT: '14400000',
      SILENCE_PROMPT_MS: '3600000',
      SILENCE_HANGUP_MS: '3600000',
      ...settings,
    },
  };
}

/** The service with voice activity, recording and journal; of its back ends nothing is waited for. @param modules as `wrangler deploy` builds them. */
export const service = (
  modules: string,
  settings: Record<string, string> = {},
  name = 'this service',
): System => ({
  name,
  wire: 'native',
  path: 'ws/call-session',
  start: ({ address, host }, options) =>
    serve(modules, {
      ...serviceOptions(address, settings),
      bucket: { binding: 'RECORDINGS', host },
      ...options,
    }),
});

/** The same, whose objects store without waiting for a disk: what is left of its lateness is not the disk's. */
export const storingInMemory = (system: System): System => ({
  ...system,
  name: `${system.name}, no disk`,
  start: (backEnds, options) => system.start(backEnds, { ...options, storage: 'memory' }),
});
