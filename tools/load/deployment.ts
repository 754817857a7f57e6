import { ConsentError, type LoadArguments, LoadUsageError } from './arguments.ts';

/** The names and addresses of this machine's own that need no consent. Nothing is resolved: a name may lead anywhere tomorrow. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/**
 * Where the calls go, complete with a path.
 *
 * The host is judged as the URL parser gives it, which is what the client dials: lower case, `2130706433` and `0x7f.1` as the 127.0.0.1
 * that they are, `127.0.0.1.example.com` as the stranger that it is. The client follows no redirect.
 *
 * @param running the address of the `npm start` that runs here, without a path; null if there is none.
 * @throws {LoadUsageError} for no WebSocket's URL; {ConsentError} for an address that is not this machine's, without consent.
 */
export function deploymentOf(
  { url: given, dialect, 'i-own-this-deployment': consent }: LoadArguments,
  running: string | null,
): URL {
  const text = given ?? (running ?? 'http://localhost:8787').replace(/^http/, 'ws');
  const url = URL.parse(text);
  if (url === null || !/^wss?:$/.test(url.protocol))
    throw new LoadUsageError('--url: must be a ws: or wss: URL');
  // What stands before an @ is easily read as the host, and secrets do not belong in a URL.
  if (url.username !== '' || url.password !== '')
    throw new LoadUsageError('--url: must not have a user name; a token goes into --token');
  url.hash = '';
  if (url.pathname === '/') url.pathname = `/ws/${dialect === 'native' ? 'call-session' : dialect}`;
  if (!isLoopback(url.hostname) && !consent) {
    throw new ConsentError(
      `${url.hostname} is not this machine. Each call of a load test costs the deployment's owner money (objects, vendors, storage) ` +
        'and takes lines from real callers; run against what is somebody else’s it is an attack. ' +
        'If the deployment is yours, and its vendors and its host allow load tests, say so: --i-own-this-deployment',
    );
  }
  return url;
}

/** For people and reports: without the query, which may have a token in it. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
