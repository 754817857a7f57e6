import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What goes wrong: an answer of Cloudflare's with one of its error codes, a bare status, or the line is cut. */
export type Fault = { status: number; code?: number; message?: string } | 'cut off';

export interface CloudflareVersion {
  id: string;
  tag: string | null;
  message: string | null;
  migrationTag: string | null;
  bindings: { type: string; name: string }[];
  createdAt: string;
}

interface Worker {
  secrets: Map<string, string>;
  versions: CloudflareVersion[];
  /** The newest first. */
  deployments: { id: string; version: string; message: string | null; createdAt: string }[];
  migrationTag: string | null;
  /** Of the newest version. */
  bindings: { type: string; name: string }[];
}

interface Rule {
  id: string;
  [key: string]: unknown;
}

/**
 * Cloudflare's API, as far as wrangler asks it to create namespaces and buckets, to store secrets, to deploy and to roll back. Paths, fields and error
 * codes are those that wrangler 4.155 sends and reads, and of https://developers.cloudflare.com/api/. Keeps what it was told, so that a second run finds it.
 */
export class CloudflareDouble {
  readonly accountId = '0123456789abcdef0123456789abcdef';
  readonly token = 'a-token-of-the-test';
  /** Titles by id. */
  readonly namespaces = new Map<string, string>();
  /** Lifecycle rules by `jurisdiction/name`; the jurisdiction of most is `default`. */
  readonly buckets = new Map<string, Rule[]>();
  readonly workers = new Map<string, Worker>();
  /** `METHOD /path` of each request that changed something, or wanted to. */
  readonly changes: string[] = [];
  /** Asked of each request: what is to go wrong. */
  fault: (request: { method: string; path: string }) => Fault | null = () => null;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #clock = Date.UTC(2026, 10, 21);

