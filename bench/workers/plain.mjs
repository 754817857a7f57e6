// The baselines: Durable Objects that take the same sockets and the same frames. One counts them, one sends each of them back as well.
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
  #frames = 0;

  take() {
    this.#frames++;
  }
}

export class Echo extends Plain {
  #frames = 0;

  take(data, socket) {
    this.#frames++;
    socket.send(data);
  }
}

export default {
  fetch: (request, env) => env.OBJECTS.get(env.OBJECTS.newUniqueId()).fetch(request),
};
