// The baselines: Durable Objects that take the same sockets and the same frames. One counts them, one sends each of them back as well.
/** Chunks of 1.6 s in frames of 20 ms, at 8 kHz. */
const CHUNK_FRAMES = 80;
const FRAME_SAMPLES = 160;

class Plain {
  async fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    server.binaryType = 'arraybuffer';
    server.accept();
    server.addEventListener('message', ({ data }) => this.take(data, server));
    server.addEventListener('close', () => server.close());
    server.send(JSON.stringify({ type: 'status', status: 'ready', message: 'Listening' }));
    return new Response(null, { status: 101, webSocket: client });
  }
}

export class Counter extends Plain {
  frames = 0;

  take() {
    this.frames++;
  }
}

export class Echo extends Counter {
  take(data, socket) {
    super.take();
    socket.send(data);
  }
}

/** Counts them, and writes as many bytes into its SQLite as the recording of a side takes, as seldom. */
export class Storer extends Counter {
  #sql;
  #chunk = new Uint8Array(CHUNK_FRAMES * FRAME_SAMPLES * 2);

  constructor(state) {
    super();
    this.#sql = state.storage.sql;
    this.#sql.exec('CREATE TABLE audio (chunk INTEGER PRIMARY KEY, caller BLOB)');
  }

  take() {
    super.take();
    if (this.frames % CHUNK_FRAMES === 0) {
      this.#sql.exec('INSERT INTO audio VALUES (?, ?)', this.frames / CHUNK_FRAMES, this.#chunk);
    }
  }
}

export default {
  fetch: (request, env) => env.OBJECTS.get(env.OBJECTS.newUniqueId()).fetch(request),
};
