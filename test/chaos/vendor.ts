import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { encodePcm16 } from '../../src/audio/pcm.ts';
import { completion } from '../support/openai-double.ts';
import { hearNumbers, sayText } from './voice.ts';

/** Of the agent's sentences in answer to one of the caller's. */
const PARTS = ['alpha', 'beta', 'gamma'] as const;

/** Names of the agent's sentences in answer to the caller's sentence `number`. */
export function answersTo(number: number): string[] {
  return PARTS.slice(0, 2 + (number % 2)).map((part) => `${number} ${part}`);
}

/** Numbers of the caller's sentences in a text. */
export function numbersIn(text: string): number[] {
  return [...text.matchAll(/\bnumber (\d+) now\b/g)].map(([, number]) => Number(number));
}

/** Names of the agent's sentences in a text. */
export function answersIn(text: string): string[] {
  return [...text.matchAll(/\bReply (\d+ (?:alpha|beta|gamma)) is here\./g)].map(([, name]) => name!);
}

/** Parts of the caller's sentences in a text. */
export function cutsIn(text: string): number {
  return [...text.matchAll(/\bcut off now\b/g)].length;
}

const chatSchema = z.object({ messages: z.array(z.object({ role: z.string(), content: z.unknown() })) });
const speechSchema = z.object({ input: z.string().max(4096) });

/** The slowest of its answers, and what a model needs for a sentence, in milliseconds. */
const ANSWER_MS = 40;
const SENTENCE_MS = 60;

/**
 * Plays every provider of the service, on loopback: a transcriber that knows `sayNumber`, a model that answers the numbers of the last
 * thing that was said, and a speaker. It keeps nothing: an answer depends on its request alone.
 */
export class CountingVendor {
  readonly #server: Server;
  readonly problems: string[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        // A client that went away, as one does that is killed, is no problem.
        if (!response.destroyed && request.complete) this.problems.push(String(error));
        response.destroy();
      });
    });
  }

  static async start(): Promise<CountingVendor> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CountingVendor(server);
  }

  /** Up to and with `/v1`. */
  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    await pause(ANSWER_MS);
    if (request.url === '/v1/audio/transcriptions') {
      const headers = { 'content-type': request.headers['content-type'] ?? '' };
      const form = await new Response(new Uint8Array(body), { headers }).formData();
      const file = form.get('file');
      if (!(file instanceof Blob)) throw new Error('a transcription without a file');
      const { numbers, cut } = hearNumbers(new Uint8Array(await file.arrayBuffer()));
      const said = [
        ...numbers.map((n) => `I say number ${n} now.`),
        ...Array<string>(cut).fill('I was cut off now.'),
      ];
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ text: said.join(' ') }));
    } else if (request.url === '/v1/chat/completions') {
      const { messages } = chatSchema.parse(JSON.parse(body.toString('utf8')));
      const last = messages.findLastIndex(({ role }) => role === 'user');
      // What it said before the line was lost it does not say again, as it is told.
      const said = answersIn(JSON.stringify(messages.slice(last + 1)));
      const names = numbersIn(JSON.stringify(messages[last]?.content ?? ''))
        .flatMap(answersTo)
        .filter((name) => !said.includes(name));
      const sentences = names.map((name) => `Reply ${name} is here. `);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const event of completion(sentences.length > 0 ? sentences : ['Please say that once more.'])) {
        response.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`);
        await pause(SENTENCE_MS / 3);
      }
      response.end();
    } else if (request.url === '/v1/audio/speech') {
      const { input } = speechSchema.parse(JSON.parse(body.toString('utf8')));
      response.writeHead(200, { 'content-type': 'audio/pcm' }).end(encodePcm16(sayText(input, 24_000)));
    } else {
      throw new Error(`nobody answers ${request.url}`);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
