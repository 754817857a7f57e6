import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What the service needs behind it so that only its own work is measured: speech to text that understands nothing, so that no turn
 * follows; a database that says that all is well; a bucket that takes every object and keeps none. In the process of the bench.
 */
export interface BackEnds {
  /** Without a path. */
  address: string;
  /** Host and port of the same server, for the runtime's own connections to a bucket. */
  host: string;
  /** Requests that were answered so far. */
  readonly counts: { transcriptions: number; database: number; bucket: number };
  stop(): void;
}

export async function startBackEnds(): Promise<BackEnds> {
  const counts = { transcriptions: 0, database: 0, bucket: 0 };
  const bucket = new Bucket();
  const server: Server = createServer((request, response) => {
    if (
      request.headers['cf-r2-request'] !== undefined ||
      request.headers['cf-r2-metadata-size'] !== undefined
    ) {
      counts.bucket++;
      // A system that is stopped breaks off what it asks.
      bucket.answer(request, response).catch(() => response.destroy());
      return;
    }
    const isDatabase = request.url?.startsWith('/rest/') === true;
    counts[isDatabase ? 'database' : 'transcriptions']++;
    request.resume().on('end', () => {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(isDatabase ? 'true' : '{"text":""}');
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    address: `http://${host}`,
    host,
    counts,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What a binding's request says before the object's bytes. */
interface BucketRequest {
  method: string;
  object?: string;
  customFields?: { k: string; v: string }[];
}

/**
 * The bucket's end of an R2 binding, as workerd speaks it (`src/workerd/api/r2-bucket.c++`, `r2-api.capnp`) and miniflare answers it
 * (`dist/src/workers/r2/bucket.worker.js`): JSON of a stated length, then the object.
 */
class Bucket {
  /** Of each object that is said to be there: its custom metadata and its size. */
  readonly #objects = new Map<string, { fields: BucketRequest['customFields']; size: number }>();
  #made = 0;

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const inHeader = request.headers['cf-r2-request'];
    const length = Number(request.headers['cf-r2-metadata-size'] ?? 0);
    let head = Buffer.alloc(0);
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (head.length < length) head = Buffer.concat([head, chunk]);
    }
    const asked = JSON.parse(
      typeof inHeader === 'string' ? inHeader : head.subarray(0, length).toString(),
    ) as BucketRequest;
    const { method, object = '' } = asked;
    if (method === 'put') this.#keep(asked, bytes - length);
    if (method === 'createMultipartUpload') this.#keep(asked, 0);
    if (method === 'delete') this.#objects.delete(object);
    const known = this.#objects.get(object);
    if (['head', 'get'].includes(method) && known === undefined) {
      const error = { version: 1, v4code: 10007, message: 'The specified key does not exist.' };
      response.writeHead(404, { 'cf-r2-error': JSON.stringify(error) }).end();
      return;
    }
    const answers: Record<string, object> = {
      createMultipartUpload: { uploadId: `upload-${this.#made++}` },
      uploadPart: { etag: `part-${this.#made++}` },
      list: { objects: [], truncated: false, delimitedPrefixes: [] },
    };
    const body = JSON.stringify(answers[method] ?? this.#described(object));
    response.writeHead(200, {
      'Content-Type': 'application/json',
      'cf-r2-metadata-size': String(Buffer.byteLength(body)),
    });
    response.end(body);
  }

  #keep({ object = '', customFields }: BucketRequest, size: number): void {
    this.#objects.set(object, { fields: customFields, size });
  }

  #described(name: string): object {
    const { fields = [], size = 0 } = this.#objects.get(name) ?? {};
    return {
      name,
      version: 'bench',
      size: String(size),
      etag: 'd41d8cd98f00b204e9800998ecf8427e',
      uploaded: String(Date.now()),
      storageClass: 'Standard',
      checksums: {},
      httpFields: {},
      customFields: fields,
    };
  }
}
