/** In `Sec-WebSocket-Protocol`, before a single-call token: the one header that a browser's WebSocket lets a page set. */
export const SUBPROTOCOL_PREFIX = 'call-token.';

/** Longer ones are not looked at. An access token has one to two KB, more with an operator's own claims. */
export const MOST_CREDENTIAL_CHARACTERS = 8_192;

/** What a request brings along to prove who sends it. */
export interface Credential {
  token: string;
  /** With HTTP Basic: a node's name. */
  name: string | null;
  /** Not in a header of its own: where single-call tokens alone may stand. */
  exposed: boolean;
}

/**
 * The credential of a request; null: it has none. FreeSWITCH's modules can set headers (`STREAM_EXTRA_HEADERS`) or HTTP Basic
 * (`MOD_AUDIO_BASIC_AUTH_…`, jambonz' `wsAuth`), browsers a subprotocol, and the others an address alone.
 *
 * @param isSocket a WebSocket's upgrade: there a token may stand in the subprotocol or in the address, where logs may keep it. For
 * single-call tokens only (`exposed`), which are worth nothing once they were used.
 */
export function credentialOf(request: Request, isSocket: boolean): Credential | null {
  const authorization = request.headers.get('Authorization');
  if (authorization !== null) return ofAuthorization(authorization);
  const node = request.headers.get('X-Node-Token');
  if (node !== null) return { token: node.trim(), name: null, exposed: false };
  if (!isSocket) return null;
  const subprotocol = offeredProtocols(request).find((offered) => offered.startsWith(SUBPROTOCOL_PREFIX));
  const token =
    subprotocol?.slice(SUBPROTOCOL_PREFIX.length) ?? new URL(request.url).searchParams.get('token');
  return token === null ? null : { token, name: null, exposed: true };
}

/**
 * The headers of the answer to an upgrade that offered subprotocols: clients break the connection where none of them is chosen (RFC 6455 §4.1).
 * One that the dialect knows; else the first that is no token, whose name can be set at a node (`MOD_AUDIO_FORK_SUBPROTOCOL_NAME`): a token is
 * repeated only to a client that offered nothing else.
 *
 * @param known the dialect's own.
 */
export function subprotocolHeaders(request: Request, known: readonly string[]): Record<string, string> {
  const offered = offeredProtocols(request);
  const chosen =
    offered.find((each) => known.includes(each)) ??
    offered.find((each) => !each.startsWith(SUBPROTOCOL_PREFIX)) ??
    offered[0];
  return chosen === undefined ? {} : { 'Sec-WebSocket-Protocol': chosen };
}

function offeredProtocols(request: Request): string[] {
  const header = request.headers.get('Sec-WebSocket-Protocol') ?? '';
  return header
    .split(',')
    .map((offered) => offered.trim())
    .filter(Boolean);
}

/** What cannot be read is a credential that nobody has. */
function ofAuthorization(header: string): Credential {
  const [, scheme = '', value = ''] = /^\s*(\S+)\s+(\S+)\s*$/.exec(header) ?? [];
  if (scheme.toLowerCase() === 'bearer') return { token: value, name: null, exposed: false };
  if (scheme.toLowerCase() === 'basic' && value.length <= MOST_CREDENTIAL_CHARACTERS) {
    try {
      const decoded = atob(value);
      const colon = decoded.indexOf(':');
      if (colon >= 0) {
        return { token: decoded.slice(colon + 1), name: decoded.slice(0, colon), exposed: false };
      }
    } catch {
      // No base64.
    }
  }
  return { token: '', name: null, exposed: false };
}
