import { createServer } from 'node:http';
import { availableParallelism } from 'node:os';
import { DialogueEngine } from './dialogue/engine.ts';
import { ApiError, apiErrors } from './http/api-error.ts';
import { chat } from './http/chat.ts';
import { type Exchange, sendJson } from './http/exchange.ts';
import { Gate } from './http/gate.ts';
import { Models } from './http/models.ts';
import { createListener, pathOf } from './http/router.ts';
import { speak } from './http/speech.ts';
import { transcribe } from './http/transcriptions.ts';
import type { Engines, EnginesOptions, OwnModel } from './options.ts';
import { Moonshine, moonshineRate } from './stt/moonshine.ts';
import { Flite } from './tts/flite.ts';

/** Longest time of one request: 1,500 s of audio take about 100 s. */
const requestMs = 180_000;
/** Requests that may wait before an engine, beyond those it works on. */
const mostWaiting = 64;
const mostConnections = 512;
/** What the engines say and hear of each other before they count as ready. */
const warmUp = { spoken: 'We are open from nine until five.', heard: /open/i, asked: 'When are you open?' };

/**
 * Starts the OpenAI-compatible server with the embedded engines: speech recognition, dialogue and speech synthesis.
 * It listens at once; `/healthz` answers 503 and every other request waits until `ready`.
 *
 * @throws {Error} if it cannot listen, e.g. on a taken port (named in the message).
 */
export async function startEngines(options: EnginesOptions = {}): Promise<Engines> {
  const wordDelayMs = Math.min(1000, Math.max(0, options.wordDelayMs ?? 0));
  const closing = new AbortController();
  const models = new Models(options.aliases ?? {}, Date.now());
  const flite = new Flite();
  const loaded = load(flite, options.onProgress ?? (() => {}), closing.signal);
  let state: 'loading' | 'ready' | 'failed' = 'loading';
  const ready = loaded.then(
    () => {
      state = 'ready';
    },
    (error: unknown) => {
      state = 'failed';
      throw error;
    },
  );
  ready.catch(() => {});

  const sttGate = new Gate(Math.max(1, availableParallelism()), mostWaiting);
  const ttsGate = new Gate(8, mostWaiting);
  const chatGate = new Gate(32, mostWaiting);
  const afterReady =
    (answer: (exchange: Exchange, engines: Loaded) => Promise<void>) => async (exchange: Exchange) =>
      answer(exchange, await unlessAborted(loaded, exchange.signal));

  const server = createServer(
    { requestTimeout: requestMs, headersTimeout: 10_000, keepAliveTimeout: 5_000 },
    createListener({
      apiKey: options.apiKey,
      log: options.log ?? (() => {}),
      closing: closing.signal,
      requestMs,
      publicRoutes: ['GET /healthz'],
      routes: {
        'GET /healthz': async ({ response }) => {
          sendJson(response, state === 'ready' ? 200 : 503, { status: state === 'ready' ? 'ok' : state });
        },
        'GET /v1/models': async ({ response }) => {
          sendJson(response, 200, { object: 'list', data: models.list() });
        },
        'GET /v1/models/': async ({ request, response }) => {
          sendJson(response, 200, models.entry(nameIn(pathOf(request))));
        },
        'POST /v1/audio/transcriptions': afterReady((exchange, { moonshine }) =>
          transcribe(exchange, models, sttGate, () => moonshine),
        ),
        'POST /v1/audio/speech': afterReady((exchange) => speak(exchange, models, ttsGate, () => flite)),
        'POST /v1/chat/completions': afterReady((exchange, { dialogue }) =>
          chat(exchange, models, chatGate, () => dialogue, wordDelayMs),
        ),
      },
    }),
  );
  server.maxConnections = mostConnections;

  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    closing.abort(apiErrors.closing());
    const ended = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await Promise.all([ended, flite.close()]);
    // The recogniser cannot be stopped while it loads or decodes; both take well under a second.
    await loaded.catch(() => {});
  };

  const host = options.host ?? '127.0.0.1';
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port ?? 0, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    closing.abort(apiErrors.closing());
    await Promise.all([flite.close(), loaded.catch(() => {})]);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the embedded engines cannot listen on ${host}:${options.port ?? 0}: ${reason}`, {
      cause,
    });
  }
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${shown}:${address.port}`,
    port: address.port,
    ready,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

interface Loaded {
  moonshine: Moonshine;
  dialogue: DialogueEngine;
}

/** Loads every engine and has each give a real answer. */
async function load(
  flite: Flite,
  onProgress: NonNullable<EnginesOptions['onProgress']>,
  signal: AbortSignal,
): Promise<Loaded> {
  const step = async <T>(engine: OwnModel, work: () => Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    const startedAt = performance.now();
    onProgress({ engine, state: 'loading' });
    const result = await work();
    onProgress({ engine, state: 'ready', tookMs: Math.round(performance.now() - startedAt) });
    return result;
  };
  const speech: Int16Array[] = [];
  await step('flite', async () => {
    const options = { voice: 'rms', speed: 1, sampleRate: moonshineRate } as const;
    for await (const samples of flite.speak(warmUp.spoken, options, signal)) speech.push(samples);
  });
  const moonshine = await step('moonshine-tiny', async () => {
    const engine = await Moonshine.load();
    const spoken = Int16Array.from(speech.flatMap((samples) => [...samples]));
    const heard = await engine.transcribe(spoken, signal);
    if (!warmUp.heard.test(heard)) {
      throw new Error(
        `speech recognition heard ${JSON.stringify(heard)} for ${JSON.stringify(warmUp.spoken)}`,
      );
    }
    return engine;
  });
  const dialogue = await step('intents', async () => {
    const engine = await DialogueEngine.load();
    const resolved = await engine.resolve([{ role: 'user', content: warmUp.asked }]);
    if (resolved.kind !== 'fact') throw new Error(`the dialogue engine did not understand "${warmUp.asked}"`);
    return engine;
  });
  return { moonshine, dialogue };
}

/** @throws the signal's reason; {@link ApiError} 503 if the engines did not load. */
async function unlessAborted(loaded: Promise<Loaded>, signal: AbortSignal): Promise<Loaded> {
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([
      loaded.catch((cause: unknown) => {
        throw new ApiError(503, 'The engines could not be loaded.', { cause });
      }),
      aborted,
    ]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function nameIn(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
