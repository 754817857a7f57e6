import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { freePort, type LoopbackNetwork, run, Service, until } from './processes.ts';

const root = join(import.meta.dirname, '..', '..', '..');
export const kamailioFolder = join(root, 'kamailio');

/** A node of the list: where it is, and its attributes beside `duid`. */
export interface NodeEntry {
  name: string;
  address: string;
  port: number;
  attributes: string;
  /** If it is not UDP. */
  transport?: 'tcp' | undefined;
}

/** What the dispatcher knows of a node: its flags (AP: active and pinged, IP: down, DX: drained, TP: one ping missed) and its calls. */
export interface NodeState {
  flags: string;
  calls: number;
}

export interface ProxyOptions {
  network: LoopbackNetwork;
  nodes: readonly NodeEntry[];
  /** The trunks' gateways, for what nodes dial; the first is asked first. Default none. */
  gateways?: readonly NodeEntry[] | undefined;
  /** Over those of `quiet`. */
  defines?: Readonly<Record<string, number | string>> | undefined;
  /** Who may read the metrics beside the proxy's own address. */
  monitors?: readonly string[] | undefined;
  /** Where to listen; default a free port. */
  port?: number | undefined;
}

/** The shipped configuration, smaller, and without pings: what a test does not ask for does not happen in it. */
const quiet = {
  PING_SECONDS: 3600,
  WORKERS: 2,
  TCP_WORKERS: 1,
  TCP_CONNECTIONS: 64,
};

/** The real Kamailio with the repository's configuration, on an address and ports of its own. */
export class SipProxy {
  readonly address: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly metricsPort: number;
  /** The allow-listed trunk's address, and one that is a stranger's. */
  readonly trunk: string;
  readonly stranger: string;
  /** Of whom nodes may dial as a SIP address. */
  readonly peer: string;
  readonly folder: string;
  readonly socket: string;
  readonly #options: ProxyOptions;
  #service: Service | null = null;
  #markers = 0;

  private constructor(options: ProxyOptions, folder: string, ports: readonly [number, number, number]) {
    const { network } = options;
    this.#options = options;
    this.folder = folder;
    this.address = network.address(0);
    this.trunk = network.address(10);
    this.stranger = network.address(12);
    this.peer = network.address(18);
    this.socket = `unix:${join(folder, 'ctl')}`;
    [this.port, this.tlsPort, this.metricsPort] = ports;
  }

  static async start(options: ProxyOptions): Promise<SipProxy> {
    const address = options.network.address(0);
    const ports = [
      options.port ?? (await freePort(address)),
      await freePort(address),
      await freePort(address),
    ] as const;
    const folder = await mkdtemp(join(tmpdir(), 'kamailio-'));
    const proxy = new SipProxy(options, folder, [...ports]);
    try {
      await proxy.#writeFiles();
      await proxy.#boot();
      return proxy;
    } catch (error) {
      await proxy.stop();
      throw error;
    }
  }

  get nodesList(): string {
    return join(this.folder, 'nodes.list');
  }

