import { isAddressIn, parseNetwork } from './addresses.ts';

/** Names that only this machine reaches: what the launcher sets as `ALLOWED_HOSTS`. */
export const loopbackNames: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/** RFC 1122 §3.2.1.3, RFC 4291 §2.5.3. */
const loopbackNetworks = ['127.0.0.0/8', '::1'].map((text) => parseNetwork(text)!);

/**
 * By these a proxy tells for whom it asks. One on the same machine may ask by a loopback name for the whole world: nginx does where nobody
 * has told it otherwise (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header).
 */
const forwardingHeaders = ['Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Real-IP'];

/**
 * Whether a request came to this machine by a name that means itself, and nothing says that it comes from another one. Cloudflare serves no
 * deployment by such a name, and a page whose own name was made to lead here (DNS rebinding) still sends that name.
 */
export function isLoopback(request: Request): boolean {
  const { headers, url } = request;
  if (!loopbackNames.includes(new URL(url).hostname)) return false;
  // Cloudflare's own, and wrangler's on a laptop; whoever wants in may leave it out, or forge it where wrangler stands open to the network.
  const address = headers.get('CF-Connecting-IP');
  if (address !== null && !isAddressIn(address, loopbackNetworks)) return false;
  return !forwardingHeaders.some((name) => headers.has(name));
}
