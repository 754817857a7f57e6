/** The models this server has, by its own names. */
export const ownModels = ['moonshine-tiny', 'flite', 'intents'] as const;
export type OwnModel = (typeof ownModels)[number];

/** Other names under which a model answers. */
export type Aliases = Readonly<Record<string, OwnModel>>;

/** OpenAI's names, so that a product configured for OpenAI needs only another base URL. */
export const openaiAliases: Aliases = {
  'gpt-transcribe': 'moonshine-tiny',
  'gpt-4o-transcribe': 'moonshine-tiny',
  'gpt-4o-mini-transcribe': 'moonshine-tiny',
  'whisper-1': 'moonshine-tiny',
  'gpt-4o-mini-tts': 'flite',
  'tts-1': 'flite',
  'tts-1-hd': 'flite',
  'gpt-6-luna': 'intents',
  'gpt-4o': 'intents',
  'gpt-4o-mini': 'intents',
  'gpt-4.1': 'intents',
  'gpt-4.1-mini': 'intents',
};

/** One step of the start that has begun or ended. */
export interface EnginesProgress {
  engine: OwnModel;
  state: 'loading' | 'ready';
  /** Milliseconds that it took; with `ready` only. */
  tookMs?: number;
}

export interface EnginesOptions {
  /** Default 0: any free port. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Demanded as bearer token, if given. */
  apiKey?: string;
  /** Default: none; see {@link openaiAliases}. */
  aliases?: Aliases;
  /** One line per request and per fault. Default: nothing is written. */
  log?: (line: string) => void;
  onProgress?: (progress: EnginesProgress) => void;
  /** Milliseconds between two words of a streamed chat reply, as a language model has them. Default 0, at most 1000. */
  wordDelayMs?: number;
}

export interface Engines {
  /** E.g. `http://127.0.0.1:41234`; the OpenAI base URL is this with `/v1`. */
  url: string;
  port: number;
  /** Resolves when every engine has answered; rejects with what failed, or if closed before. */
  ready: Promise<void>;
  /** Ends requests, workers and sockets; resolves when nothing runs. Idempotent. */
  close(): Promise<void>;
}