  /** The defines as `-A` takes them. */
  get #defines(): string[] {
    const path = (name: string) => `"${join(this.folder, name)}"`;
    const defines = {
      ...quiet,
      LISTEN_UDP: `udp:${this.address}:${this.port}`,
      LISTEN_TCP: `tcp:${this.address}:${this.port}`,
      LISTEN_TLS: `tls:${this.address}:${this.tlsPort}`,
      LISTEN_OWN: `udp:${this.#options.network.address(1)}:${this.port}`,
      LISTEN_METRICS: `tcp:${this.address}:${this.metricsPort}`,
      METRICS_PORT: this.metricsPort,
      NODES_LIST: path('nodes.list'),
      TRUNKS_LIST: path('trunks.list'),
      TLS_CONFIG: path('tls.cfg'),
      CTL_SOCKET: `"${this.socket}"`,
      ...this.#options.defines,
    };
    return Object.entries(defines).flatMap(([name, value]) => ['-A', `${name}=${value}`]);
  }

  async #writeFiles(): Promise<void> {
    await this.writeNodes(this.#options.nodes);
    const monitors = [this.address, ...(this.#options.monitors ?? [])];
    await writeFile(
      join(this.folder, 'trunks.list'),
      [
        `1 ${this.trunk} 32 0 carrier-a`,
        `1 ${this.#options.network.address(11)} 32 0 carrier-b`,
        ...monitors.map((address) => `2 ${address} 32 0 prometheus`),
        `3 ${this.peer} 32 0 pbx\n`,
      ].join('\n'),
    );
    const [key, certificate] = [join(this.folder, 'key.pem'), join(this.folder, 'certificate.pem')];
    const subject = ['-subj', '/CN=proxy.test', '-addext', `subjectAltName=IP:${this.address}`];
    const made = await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...[...subject, '-days', '2', '-keyout', key, '-out', certificate],
    ]);
    if (made.code !== 0) throw new Error(made.output);
    const tls = await readFile(join(kamailioFolder, 'tls.cfg'), 'utf8');
    await writeFile(
      join(this.folder, 'tls.cfg'),
      tls
        .replace('/etc/kamailio/tls/fullchain.pem', certificate)
        .replace('/etc/kamailio/tls/privkey.pem', key)
        .replace('/etc/ssl/certs/ca-certificates.crt', certificate),
    );
  }

  async writeNodes(
    nodes: readonly NodeEntry[],
    gateways: readonly NodeEntry[] = this.#options.gateways ?? [],
  ): Promise<void> {
    // Among equals the dispatcher takes the one of the highest priority: here the first.
    const lines = (group: number, entries: readonly NodeEntry[]) =>
      entries.map(
        ({ name, address, port, attributes, transport }, index) =>
          `${group} sip:${address}:${port}${transport === undefined ? '' : `;transport=${transport}`} 0 ${entries.length - index} duid=${name};${attributes}\n`,
      );
    const all = [...lines(1, nodes), ...lines(2, gateways)];
    await writeFile(this.nodesList, `# The nodes.\n${all.join('')}`);
  }

  async #boot(): Promise<void> {
    const config = join(kamailioFolder, 'kamailio.cfg');
    const places = ['-P', join(this.folder, 'pid'), '-Y', this.folder, '-w', this.folder];
    this.#service = new Service(
      '/usr/sbin/kamailio',
      ['-f', config, '-DD', '-E', ...places, '-m', '64', '-M', '8', ...this.#defines],
      this.folder,
    );
    const service = this.#service;
    await until(
      async () => ({ up: (await this.#kamcmd(['core.uptime'])).code === 0, running: service.running }),
      ({ up, running }) => up || !running,
    );
    if (!service.running) throw new Error(`Kamailio did not start:\n${service.lines.join('\n')}`);
  }

  #kamcmd(args: readonly string[]): Promise<{ code: number; output: string }> {
    return run('/usr/sbin/kamcmd', ['-s', this.socket, ...args]);
  }

  /** One command of `kamcmd`; its output. */
  async rpc(...args: readonly string[]): Promise<string> {
    const { code, output } = await this.#kamcmd(args);
    if (code !== 0 || /^error:/m.test(output)) throw new Error(`kamcmd ${args.join(' ')}: ${output}`);
    return output;
  }

  /** The nodes, and the gateways, by name. */
  async nodes(): Promise<Record<string, NodeState>> {
    const list = await this.rpc('dispatcher.list');
    const entries = list.split('DEST: {').slice(1);
    return Object.fromEntries(
      entries.map((entry) => [
        /DUID: (\S+)/.exec(entry)?.[1],
        { flags: /FLAGS: (\S+)/.exec(entry)?.[1], calls: Number(/DLGLOAD: (\d+)/.exec(entry)?.[1]) },
      ]),
    );
  }

  /** Waits until the dispatcher says so of its nodes. */
  untilNodes(wanted: (nodes: Record<string, NodeState>) => boolean): Promise<Record<string, NodeState>> {
    return until(() => this.nodes(), wanted);
  }

  /** The calls of each node, by name. */
  async calls(): Promise<Record<string, number>> {
    return Object.fromEntries(Object.entries(await this.nodes()).map(([name, { calls }]) => [name, calls]));
  }

  /** Waits until no call is counted. */
  async untilIdle(): Promise<void> {
    await this.untilNodes((nodes) => Object.values(nodes).every(({ calls }) => calls === 0));
  }

  /** Its log, by line. */
  get log(): readonly string[] {
    return this.#service?.lines ?? [];
  }

  /** How many lines of its log match, of all that were written before. */
  async count(pattern: RegExp): Promise<number> {
    // Everything writes into one pipe: when a line that is caused now has come, those before it have.
    const marker = this.#options.network.address(14);
    this.#markers += 1;
    await this.metrics(`/marker-${this.#markers}`, marker);
    await this.line(new RegExp(`event=http\\.refused source=${marker}:.* path=%2fmarker-${this.#markers}$`));
    return this.log.filter((line) => pattern.test(line)).length;
  }

  /** The first line of its log that matches, as soon as it is there. */
  line(pattern: RegExp): Promise<string> {
    if (this.#service === null) throw new Error('The proxy is not running.');
    return this.#service.line(pattern);
  }

  /** GET on the metrics' port; `from`: the address that asks, default the allowed one. */
  async metrics(path = '/metrics', from = this.address): Promise<{ status: number; body: string }> {
    const target = { host: this.address, port: this.metricsPort, path, localAddress: from, agent: false };
    const [response] = (await once(get(target), 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, body: await text(response) };
  }

  /** Kills it with all its children, as a machine dies. */
  async kill(): Promise<void> {
    await this.#service?.kill();
  }

  async stop(): Promise<void> {
    await this.#service?.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
