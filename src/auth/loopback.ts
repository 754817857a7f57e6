/** Names that only this machine reaches: what the launcher sets as `ALLOWED_HOSTS`. */
export const loopbackNames: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Whether a request came to this machine by a name that means itself. Cloudflare serves no deployment by such a name, and a page whose own
 * name was made to lead here (DNS rebinding) still sends that name.
 */
export function isLoopback(request: Request): boolean {
  return loopbackNames.includes(new URL(request.url).hostname);
}
