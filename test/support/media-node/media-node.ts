import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OwnNumber, writeConfiguration } from './configuration.ts';
import { DoubleProcess } from './double-process.ts';
import { FreeSwitch } from './freeswitch.ts';

/** What a node is told of this machine, the rest being the shipped configuration. */
export interface MediaNodeOptions {
  /** As in the service's `NODES` and in `nodes.list`. */
  name: string;
  /** Where it takes SIP, and RTP. */
  address: string;
  port: number;
  /** Who may call it: addresses of proxies. */
  proxies: readonly string[];
  /** The service, without a path: `ws://127.0.0.1:8787`. */
  service: string;
  token: string;
  numbers: readonly OwnNumber[];
  /** Other settings of `node.xml`. */
  settings?: Readonly<Record<string, string>>;
}

/** A node of the media tier, from the SIP side and from its log: the same whether FreeSWITCH plays it or its double. */
export interface MediaNode {
  readonly kind: 'double' | 'FreeSWITCH';
  /** Its log so far: lines `event=… call=…` among others. */
  readonly log: readonly string[];
  /** The first line of its log that matches, as soon as it is there. */
  line(pattern: RegExp): Promise<string>;
  /** CPU that its process has used so far, in microseconds. */
  cpuUs(): number;
  /** As the operator stops it: calls that are left are hung up, and their ends reported. */
  stop(): Promise<void>;
  /** As a machine dies: nobody is told. */
  kill(): Promise<void>;
}

/**
 * Starts a node on the shipped configuration, and waits until it takes calls: the FreeSWITCH at `FREESWITCH_BIN`, which has to have the
 * modules of `freeswitch/autoload_configs/modules.conf.xml`; where that is not set, the double.
 */
export async function startMediaNode(options: MediaNodeOptions): Promise<MediaNode> {
  const folder = await mkdtemp(join(tmpdir(), 'media-node-'));
  const conf = join(folder, 'conf');
  const { name, address, port, proxies, service, token, numbers, settings } = options;
  const own = {
    node_name: name,
    node_address: address,
    node_public_address: address,
    sip_port: `${port}`,
    proxies: proxies.map((proxy) => `${proxy}/32`).join(','),
    service,
    node_token: token,
  };
  writeConfiguration(conf, { ...own, ...settings }, numbers);
  const removed = () => rm(folder, { recursive: true, force: true });
  const binary = process.env.FREESWITCH_BIN;
  try {
    return binary === undefined || binary === ''
      ? await DoubleProcess.start(conf, removed)
      : await FreeSwitch.start(binary, folder, removed);
  } catch (error) {
    await removed();
    throw error;
  }
}