  static async start(): Promise<CloudflareDouble> {
    const double = new CloudflareDouble();
    await new Promise<void>((resolve) => double.#server.listen(0, '127.0.0.1', resolve));
    return double;
  }

  /** Makes a Worker with versions of these migration tags, the last of which is deployed; their ids. */
  deployed(name: string, ...migrationTags: string[]): string[] {
    const worker: Worker = {
      ...{ secrets: new Map(), versions: [], deployments: [], migrationTag: null, bindings: [] },
    };
    this.workers.set(name, worker);
    return migrationTags.map((new_tag) => {
      const { id, createdAt } = this.#newVersion(worker, { migrations: { new_tag }, bindings: [] });
      worker.deployments.unshift({ id: randomUUID(), version: id, message: null, createdAt });
      return id;
    });
  }

  /** For a process of wrangler's. */
  get environment(): Record<string, string> {
    const { port } = this.#server.address() as AddressInfo;
    return {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${port}/client/v4`,
      CLOUDFLARE_API_TOKEN: this.token,
      CLOUDFLARE_ACCOUNT_ID: this.accountId,
    };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(request.url ?? '/', 'http://cloudflare');
    const path = url.pathname.replace(`/client/v4/accounts/${this.accountId}`, '');
    const method = request.method ?? 'GET';
    const fault = this.fault({ method, path });
    if (method !== 'GET') this.changes.push(`${method} ${path}`);
    if (fault === 'cut off') {
      // After the work was done, which is the worst that a cut line can mean.
      this.#handle(method, url, path, request, body);
      response.destroy();
      return;
    }
    const answer =
      fault !== null
        ? failure(fault.status, fault.code, fault.message)
        : request.headers.authorization === `Bearer ${this.token}`
          ? this.#handle(method, url, path, request, body)
          : failure(403, 10000, 'Authentication error');
    response.writeHead(answer.status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(answer.body));
  }

  #handle(method: string, url: URL, path: string, request: IncomingMessage, body: Buffer): Answer {
    const jurisdiction = String(request.headers['cf-r2-jurisdiction'] ?? 'default');
    const [, area, kind, ...rest] = path.split('/');
    if (area === 'storage' && kind === 'kv')
      return this.#namespace(method, url.searchParams.get('page'), body);
    if (area === 'r2') return this.#bucket(method, rest, jurisdiction, body);
    if (area === 'workers' && kind === 'scripts')
      return this.#script(method, rest[0]!, rest.slice(1), request, body);
    if (area === 'workers' && kind === 'services') return this.#service(rest[0]!);
    if (area === 'workers' && kind === 'workers') {
      return success({ name: rest[0], subdomain: { enabled: true, previews_enabled: false } });
    }
    if (area === 'workers' && kind === 'subdomain') return success({ subdomain: 'tests' });
    return failure(404, 7003, `Could not route to ${path}`);
  }

  #namespace(method: string, page: string | null, body: Buffer): Answer {
    if (method === 'GET') {
      // Wrangler asks on until it is told that there are no more.
      if (Number(page ?? 1) > 1) return success([]);
      return success([...this.namespaces].map(([id, title]) => ({ id, title, supports_url_encoding: true })));
    }
    const { title } = JSON.parse(body.toString()) as { title: string };
    if ([...this.namespaces.values()].includes(title)) {
      return failure(400, 10014, 'a namespace with this account ID and title already exists');
    }
    const id = randomBytes(16).toString('hex');
    this.namespaces.set(id, title);
    return success({ id, title, supports_url_encoding: true });
  }

  #bucket(method: string, [name, what]: string[], jurisdiction: string, body: Buffer): Answer {
    if (name === undefined && method === 'POST') {
      const wanted = `${jurisdiction}/${(JSON.parse(body.toString()) as { name: string }).name}`;
      if (this.buckets.has(wanted)) {
        return failure(409, 10004, 'The bucket you tried to create already exists, and you own it.');
      }
      this.buckets.set(wanted, []);
      return success({ name: wanted.split('/')[1], creation_date: this.#now(), jurisdiction });
    }
    const rules = this.buckets.get(`${jurisdiction}/${name}`);
    if (rules === undefined) return failure(404, 10006, 'The specified bucket does not exist.');
    if (what === undefined) return success({ name, jurisdiction, storage_class: 'Standard' });
    if (method === 'PUT') {
      const { rules: wanted } = JSON.parse(body.toString()) as { rules: Rule[] };
      this.buckets.set(`${jurisdiction}/${name}`, wanted);
      return success({});
    }
    return success({ rules });
  }

  #service(name: string): Answer {
    const worker = this.workers.get(name);
    if (worker === undefined) return failure(404, 10090, 'workers.api.error.service_not_found');
    const [newest] = worker.deployments;
    return success({
      id: name,
      default_environment: {
        environment: 'production',
        script: { id: name, tag: 'tag', migration_tag: worker.migrationTag, last_deployed_from: 'wrangler' },
        created_on: newest?.createdAt ?? this.#now(),
        modified_on: newest?.createdAt ?? this.#now(),
      },
    });
  }

  #script(
    method: string,
    name: string,
    [what, id]: string[],
    request: IncomingMessage,
    body: Buffer,
  ): Answer {
    const worker = this.workers.get(name);
    if (what === undefined && method === 'PUT') return this.#upload(name, request, body);
    if (worker === undefined) return failure(404, 10007, 'This Worker does not exist on your account.');
    switch (what) {
      case 'secrets':
        return success([...worker.secrets.keys()].map((secret) => ({ name: secret, type: 'secret_text' })));
      case 'secrets-bulk': {
        const { secrets } = JSON.parse(body.toString()) as {
          secrets: Record<string, { text: string } | null>;
        };
        for (const [secret, value] of Object.entries(secrets)) worker.secrets.set(secret, value?.text ?? '');
        return success({});
      }
      case 'versions':
        if (method === 'POST')
          return success(versionJson(this.#newVersion(worker, metadataOf(request, body))));
        if (id === undefined) return success({ items: worker.versions.map(versionJson) });
        return versionAnswer(worker.versions.find((version) => version.id === id));
      case 'deployments': {
        if (method === 'POST') return this.#deploy(worker, body);
        return success({ deployments: worker.deployments.map(deploymentJson) });
      }
      case 'settings':
        return success({
          bindings: worker.bindings,
          compatibility_date: '2026-10-20',
          usage_model: 'standard',
        });
      case 'script-settings':
      case 'subdomain':
      case 'schedules':
        return success({ enabled: true, previews_enabled: false, available_on_subdomain: true });
      default:
        return failure(404, 7003, `Could not route to ${what}`);
    }
  }

  #deploy(worker: Worker, body: Buffer): Answer {
    const { versions, annotations } = JSON.parse(body.toString()) as {
      versions: { version_id: string }[];
      annotations?: Record<string, string | undefined>;
    };
    const version = worker.versions.find((each) => each.id === versions[0]?.version_id);
    if (version === undefined) return failure(404, 10007, 'There is no such version.');
    if (version.migrationTag !== worker.migrationTag) {
      return failure(
        400,
        10064,
        'Version could not be deployed: it has a different Durable Object migration tag.',
      );
    }
    const message = annotations?.['workers/message'] ?? null;
    worker.deployments.unshift({ id: randomUUID(), version: version.id, message, createdAt: this.#now() });
    return success({ id: worker.deployments[0]!.id });
  }

  /** A version with all of its metadata, and its deployment. */
  #upload(name: string, request: IncomingMessage, body: Buffer): Answer {
    const metadata = metadataOf(request, body);
    const worker: Worker = this.workers.get(name) ?? {
      ...{ secrets: new Map(), versions: [], deployments: [], migrationTag: null, bindings: [] },
    };
    this.workers.set(name, worker);
    const version = this.#newVersion(worker, metadata);
    worker.deployments.unshift({
      id: randomUUID(),
      version: version.id,
      message: null,
      createdAt: version.createdAt,
    });
    return success({
      id: name,
      tag: version.tag,
      deployment_id: version.id.replaceAll('-', ''),
      startup_time_ms: 12,
      entry_point: 'index.js',
    });
  }

  #newVersion(worker: Worker, metadata: Record<string, unknown>): CloudflareVersion {
    const { new_tag } = (metadata.migrations ?? {}) as { new_tag?: string };
    const annotations = (metadata.annotations ?? {}) as Record<string, string | undefined>;
    worker.migrationTag = new_tag ?? worker.migrationTag;
    worker.bindings = metadata.bindings as Worker['bindings'];
    const version: CloudflareVersion = {
      id: randomUUID(),
      tag: annotations['workers/tag'] ?? null,
      message: annotations['workers/message'] ?? null,
      migrationTag: worker.migrationTag,
      bindings: worker.bindings,
      createdAt: this.#now(),
    };
    worker.versions.unshift(version);
    return version;
  }

  /** Each is later than the one before. */
  #now(): string {
    this.#clock += 60_000;
    return new Date(this.#clock).toISOString();
  }
}

interface Answer {
  status: number;
  body: object;
}

function success(result: unknown): Answer {
  return { status: 200, body: { success: true, errors: [], messages: [], result } };
}

function failure(status: number, code?: number, message = 'an error of the test'): Answer {
  const errors = code === undefined ? [] : [{ code, message }];
  return { status, body: { success: false, errors, messages: [], result: null } };
}

function versionJson({ id, tag, message, migrationTag, bindings, createdAt }: CloudflareVersion): object {
  return {
    id,
    number: 1,
    metadata: { created_on: createdAt, author_email: 'operator@example.com', source: 'wrangler' },
    annotations: {
      ...(tag === null ? {} : { 'workers/tag': tag }),
      ...(message === null ? {} : { 'workers/message': message }),
    },
    resources: {
      bindings,
      script: { handlers: ['fetch'] },
      script_runtime: {
        usage_model: 'standard',
        ...(migrationTag === null ? {} : { migration_tag: migrationTag }),
      },
    },
  };
}

function versionAnswer(version: CloudflareVersion | undefined): Answer {
  return version === undefined
    ? failure(404, 10007, 'There is no such version.')
    : success(versionJson(version));
}

function deploymentJson({ id, version, message, createdAt }: Worker['deployments'][number]): object {
  return {
    id,
    source: 'wrangler',
    strategy: 'percentage',
    author_email: 'operator@example.com',
    annotations: { ...(message === null ? {} : { 'workers/message': message }) },
    versions: [{ version_id: version, percentage: 100 }],
    created_on: createdAt,
  };
}

/** The part `metadata` of an upload: JSON, in a form. */
function metadataOf(request: IncomingMessage, body: Buffer): Record<string, unknown> {
  const boundary = /boundary=(.+)$/.exec(request.headers['content-type'] ?? '')?.[1];
  const part = body
    .toString('latin1')
    .split(`--${boundary}`)
    .find((text) => text.includes('name="metadata"'));
  if (part === undefined) throw new Error('the upload has no metadata');
  return JSON.parse(part.slice(part.indexOf('\r\n\r\n')).trim()) as Record<string, unknown>;
}
