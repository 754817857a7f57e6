// The baseline: a Durable Object that takes the same sockets and counts the same frames, and does nothing else.
export class Counter {
  async fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    let frames = 0;
    server.binaryType = 'arraybuffer';
    server.accept();
    server.addEventListener('message', () => {
      frames++;
    });
    server.addEventListener('close', () => server.close());
    server.send(JSON.stringify({ type: 'status', status: 'ready', message: 'Listening', frames }));
    return new Response(null, { status: 101, webSocket: client });
  }
}

export default {
  fetch: (request, env) => env.COUNTER.get(env.COUNTER.newUniqueId()).fetch(request),
};
