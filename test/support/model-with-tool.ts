import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { completion } from './openai-double.ts';

/** What the model does when it hears certain words: asks for a tool, and says a sentence when it has been run. */
export interface ScriptedTool {
  heard: RegExp;
  name: string;
  args: object;
  says: string;
}

interface Message {
  role: string;
  content?: unknown;
}

/** Before the embedded dialogue engine, which knows no tools: a language model that asks for them where it is told to; all else is passed on. */
export async function startModelWithTools(tools: readonly ScriptedTool[]) {
  let target: URL | null = null;
  const server = createServer(async (incoming, outgoing) => {
    const body = await buffer(incoming);
    const messages = messagesOf(body);
    const said = messages.findLast(({ role }) => role === 'user')?.content;
    const last = messages.at(-1)?.role;
    const tool = tools.find(({ heard }) => typeof said === 'string' && heard.test(said));
    if (tool !== undefined && (last === 'user' || last === 'tool')) {
      const asked = {
        id: 'call-1',
        type: 'function',
        function: { name: tool.name, arguments: JSON.stringify(tool.args) },
      } as const;
      const events =
        last === 'tool' ? completion([tool.says]) : completion([], 'tool_calls', [{ index: 0, ...asked }]);
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
      outgoing.end(
        events
          .map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`)
          .join(''),
      );
      return;
    }
    if (target === null) {
      outgoing.writeHead(503).end();
      return;
    }
    const { hostname, port } = target;
    const { method, url, headers } = incoming;
    const onward = request({ hostname, port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    onward.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    /** Up to and with `/v1`. */
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    /** The engine that answers everything else. */
    passTo(url: string): void {
      target = new URL(url);
    },
    close(): void {
      server.closeAllConnections();
      server.close();
    },
  };
}

function messagesOf(body: Buffer): Message[] {
  try {
    return (JSON.parse(body.toString()) as { messages?: Message[] }).messages ?? [];
  } catch {
    return [];
  }
}
