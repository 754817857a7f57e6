import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Service, until } from '../sip/support/processes.ts';
import { freePort } from './ports.ts';

const sampleSchema = z.object({
  metric: z.record(z.string(), z.string()),
  value: z.tuple([z.number(), z.string()]),
});
const querySchema = z.object({
  status: z.literal('success'),
  data: z.discriminatedUnion('resultType', [
    z.object({ resultType: z.literal('vector'), result: z.array(sampleSchema) }),
    z.object({ resultType: z.literal('scalar'), result: z.tuple([z.number(), z.string()]) }),
  ]),
});
const rulesSchema = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.object({
            name: z.string(),
            type: z.enum(['recording', 'alerting']),
            health: z.enum(['ok', 'err', 'unknown']),
            lastError: z.string().optional(),
            state: z.string().optional(),
          }),
        ),
      }),
    ),
  }),
});
const namesSchema = z.object({ data: z.array(z.string()) });

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** Debian's Prometheus on loopback, with data of its own. */
export class Prometheus {
  readonly #url: string;
  readonly #folder: string;
  readonly #service: Service;

  private constructor(url: string, folder: string, service: Service) {
    this.#url = url;
    this.#folder = folder;
    this.#service = service;
  }

  /** @param files its folder's; `prometheus.yml` is the configuration. */
  static async start(files: Record<string, string>): Promise<Prometheus> {
    const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const address = `127.0.0.1:${await freePort()}`;
    const service = new Service(
      'prometheus',
      ['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=${address}`],
      folder,
    );
    const started = new Prometheus(`http://${address}`, folder, service);
    try {
      await until(
        async () => (await started.#get('/-/ready').catch(() => null))?.ok === true,
        (ready) => ready || !service.running,
      );
      if (!service.running) throw new Error(`Prometheus did not start:\n${service.lines.join('\n')}`);
      return started;
    } catch (error) {
      await started.stop();
      throw error;
    }
  }

  /** What an expression is now. Throws where it is none. */
  async query(expr: string): Promise<Sample[]> {
    const response = await this.#get(`/api/v1/query?query=${encodeURIComponent(expr)}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`${expr}: ${text}`);
    const { data } = querySchema.parse(JSON.parse(text));
    if (data.resultType === 'scalar') return [{ labels: {}, value: Number(data.result[1]) }];
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** Asks until the only sample of an expression is as wanted. */
  async until(expr: string, wanted: (value: number) => boolean): Promise<void> {
    await until(
      async () => (await this.query(expr)).map(({ value }) => value),
      (values) => values.length === 1 && wanted(values[0]!),
    );
  }

  async rules() {
    const { data } = rulesSchema.parse(await (await this.#get('/api/v1/rules')).json());
    return data.groups.flatMap(({ rules }) => rules);
  }

  /** Names of all metrics that there are. */
  async names(): Promise<Set<string>> {
    const response = await this.#get('/api/v1/label/__name__/values');
    return new Set(namesSchema.parse(await response.json()).data);
  }

  async stop(): Promise<void> {
    await this.#service.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #get(path: string): Promise<Response> {
    return fetch(`${this.#url}${path}`, { signal: AbortSignal.timeout(5_000) });
  }
}
