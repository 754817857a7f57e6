import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ClientMessage, ClientTurn, Conversations } from './conversation-client.ts';
import { PEER } from './peer.ts';
import type { ProcessLoad } from './process-load.ts';
import { serviceOptions } from './systems.ts';
import type { VendorMarks, VendorMessage, VendorScript } from './vendors.ts';
import { type Storage, serve, type Workerd } from './workerd.ts';

/** The scripted vendors, in a process of their own. */
export interface Vendors {
  address: string;
  begin(): void;
  end(): Promise<{ marks: Record<string, VendorMarks>; load: ProcessLoad }>;
  stop(): void;
}

/** A system that is measured. */
export interface System {
  name: string;
  wire: Conversations['wire'];
  /** Length of the messages in which it is sent audio. */
  frameMs: number;
  start(vendors: Vendors, storage: Storage): Promise<Workerd>;
}

/** What was seen of one system under one load. */
export interface Measurement {
  turns: ClientTurn[];
  marks: Record<string, VendorMarks>;
  client: ProcessLoad & { sendDelayP99Ms: number };
  vendors: ProcessLoad;
  /** Share of one core that the system used. */
  cpuShare: number;
}

/** How long the callers have to be silent: as for the peer's own client, so that all wait as long. */
export const END_MS = 500;

/** The service, as `wrangler deploy` would build it; `settings` beside the addresses of its vendors. */
export function service(
  modules: string,
  settings: Record<string, string> = {},
  name = 'this service',
): System {
  return {
    name,
    wire: 'native',
    frameMs: 20,
    start: ({ address }, storage) =>
      serve(modules, {
        storage,
        ...serviceOptions(address, { ENDPOINTING_MS: String(END_MS), ...settings }),
        // Nobody is there: no call ends before the bench does.
        bucket: { binding: 'RECORDINGS', host: '127.0.0.1:1' },
      }),
  };
}

/**
 * @param detector how its transcriber hears: `energy` costs it nothing, `webrtc` is the service's own.
 * @param aheadMs silence after which its transcriber has the text made already; 0: at the end of the turn.
 */
export function peer(modules: string, frameMs: number, detector: 'energy' | 'webrtc', aheadMs = 0): System {
  return {
    name: aheadMs === 0 ? PEER.name : `${PEER.name}, transcribing ahead`,
    wire: 'voice',
    frameMs,
    start: ({ address }, storage) =>
      serve(modules, {
        storage,
        objects: { VoicePeer: 'VoicePeer' },
        text: { VENDORS: address, DETECTOR: detector, END_MS: String(END_MS), AHEAD_MS: String(aheadMs) },
      }),
  };
}

/** The same steps, one after the other. */
export function serial(modules: string): System {
  return {
    name: 'one step after another',
    wire: 'plain',
    frameMs: 20,
    start: ({ address }, storage) =>
      serve(modules, {
        storage,
        objects: { CALLS: 'SerialCall' },
        text: { VENDORS: address, DETECTOR: 'webrtc', END_MS: String(END_MS) },
      }),
  };
}

export async function startVendors(script: VendorScript): Promise<Vendors> {
  const child = start('vendors.ts', script);
  const [listening] = (await once(child, 'message')) as [VendorMessage];
  if (listening.type !== 'listening') throw new Error('the vendors did not start');
  return {
    address: `http://127.0.0.1:${listening.port}`,
    begin: () => child.send('begin'),
    end: async () => {
      child.send('end');
      const [ended] = (await once(child, 'message')) as [VendorMessage];
      if (ended.type !== 'marks') throw new Error('the vendors answered out of turn');
      return ended;
    },
    stop: () => child.disconnect(),
  };
}

/** Lets a client hold conversations with a system that is started for them. */
export async function measure(
  system: System,
  vendors: Vendors,
  conversations: Omit<Conversations, 'url' | 'wire' | 'frameMs'>,
  storage: Storage = 'disk',
): Promise<Measurement> {
  const workerd = await system.start(vendors, storage);
  const path = { native: 'ws/call-session', voice: 'agents/voice-peer', plain: '' }[system.wire];
  const client = start('conversation-client.ts', {
    ...conversations,
    url: `ws://127.0.0.1:${workerd.port}/${path}`,
    wire: system.wire,
    frameMs: system.frameMs,
  });
  try {
    let cpuUs = 0;
    let since = 0;
    const ended = new Promise<Measurement>((resolve, reject) => {
      client.once('exit', (code) => reject(new Error(`the client failed (exit code ${code})`)));
      client.on('message', (message: ClientMessage) => {
        if (message.type === 'begin') {
          vendors.begin();
          cpuUs = workerd.cpuUs();
          since = performance.now();
          return;
        }
        const cpuShare = (workerd.cpuUs() - cpuUs) / 1000 / (performance.now() - since);
        const { turns, load, sendDelayP99Ms } = message;
        vendors.end().then(
          (seen) =>
            resolve({
              turns,
              marks: seen.marks,
              client: { ...load, sendDelayP99Ms },
              vendors: seen.load,
              cpuShare,
            }),
          reject,
        );
      });
    });
    const measurement = await ended;
    client.send('done');
    await once(client, 'exit');
    return measurement;
  } finally {
    client.kill();
    await workerd.stop();
  }
}

function start(file: string, task: object): ChildProcess {
  return spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, file), JSON.stringify(task)],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
}
