import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, run, Service, until } from './processes.ts';
import type { NodeEntry } from './proxy.ts';
import { SipSocket } from './sip.ts';

const scenarios = join(import.meta.dirname, '..', 'scenarios');

export interface NodeOptions {
  name: string;
  address: string;
  /** As in nodes.list. */
  attributes?: string | undefined;
  scenario?: string | undefined;
  /** If it is not UDP. */
  transport?: 'tcp' | undefined;
}

/** A node played by SIPp. */
export class SipNode {
  readonly #options: NodeOptions;
  #port = 0;
  #service: Service | null = null;

  constructor(options: NodeOptions) {
    this.#options = options;
  }

  get entry(): NodeEntry {
    const { name, address, attributes = 'maxload=100', transport } = this.#options;
    return { name, address, port: this.#port, attributes, transport };
  }

  /** Starts it, on the address it had before if it had one, and waits until it answers. */
  async start(): Promise<void> {
    const { address, scenario = 'node', transport } = this.#options;
    if (this.#port === 0) this.#port = await freePort(address);
    const service = new Service(
      'sipp',
      [
        ...['-sf', join(scenarios, `${scenario}.xml`), '-i', address, '-p', `${this.#port}`, '-nostdin'],
        ...(transport === 'tcp' ? ['-t', 't1'] : []),
      ],
      tmpdir(),
    );
    this.#service = service;
    if (transport === 'tcp') return untilListening(address, this.#port);
    const probe = await SipSocket.open(address);
    try {
      await until(
        async () => (await probe.options({ address, port: this.#port }, 200)) !== null,
        (answered) => answered || !service.running,
      );
      if (!service.running) throw new Error(`SIPp did not start:\n${service.lines.join('\n')}`);
    } finally {
      probe.close();
    }
  }

  /** As a machine dies: nobody is told. */
  async kill(): Promise<void> {
    await this.#service?.kill();
  }
}

/** Waits until somebody takes TCP connections there. */
async function untilListening(host: string, port: number): Promise<void> {
  const connects = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ host, port }, () => resolve(true));
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
    });
  await until(connects, (connected) => connected);
}

export interface Calls {
  scenario: string;
  from: string;
  to: { address: string; port: number };
  calls: number;
  /** A second. */
  rate: number;
}

/** Places calls with SIPp, and waits for the end of all. Throws if one went otherwise than its scenario. */
export async function placeCalls({ scenario, from, to, calls, rate }: Calls): Promise<void> {
  const port = await freePort(from);
  const { code, output } = await run('sipp', [
    ...['-sf', join(scenarios, `${scenario}.xml`), '-i', from, '-p', `${port}`],
    ...['-m', `${calls}`, '-r', `${rate}`, '-l', `${calls}`, '-nostdin', '-timeout', '15s', '-timeout_error'],
    `${to.address}:${to.port}`,
  ]);
  if (code !== 0) throw new Error(`SIPp's ${scenario} ended with ${code}:\n${output.slice(-3000)}`);
}
