import type { Dial } from '../vendor-socket.ts';

/** What each port needs to reach the Realtime API, or a server that speaks its protocol. */
export interface OpenAiRealtimeSettings {
  apiKey: string;
  /** With the version, e.g. `wss://api.openai.com/v1`, the default. `http(s):` is taken as `ws(s):`. */
  baseUrl?: string;
  /** The longest wait for an open socket, and then for its configured session. Default 3,000. */
  connectMs?: number;
  /** Attempts after the first to get a connection that was refused, late or lost, with exponential back-off. Default 3. */
  maxRetries?: number;
  /**
   * How long a session may last. Default 3,600,000: "Realtime sessions can now last up to 60 minutes" (OpenAI, "Developer notes
   * on the Realtime API"); an earlier `expires_at` of `session.created` comes first.
   */
  sessionLimitMs?: number;
  /** A connection on which nothing came for so long is asked for a sign of life. Default 15,000. */
  silenceMs?: number;
  /** Opens the socket. Default: the Worker's `fetch`. */
  dial?: Dial;
}

export const defaultBaseUrl = 'wss://api.openai.com/v1';
export const defaultConnectMs = 3_000;
export const defaultMaxRetries = 3;
export const defaultSessionLimitMs = 3_600_000;
export const defaultSilenceMs = 15_000;

/** The address of a session; `query` holds either its model or `intent=transcription`, never both. */
export function realtimeUrl(
  settings: OpenAiRealtimeSettings,
  query: Readonly<Record<string, string>>,
): string {
  const url = new URL((settings.baseUrl ?? defaultBaseUrl).replace(/^http/, 'ws'));
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/realtime`;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.toString();
}
