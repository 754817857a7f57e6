import type { Dial } from '../vendor-socket.ts';

/** What it needs to reach OpenAI's Live API, or a server that speaks its protocol. */
export interface OpenAiLiveSettings {
  apiKey: string;
  /** With the version, e.g. `wss://api.openai.com/v1`, the default. `http(s):` is taken as `ws(s):`. */
  baseUrl?: string;
  /** Default `gpt-live-1`. */
  model?: string;
  /** Speaks in place of the voice that is asked for. */
  voice?: string;
  /** The longest wait for an open socket, and then for its session. Default 3,000: integrators saw some 1,100 for both. */
  connectMs?: number;
  /** Attempts after the first to get a session that was refused, late or cut, with exponential back-off. Default 2: a caller waits. */
  maxRetries?: number;
  /**
   * A session on which nothing came for so long is lost. Default 10,000: the server sends audio all the time, silence included.
   */
  silenceMs?: number;
  /** How long words and usage are waited for at the end. Default 5,000. */
  closeMs?: number;
  /** The caller's audio that is kept while there is no session. Default 5,000. */
  keepMs?: number;
  /** Opens the socket. Default: the Worker's `fetch`. */
  dial?: Dial;
}

export const defaultModel = 'gpt-live-1';
export const defaultConnectMs = 3_000;
export const defaultMaxRetries = 2;
export const defaultSilenceMs = 10_000;
export const defaultCloseMs = 5_000;
export const defaultKeepMs = 5_000;

const defaultBaseUrl = 'wss://api.openai.com/v1';

/** The address of a session. It takes no query: the model stands in `session.start`. */
export function liveUrl({ baseUrl = defaultBaseUrl }: OpenAiLiveSettings): string {
  const url = new URL(baseUrl.replace(/^http/, 'ws'));
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/live/sessions`;
  return url.toString();
}
